"""Trained tools: films, music, books and sports."""

from data.generate.kinds import Integer, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "bookTable",
        "Book a table at a restaurant",
        {
            "restaurant": Text("restaurant"),
            "people": Integer(2, 12),
            "date?": Text("date"),
            "time": Text("time"),
        },
        words(
            [
                "Book a table for {people} at {restaurant} at {time}.",
                "Reserve {restaurant} for {people} people on {date} at {time}.",
                "Table for {people} at {restaurant}, {date}, {time}.",
                "We want to eat at {restaurant} at {time}, {people} of us.",
                "A table at {restaurant}, {time}, {people} people.",
                "We're {people} and want to eat at {restaurant} at {time}.",
                "Dinner at {restaurant} on {date} at {time} for {people}.",
                "Can you reserve at {restaurant}? {people} persons, {time}.",
                "Get me a table for {people} at {restaurant}, {date}, {time}.",
                "{restaurant}, table for {people}, {time}.",
            ],
            [
                "Get us into {restaurant} at {time}; we are {people}.",
                "Could {restaurant} seat {people} people on {date} at {time}? Reserve it.",
            ],
        ),
        pt=words(
            [
                "Reserva uma mesa para {people} pessoas no {restaurant} às {time}.",
                "Mesa para {people} no {restaurant}, {time}.",
                "Podes reservar no {restaurant} para {people} pessoas às {time}?",
            ],
            ["Quero jantar no {restaurant} às {time}, somos {people}."],
        ),
        result={"table": Integer(1, 40)},
        say=words(
            [
                "Table {table} at {restaurant} is booked for {time}.",
                "You have table {table} for {people} people at {time}.",
            ],
            ["{restaurant} keeps table {table} for you at {time}."],
        ),
    ),
    Spec(
        "play_music",
        "Play a song",
        {"song": Text("song"), "artist?": Text("artist"), "volume?": Integer(5, 100, 5)},
        words(
            [
                'Play "{song}".',
                'Play "{song}" by {artist}.',
                'I want to hear "{song}" by {artist}.',
                'Put on "{song}" at volume {volume}.',
                'Start "{song}" by {artist}, volume {volume}.',
                'I want to hear "{song}".',
                'Put "{song}" on.',
                'Some music: "{song}" by {artist}.',
                'My favourite is "{song}". Play it.',
                'Start the song "{song}" at volume {volume}.',
                'Can I hear {artist} with "{song}"?',
            ],
            ['Let me listen to "{song}".', 'How about some {artist}? "{song}" would be nice.'],
        ),
        pt=words(
            ['Toca "{song}" de {artist}.', 'Põe a música "{song}".', 'Gostava de ouvir {artist}, "{song}".'],
            ['Quero ouvir "{song}".'],
        ),
        result={"seconds": Integer(120, 320)},
        say=words(
            ['Playing "{song}", which lasts {seconds} seconds.'], ['"{song}" is on now ({seconds} seconds).']
        ),
    ),
)
