"""Trained tools: films, music, books and sports."""

from data.generate.kinds import Choice, Flag, Integer, Many, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "search_movies",
        "Search for movies",
        {
            "genre": Choice("comedy drama thriller horror romance"),
            "year?": Integer(1960, 2024),
            "language?": Text("language"),
        },
        words(
            [
                "Find a {genre} movie.",
                "Show me a {genre} from {year}.",
                "I want to watch a {genre} film in {language}.",
                "Any good {genre} movies from {year} in {language}?",
            ],
            ["We feel like a {genre} tonight.", "Recommend some {genre} film made in {year}."],
        ),
        result={"title": Text("film"), "minutes": Integer(80, 180)},
        say=words(
            ['You could watch "{title}", a {genre} of {minutes} minutes.'],
            ['"{title}" is a {genre} that runs {minutes} minutes.'],
        ),
    ),
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
            ],
            [
                "Get us into {restaurant} at {time}; we are {people}.",
                "Could {restaurant} seat {people} people on {date} at {time}? Reserve it.",
            ],
        ),
        pt=words(
            ["Reserva uma mesa para {people} pessoas no {restaurant} às {time}."],
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
        "search_books",
        "Search for books in the library",
        {"author": Text("person"), "available_only?": Flag(), "format?": Choice("paper ebook audio")},
        words(
            [
                "Which books by {author} do you have?",
                "Find {format} books by {author}.",
                "Search books by {author}, only available ones. | available_only=true",
                "Is there anything by {author} as {format}?",
            ],
            ["I'm a fan of {author}; which books are there?", "Look for {author} in {format} format."],
        ),
        result={"title": Text("book"), "shelf": Integer(1, 80)},
        say=words(
            ['We have "{title}" by {author} on shelf {shelf}.'], ['"{title}" stands on shelf {shelf}.']
        ),
    ),
    Spec(
        "create_playlist",
        "Create a playlist of songs",
        {"name": Text("label"), "songs": Many(Text("song")), "public?": Flag()},
        words(
            [
                'Create a playlist "{name}" with {songs}.',
                'Make a public playlist called "{name}" from {songs}. | public=true',
                'New playlist "{name}": {songs}.',
                'Put {songs} into a private playlist named "{name}". | public=false',
            ],
            [
                '{songs} should become a playlist named "{name}".',
                'Collect {songs} in a list "{name}" that everyone can hear. | public=true',
            ],
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
            ],
            ['Let me listen to "{song}".', 'How about some {artist}? "{song}" would be nice.'],
        ),
        pt=words(['Toca "{song}" de {artist}.'], ['Quero ouvir "{song}".']),
        result={"seconds": Integer(120, 320)},
        say=words(
            ['Playing "{song}", which lasts {seconds} seconds.'], ['"{song}" is on now ({seconds} seconds).']
        ),
    ),
    Spec(
        "get_team_score",
        "Get the latest score of a sports team",
        {"team": Text("team")},
        words(
            [
                "What's the score of {team}?",
                "Did {team} win?",
                "How did {team} play?",
                "Latest result for {team}?",
            ],
            ["Tell me how the match of {team} ended.", "How many goals or points did {team} get?"],
        ),
        both=words(
            ["What are the scores of {team} and {team/2}?"], ["How did {team} do, and how did {team/2} do?"]
        ),
        result={"scored": Integer(0, 9), "conceded": Integer(0, 9)},
        say=words(
            ["{team} scored {scored} and conceded {conceded}."],
            ["The match of {team} ended {scored} to {conceded}."],
        ),
    ),
    Spec(
        "buy_tickets",
        "Buy tickets for a show",
        {"show": Text("show"), "seats": Integer(1, 10), "section?": Choice("balcony floor box")},
        words(
            [
                "Buy {seats} tickets for {show}.",
                "I want {seats} seats in the {section} for {show}.",
                "Get {seats} {section} tickets to {show}.",
                "{seats} tickets for {show}, please.",
            ],
            [
                "We are {seats} and want to see {show} from the {section}.",
                "Purchase {seats} seats at {show}.",
            ],
        ),
        result={"total": Integer(20, 400, 5)},
        say=words(
            ["{seats} tickets for {show} cost {total} euros in total."],
            ["I bought {seats} seats for {show} at {total} euros."],
        ),
    ),
    Spec(
        "find_courses",
        "Find courses on a subject",
        {"subject": Text("course"), "level?": Choice("beginner intermediate advanced"), "free_only?": Flag()},
        words(
            [
                "Find a course on {subject}.",
                "I want to learn {subject} at {level} level.",
                "Show only free courses in {subject}. | free_only=true",
                "Are there {level} courses on {subject}?",
            ],
            ["Where can I study {subject}?", "A {level} class in {subject} would suit me; look for one."],
        ),
    ),
    Spec(
        "create_quiz",
        "Create a quiz about a topic",
        {"topic": Text("topic"), "questions": Integer(3, 30), "difficulty?": Choice("easy medium hard")},
        words(
            [
                "Make a quiz about {topic} with {questions} questions.",
                "Create a {difficulty} quiz on {topic}, {questions} questions.",
                "Quiz me on {topic}: {questions} questions.",
                "I want {questions} {difficulty} questions about {topic}.",
            ],
            [
                "Test my knowledge of {topic} using {questions} questions.",
                "Prepare {questions} quiz questions on {topic}, {difficulty} ones.",
            ],
        ),
    ),
)
