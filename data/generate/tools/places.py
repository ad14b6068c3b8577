"""Trained tools: weather, time, routes and sights of a place."""

from data.generate.kinds import Choice, Integer, Number, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "get_weather",
        "Get the current weather in a city",
        {"city": Text("city"), "unit?": Choice("celsius fahrenheit")},
        words(
            [
                "What's the weather like in {city}?",
                "How is the weather in {city} right now, in {unit}?",
                "Is it cold in {city} today?",
                "Tell me the weather in {city}.",
                "I'm packing for {city}. What is the weather there, in {unit}?",
                "Do I need an umbrella in {city}?",
                "How hot is it in {city} right now?",
                "{city}: sun or rain?",
                "I'm flying to {city}. What should I wear, weather-wise?",
                "Give me the temperature in {city} in {unit}.",
                "Is it cold in {city}?",
            ],
            ["Could you check how warm it is in {city}?", "Weather report for {city} please, using {unit}."],
        ),
        both=words(
            [
                "What's the weather in {city} and in {city/2}?",
                "Compare the weather in {city} with {city/2}.",
                "Is it raining in {city} and {city/2}?",
                "Weather for {city} and {city/2}, please.",
            ],
            ["Is it warmer in {city} or in {city/2}?"],
        ),
        pt=words(
            [
                "Como está o tempo em {city}?",
                "Qual é a temperatura em {city}, em {unit}?",
                "Vai chover em {city}?",
            ],
            ["Diz-me que tempo faz em {city}."],
        ),
        result={"temperature": Integer(2, 35), "condition": Choice("sunny cloudy rainy windy foggy")},
        say=words(
            [
                "It is {temperature} degrees and {condition} in {city}.",
                "Right now {city} is {condition}, with {temperature} degrees.",
            ],
            ["{city} has {condition} weather at {temperature} degrees."],
        ),
    ),
    Spec(
        "get-directions",
        "Get directions between two addresses",
        {"start": Text("street"), "end": Text("street"), "mode?": Choice("walking driving cycling transit")},
        words(
            [
                "How do I get from {start} to {end}?",
                "Give me {mode} directions from {start} to {end}.",
                "I'm at {start} and need to reach {end}.",
                "Show the {mode} route from {start} to {end}.",
                "What is the best way to {end} from {start}?",
                "How do I reach {end} if I am at {start}?",
                "I'm at {start} and lost; I need to get to {end}.",
                "Show me the route {start} to {end}, {mode}.",
                "What is the best way from {start} to {end}?",
                "Take me to {end} from {start}.",
                "Directions for {mode}: {start} to {end}.",
            ],
            [
                "Guide me from {start} over to {end}.",
                "I'd like a {mode} route that starts at {start} and ends at {end}.",
            ],
        ),
        result={"minutes": Integer(5, 90), "distance_km": Number(0.5, 40, 0.5)},
        say=words(
            [
                "It takes {minutes} minutes from {start} to {end}, {distance_km} km.",
                "The route is {distance_km} km and takes {minutes} minutes.",
            ],
            ["Expect {minutes} minutes for the {distance_km} km to {end}."],
        ),
    ),
    Spec(
        "convert_currency",
        "Convert an amount of money between currencies",
        {"amount": Number(5, 2000, 2.5), "from_currency": Text("currency"), "to_currency": Text("currency")},
        words(
            [
                "Convert {amount} {from_currency} to {to_currency}.",
                "How much is {amount} {from_currency} in {to_currency}?",
                "What do I get in {to_currency} for {amount} {from_currency}?",
                "Change {amount} {from_currency} into {to_currency}, please.",
                "I have {amount} {from_currency}. How many {to_currency} is that?",
                "Exchange {amount} {from_currency} into {to_currency}, please.",
                "{amount} {from_currency} to {to_currency}?",
                "How many {to_currency} do I get for {amount} {from_currency}?",
                "What is the value of {amount} {from_currency} in {to_currency}?",
            ],
            [
                "I have {amount} {from_currency}; what is that worth in {to_currency}?",
                "Exchange {amount} {from_currency} for {to_currency}.",
            ],
        ),
        both=words(
            [
                "How much is {amount} {from_currency} in {to_currency} and in {to_currency/2}?",
                "Convert {amount} {from_currency} to {to_currency} and to {to_currency/2}.",
                "{amount} {from_currency} in {to_currency}, and the same in {to_currency/2}?",
            ],
            ["Give me the value of {amount} {from_currency} both in {to_currency} and {to_currency/2}."],
        ),
        pt=words(
            [
                "Converte {amount} {from_currency} para {to_currency}.",
                "Quantos {to_currency} valem {amount} {from_currency}?",
                "Troca {amount} {from_currency} por {to_currency}.",
            ],
            ["Quanto são {amount} {from_currency} em {to_currency}?"],
        ),
        result={"converted": Number(4, 3000, 3.25)},
        say=words(
            [
                "{amount} {from_currency} is {converted} {to_currency}.",
                "That comes to {converted} {to_currency}.",
            ],
            ["You would receive {converted} {to_currency} for {amount} {from_currency}."],
        ),
    ),
    Spec(
        "get_local_time",
        "Get the current local time in a city",
        {"city": Text("city")},
        words(
            [
                "What time is it in {city}?",
                "Tell me the local time in {city}.",
                "I want to call {city}. What time is it there now?",
                "Current time in {city}?",
                "Is it morning or evening in {city}?",
                "Can I still call someone in {city}, or is it night there?",
                "Time in {city}?",
                "I need to know what o'clock it is in {city}.",
                "What does the clock say in {city}?",
            ],
            ["Is it late already in {city}?", "Which hour do the clocks show in {city}?"],
        ),
        both=words(
            [
                "What time is it in {city} and {city/2}?",
                "Time in {city} and in {city/2}?",
                "How late is it in {city}, and how late in {city/2}?",
            ],
            ["Tell me the hour in {city} and also in {city/2}."],
        ),
        pt=words(
            ["Que horas são em {city}?", "Diz-me as horas em {city}.", "Já é noite em {city}?"],
            ["Preciso de saber a hora em {city}."],
        ),
        result={"time": Text("time")},
        say=words(
            ["It is {time} in {city}.", "The local time in {city} is {time}."],
            ["In {city} the clock says {time}."],
        ),
    ),
)
