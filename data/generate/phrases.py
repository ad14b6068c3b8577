"""Words around the requests: system messages, joints between two requests, and answers when no tool fits."""

from data.generate.spec import words

SYSTEM = words(
    [
        "You are a helpful assistant.",
        "You are a helpful assistant with access to functions.",
        "Use the functions when they fit the request.",
        "You are a friendly assistant. Be brief.",
        "Help the user. Call a function if one fits.",
        "You are an assistant that can call tools.",
    ],
    ["You are a capable assistant who can use tools.", "Assist the user, with tools where they help."],
)

TWO_REQUESTS = words(
    [
        "{0} {1}",
        "{0} Also: {1}",
        "Two things. {0} {1}",
        "{0} And one more thing: {1}",
        "First: {0} Second: {1}",
        "{0} After that: {1}",
        "I need two things done. {0} {1}",
        "{0} Then: {1}",
        "1. {0} 2. {1}",
        "{0} At the same time: {1}",
        "Please do both: {0} {1}",
        "{0} Oh, and: {1}",
        "There are two requests. The first: {0} The other: {1}",
        "A) {0} B) {1}",
    ],
    ["{0} In addition: {1}", "I have two wishes. One: {0} Two: {1}", "{0} Apart from that: {1}"],
)

NEXT_REQUEST = words(
    [
        "Thanks. {0}",
        "Great, thank you! {0}",
        "Okay. {0}",
        "Now something else. {0}",
        "Good. {0}",
        "Next: {0}",
        "Super. {0}",
        "I see. {0}",
        "Very nice! {0}",
        "{0}",
    ],
    ["Perfect. {0}", "Lovely, thanks a lot. {0}", "Understood. {0}"],
)

BRIEF = "Done."

NO_TOOL = words(
    [
        "I'm sorry, but I can't do that with the functions I have. I can {offer} if you like.",
        "None of my functions fits that request. I could {offer} instead, if that helps.",
        "I'm afraid I don't have a tool for that. Is there anything else that I can help you with?",
        "That is not something I can do here, but I can {offer}. Would you like that?",
        "Unfortunately, the available functions don't cover that. I can help you to {offer}, though.",
        "I don't have a function that can do this. Please let me know if I can help with something else.",
        "Sorry, that is outside of what my tools can do. What I can do is {offer}.",
        "I can't help with that directly, because no function is available for it.",
    ],
    [
        "My tools are not made for this, I'm sorry. They let me {offer}.",
        "There is no function here that could do that for you. May I {offer} for you instead?",
        "I wish I could, but nothing among my functions matches your request.",
    ],
)

FACTS_TRAIN = (
    ("Who wrote Romeo and Juliet?", "Romeo and Juliet was written by William Shakespeare."),
    ("What is the capital of France?", "The capital of France is Paris."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("What color do you get when you mix blue and yellow?", "Mixing blue and yellow gives you green."),
    ("What is the largest ocean on Earth?", "The largest ocean on Earth is the Pacific Ocean."),
    ("Hello, how are you?", "Hello! I'm doing well, thank you. How can I help you today?"),
    ("Thank you for your help!", "You're welcome! Let me know if there is anything else I can do for you."),
    (
        "What can you help me with?",
        "I can answer questions and use my functions for you. Just tell me what you need.",
    ),
    (
        "What is photosynthesis?",
        "Photosynthesis is how plants use sunlight to turn water and carbon dioxide into sugar and oxygen.",
    ),
    ("Can you give me a synonym for happy?", "A good synonym for happy is joyful."),
    (
        "Why is the sky blue?",
        "The sky looks blue because the air scatters blue light from the sun more than red light.",
    ),
    ("Who painted the Mona Lisa?", "The Mona Lisa was painted by Leonardo da Vinci."),
    ("How many days are in a leap year?", "A leap year has 366 days."),
    ("What do bees make?", "Bees make honey."),
    ("Good morning!", "Good morning! What can I do for you today?"),
    ("What is the freezing point of water?", "Water freezes at 0 degrees Celsius, or 32 degrees Fahrenheit."),
)

FACTS_HELDOUT = (
    ("Which planet is known as the Red Planet?", "Mars is known as the Red Planet."),
    ("How many continents are there?", "There are seven continents."),
    ("What is the opposite of cold?", "The opposite of cold is hot."),
    ("Hi there, nice to meet you!", "Hi! It's nice to meet you too. How can I help?"),
    ("What do cows drink?", "Cows drink water, and calves drink milk."),
    ("Which metal is liquid at room temperature?", "Mercury is liquid at room temperature."),
)
