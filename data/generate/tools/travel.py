"""Trained tools: flights, hotels, cars and other ways to go."""

from data.generate.kinds import Choice, Integer, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "search_flights",
        "Search for flights between two cities",
        {
            "origin": Text("city"),
            "destination": Text("city"),
            "date": Text("date"),
            "cabin?": Choice("economy business"),
        },
        words(
            [
                "Find me a flight from {origin} to {destination} on {date}.",
                "I need to fly from {origin} to {destination} on {date} in {cabin} class.",
                "Are there flights to {destination} from {origin} on {date}?",
                "Look up {cabin} flights on {date} from {origin} to {destination}.",
                "I'm leaving {origin} on {date} and flying to {destination}. Show me the flights.",
                "Which flights leave {origin} for {destination} on {date}?",
                "Check air fares from {origin} to {destination} for {date}.",
                "I'd like a {cabin} seat from {origin} to {destination}, departing {date}.",
                "{origin} to {destination} on {date}: what can I fly?",
                "Get me to {destination} by plane on {date}. I'm in {origin}.",
            ],
            [
                "Which planes go from {origin} to {destination} on {date}?",
                "On {date} I want to travel by air to {destination}, starting in {origin}, in {cabin}.",
            ],
        ),
        pt=words(
            [
                "Procura voos de {origin} para {destination} em {date}.",
                "Quero voar de {origin} para {destination} em {date}.",
                "Voos {origin} - {destination}, {date}?",
            ],
            ["Há voos de {origin} até {destination} no dia {date}?"],
        ),
        result={"flight": Text("flight"), "price": Integer(80, 900, 5), "departure": Text("time")},
        say=words(
            [
                "Flight {flight} leaves {origin} at {departure} and costs {price} euros.",
                "I found flight {flight} to {destination} at {departure} for {price} euros.",
            ],
            ["You can take {flight} at {departure}; the fare is {price} euros."],
        ),
    ),
    Spec(
        "bookHotel",
        "Book a hotel room in a city",
        {"city": Text("city"), "checkIn": Text("date"), "nights": Integer(2, 14), "guests?": Integer(1, 6)},
        words(
            [
                "Book a hotel in {city} for {nights} nights from {checkIn}.",
                "I need a room in {city} from {checkIn} for {nights} nights, {guests} guests.",
                "Reserve {nights} nights in {city}, checking in on {checkIn}.",
                "Get us a hotel in {city} on {checkIn}: {guests} people, {nights} nights.",
                "We are staying in {city} for {nights} nights starting {checkIn}. Book something.",
                "Find me a bed in {city}: {nights} nights, arrival {checkIn}.",
                "Hotel for {guests} people in {city}, {nights} nights, from {checkIn}.",
                "I'm in {city} from {checkIn} on and need a place for {nights} nights.",
                "Can you get me a room in {city} on {checkIn} for {nights} nights?",
            ],
            [
                "We arrive in {city} on {checkIn} and want to sleep there {nights} nights.",
                "Please arrange a stay of {nights} nights for {guests} people in {city} beginning {checkIn}.",
            ],
        ),
        result={"hotel": Text("hotel"), "total": Integer(120, 1500, 10)},
        say=words(
            [
                "Your room at {hotel} in {city} is booked for {nights} nights; the total is {total} euros.",
                "I booked {hotel} in {city} from {checkIn}. It costs {total} euros.",
            ],
            ["Done: {nights} nights at {hotel}, {total} euros altogether."],
        ),
    ),
    Spec(
        "get_flight_status",
        "Get the live status of a flight",
        {"flight_number": Text("flight")},
        words(
            [
                "Is flight {flight_number} on time?",
                "What's the status of {flight_number}?",
                "Has {flight_number} landed yet?",
                "Check flight {flight_number} for me.",
                "Where is {flight_number} right now?",
                "Will {flight_number} be late?",
                "I'm waiting for flight {flight_number}. What is going on with it?",
                "When does {flight_number} leave?",
                "Flight {flight_number}: departed or not?",
            ],
            ["Any delay on {flight_number}?", "My friend is on {flight_number}. When does it arrive?"],
        ),
        both=words(
            [
                "Are flights {flight_number} and {flight_number/2} on time?",
                "Status of {flight_number} and of {flight_number/2}?",
                "Have {flight_number} and {flight_number/2} landed?",
            ],
            ["Please look at {flight_number} as well as {flight_number/2} and tell me if they are late."],
        ),
        result={"status": Choice("delayed boarding landed cancelled"), "gate": Integer(1, 60)},
        say=words(
            [
                "Flight {flight_number} is {status}, at gate {gate}.",
                "{flight_number} is {status} (gate {gate}).",
            ],
            ["At gate {gate}, {flight_number} is shown as {status}."],
        ),
    ),
    Spec(
        "book_taxi",
        "Book a taxi ride",
        {
            "pickup": Text("street"),
            "dropoff": Text("street"),
            "time": Text("time"),
            "passengers?": Integer(2, 6),
        },
        words(
            [
                "Book a taxi from {pickup} to {dropoff} at {time}.",
                "I need a cab at {time} from {pickup} to {dropoff} for {passengers} people.",
                "Send a taxi to {pickup} at {time}, going to {dropoff}.",
                "Taxi for {passengers} at {time}, please: {pickup} to {dropoff}.",
                "A taxi at {time}, {pickup} to {dropoff}.",
                "I have to be picked up at {pickup} at {time}; I'm going to {dropoff}.",
                "Order me a ride from {pickup} to {dropoff} for {time}.",
                "We're {passengers} and need a taxi at {time}, from {pickup} to {dropoff}.",
                "Could a driver take me from {pickup} to {dropoff}? I'd leave at {time}.",
            ],
            [
                "Have a cab pick me up at {pickup} at {time} and bring me to {dropoff}.",
                "At {time} we are {passengers} people riding from {pickup} to {dropoff} by taxi.",
            ],
        ),
        result={"driver": Text("name"), "fare": Integer(8, 70)},
        say=words(
            [
                "{driver} will pick you up at {pickup} at {time}. The fare is {fare} euros.",
                "Your taxi at {time} is booked with {driver}, for {fare} euros.",
            ],
            ["The driver is {driver}, and the ride to {dropoff} costs {fare} euros."],
        ),
    ),
    Spec(
        "find_trains",
        "Find trains between two cities",
        {"from_city": Text("city"), "to_city": Text("city"), "depart_after?": Text("time")},
        words(
            [
                "Which trains run from {from_city} to {to_city}?",
                "Find a train from {from_city} to {to_city} after {depart_after}.",
                "I want to take the train to {to_city} from {from_city}.",
                "Trains to {to_city} leaving {from_city} after {depart_after}, please.",
                "Train from {from_city} to {to_city}?",
                "When can I take a train to {to_city} out of {from_city}?",
                "I need to get from {from_city} to {to_city} by train, not before {depart_after}.",
                "Show the train connections {from_city} to {to_city}.",
                "Look for trains going to {to_city}. I start in {from_city}.",
            ],
            [
                "How can I go by rail from {from_city} to {to_city}?",
                "Is there any train that leaves {from_city} for {to_city} later than {depart_after}?",
            ],
        ),
        result={"departure": Text("time"), "minutes": Integer(40, 300, 5)},
        say=words(
            ["The next train to {to_city} leaves at {departure} and takes {minutes} minutes."],
            ["A train departs for {to_city} at {departure}; the ride is {minutes} minutes."],
        ),
    ),
)
