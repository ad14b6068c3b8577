"""Trained tools: messages, polls and words."""

from data.generate.kinds import Choice, Flag, Integer, Many, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "post_message",
        "Post a message in a channel",
        {"channel": Text("channel"), "text": Text("message"), "pinned?": Flag()},
        words(
            [
                'Post "{text}" in {channel}.',
                'Tell {channel}: "{text}".',
                'Write "{text}" to {channel} and pin it. | pinned=true',
                'Send "{text}" to the {channel} channel.',
            ],
            [
                'Everyone in {channel} should read "{text}".',
                '"{text}" belongs in {channel}; pin it there. | pinned=true',
            ],
        ),
        result={},
        say=words(['"{text}" was posted in {channel}.'], ["Your message is now in {channel}."]),
    ),
    Spec(
        "sendSms",
        "Send a text message to a phone number",
        {"phoneNumber": Text("phone"), "message": Text("message")},
        words(
            [
                'Text {phoneNumber}: "{message}".',
                'Send an SMS to {phoneNumber} saying "{message}".',
                'Send "{message}" by SMS to {phoneNumber}.',
                'SMS "{message}" to {phoneNumber}.',
            ],
            [
                'Let the phone {phoneNumber} get the text "{message}".',
                'Short message for {phoneNumber}: "{message}".',
            ],
        ),
        result={},
        say=words(["Your text was sent to {phoneNumber}."], ["{phoneNumber} has got your message."]),
    ),
    Spec(
        "generate_password",
        "Generate a random password",
        {"length": Integer(8, 40), "symbols?": Flag()},
        words(
            [
                "Generate a password with {length} characters.",
                "I need a {length} character password with symbols. | symbols=true",
                "Make a random password, {length} characters, no symbols. | symbols=false",
                "Create a password of length {length}.",
            ],
            [
                "A secret of {length} characters for my login, please.",
                "Invent a password that has {length} characters, including symbols. | symbols=true",
            ],
        ),
    ),
    Spec(
        "create_poll",
        "Create a poll",
        {"question": Text("question"), "options": Many(Text("option")), "anonymous?": Flag()},
        words(
            [
                'Create a poll "{question}" with the options {options}.',
                'Ask the team "{question}": {options}.',
                'Make an anonymous poll "{question}" with {options}. | anonymous=true',
                'Poll: "{question}" Options: {options}.',
            ],
            [
                'Let people vote on "{question}", choosing from {options}.',
                'Hold a secret vote, "{question}", between {options}. | anonymous=true',
            ],
        ),
    ),
    Spec(
        "tell_joke",
        "Tell a joke",
        {"style?": Choice("pun riddle dad")},
        words(
            ["Tell me a joke.", "Make me laugh.", "Give me a {style} joke.", "Do you know a {style} joke?"],
            ["Say something funny.", "I could use a {style} joke now."],
        ),
    ),
    Spec(
        "define_word",
        "Look up the definition of a word",
        {"word": Text("word")},
        words(
            [
                "What does {word} mean?",
                'Define "{word}".',
                "Look up the word {word}.",
                "I don't know the word {word}. What is it?",
            ],
            ["Explain the meaning of {word}.", 'Dictionary entry for "{word}"?'],
        ),
        both=words(["What do {word} and {word/2} mean?"], ["Give me definitions of {word} and {word/2}."]),
    ),
    Spec(
        "get_news",
        "Get news headlines about a topic",
        {"topic": Text("topic"), "language?": Text("language"), "count?": Integer(2, 20)},
        words(
            [
                "What's new about {topic}?",
                "Get the news on {topic} in {language}.",
                "Show me {count} headlines about {topic}.",
                "Latest news about {topic}, please.",
                "Find {count} news items about {topic} in {language}.",
            ],
            ["Has anything happened in {topic} lately?", "{count} recent stories on {topic}, if you can."],
        ),
        both=words(
            ["Get me the news about {topic} and about {topic/2}."],
            ["Anything recent on {topic} or on {topic/2}?"],
        ),
        pt=words(["Quais são as notícias sobre {topic}?"], ["Mostra-me {count} notícias sobre {topic}."]),
    ),
)
