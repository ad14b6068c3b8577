"""Trained tools: flights, hotels, cars and other ways to go."""

from data.generate.kinds import Choice, Integer, Many, Record, Text
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
            ],
            [
                "Which planes go from {origin} to {destination} on {date}?",
                "On {date} I want to travel by air to {destination}, starting in {origin}, in {cabin}.",
            ],
        ),
        pt=words(
            ["Procura voos de {origin} para {destination} em {date}."],
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
            ],
            ["Any delay on {flight_number}?", "My friend is on {flight_number}. When does it arrive?"],
        ),
        both=words(
            ["Are flights {flight_number} and {flight_number/2} on time?"],
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
        "rent_car",
        "Rent a car in a city",
        {"city": Text("city"), "car_type": Choice("compact sedan van convertible"), "days": Integer(2, 15)},
        words(
            [
                "Rent a {car_type} in {city} for {days} days.",
                "I want a {car_type} for {days} days in {city}.",
                "We need a car in {city}: a {car_type}, {days} days.",
                "Get me a rental {car_type} in {city}. I'll keep it {days} days.",
            ],
            [
                "For {days} days in {city} I would like to drive a {car_type}.",
                "Hire a {car_type} for my {days} days in {city}.",
            ],
        ),
        result={"price": Integer(90, 800, 5)},
        say=words(
            [
                "A {car_type} in {city} for {days} days is reserved, for {price} euros.",
                "Your {car_type} is booked; it costs {price} euros.",
            ],
            ["You have a {car_type} for {days} days at {price} euros."],
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
        "check_visa",
        "Check whether a visa is needed to enter a country",
        {
            "nationality": Text("country"),
            "destination": Text("country"),
            "purpose?": Choice("tourism business study"),
        },
        words(
            [
                "Does a citizen of {nationality} need a visa for {destination}?",
                "I'm from {nationality} and going to {destination} for {purpose}. Do I need a visa?",
                "Check visa rules for {destination} with a passport of {nationality}.",
                "Visa for {purpose} in {destination}, nationality {nationality}?",
            ],
            [
                "With a passport from {nationality}, may I enter {destination} freely?",
                "My trip to {destination} is for {purpose}; my passport is of {nationality}. A visa?",
            ],
        ),
    ),
    Spec(
        "plan_trip",
        "Plan a trip through several cities",
        {
            "cities": Many(Text("city")),
            "budget?": Integer(500, 5000, 50),
            "dates": Record(
                {"start": Text("date"), "end": Text("date")},
                "from {start} to {end}",
                "between {start} and {end}",
            ),
        },
        words(
            [
                "Plan a trip to {cities} {dates}.",
                "I want to visit {cities} {dates} with a budget of {budget}.",
                "Make a travel plan {dates}: {cities}.",
                "We're touring {cities} {dates}. Plan it for {budget} euros.",
            ],
            [
                "Put together a journey {dates} covering {cities}.",
                "Our holiday {dates} goes to {cities} and may cost {budget}; organise it.",
            ],
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
