"""Trained tools: weather, time, routes and sights of a place."""

from data.generate.kinds import Choice, Flag, Integer, Number, Text
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
            ],
            ["Could you check how warm it is in {city}?", "Weather report for {city} please, using {unit}."],
        ),
        both=words(
            ["What's the weather in {city} and in {city/2}?", "Compare the weather in {city} with {city/2}."],
            ["Is it warmer in {city} or in {city/2}?"],
        ),
        pt=words(
            ["Como está o tempo em {city}?", "Qual é a temperatura em {city}, em {unit}?"],
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
            ],
            [
                "I have {amount} {from_currency}; what is that worth in {to_currency}?",
                "Exchange {amount} {from_currency} for {to_currency}.",
            ],
        ),
        both=words(
            ["How much is {amount} {from_currency} in {to_currency} and in {to_currency/2}?"],
            ["Give me the value of {amount} {from_currency} both in {to_currency} and {to_currency/2}."],
        ),
        pt=words(
            ["Converte {amount} {from_currency} para {to_currency}."],
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
        "findAttractions",
        "Find tourist attractions in a city",
        {"city": Text("city"), "kind?": Choice("museums parks beaches markets"), "limit?": Integer(2, 20)},
        words(
            [
                "What is there to see in {city}?",
                "Show me {kind} in {city}.",
                "Find {limit} attractions in {city}.",
                "I'm visiting {city} and I love {kind}. Give me {limit} of them.",
                "List the {kind} of {city}.",
            ],
            ["Which sights does {city} have?", "Suggest {limit} {kind} around {city}."],
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
            ],
            ["Is it late already in {city}?", "Which hour do the clocks show in {city}?"],
        ),
        both=words(
            ["What time is it in {city} and {city/2}?"], ["Tell me the hour in {city} and also in {city/2}."]
        ),
        pt=words(["Que horas são em {city}?"], ["Preciso de saber a hora em {city}."]),
        result={"time": Text("time")},
        say=words(
            ["It is {time} in {city}.", "The local time in {city} is {time}."],
            ["In {city} the clock says {time}."],
        ),
    ),
    Spec(
        "find_events",
        "Find public events in a city",
        {"city": Text("city"), "date?": Text("date"), "type?": Choice("concert festival exhibition sports")},
        words(
            [
                "What's on in {city} on {date}?",
                "Find a {type} in {city}.",
                "Is there a {type} in {city} on {date}?",
                "What events are there in {city}?",
            ],
            ["I'm in {city} on {date} and bored; what can I go to?", "Any {type} happening around {city}?"],
        ),
    ),
    Spec(
        "search_jobs",
        "Search for job offers",
        {
            "title": Text("job"),
            "location": Text("city"),
            "min_salary?": Integer(20000, 120000, 1000),
            "remote?": Flag(),
        },
        words(
            [
                "Find jobs as a {title} in {location}.",
                "I'm looking for remote {title} work in {location}. | remote=true",
                "Search {title} positions in {location} from {min_salary} a year.",
                "Any openings for a {title} in {location}?",
            ],
            [
                "Who hires a {title} around {location}?",
                "As {title} in {location} I want at least {min_salary}; look for offers.",
            ],
        ),
    ),
    Spec(
        "convert_units",
        "Convert a value between units",
        {"value": Number(1, 500, 0.5), "from_unit": Text("unit"), "to_unit": Text("unit")},
        words(
            [
                "Convert {value} {from_unit} to {to_unit}.",
                "How many {to_unit} are {value} {from_unit}?",
                "What is {value} {from_unit} in {to_unit}?",
                "{value} {from_unit} in {to_unit}, please.",
            ],
            [
                "Express {value} {from_unit} as {to_unit}.",
                "I measured {value} {from_unit}; tell me the {to_unit}.",
            ],
        ),
        result={"result": Number(1, 900, 1.25)},
        say=words(["{value} {from_unit} are {result} {to_unit}."], ["That makes {result} {to_unit}."]),
    ),
)
