"""Trained tools: events, reminders and other things with a date."""

from data.generate.kinds import Many, Record, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "createEvent",
        "Create an event in the calendar",
        {
            "title": Text("event"),
            "date": Text("date"),
            "time?": Text("time"),
            "attendees?": Many(Text("name")),
        },
        words(
            [
                "Put {title} in my calendar on {date}.",
                "Create an event called {title} on {date} at {time}.",
                "Schedule {title} for {date} at {time} with {attendees}.",
                "Add {title} to the calendar for {date} and invite {attendees}.",
                "New event: {title}, {date}, {time}.",
                "{title} is on {date}. Please note it in the calendar.",
                "Make a calendar entry: {title}, {date}.",
                "{date} at {time} there is {title}. Save it to my calendar.",
                "Reserve {date} in my diary for {title}.",
                "Plan {title} with {attendees} on {date}.",
                "I'm going to {title} on {date}. Add that.",
            ],
            [
                "Block {date} for {title}.",
                "I have {title} on {date} at {time}; {attendees} will come too. Enter it.",
            ],
        ),
        pt=words(
            [
                "Marca {title} no calendário para {date} às {time}.",
                "Quero {title} no meu calendário no dia {date}.",
                "Agenda {title} para {date}.",
            ],
            ["Cria o evento {title} em {date}."],
        ),
        result={},
        say=words(
            ["{title} is in your calendar for {date}.", "I added {title} on {date}."],
            ["Your event {title} now stands on {date}."],
        ),
    ),
    Spec(
        "set_reminder",
        "Set a reminder",
        {"text": Text("task"), "date": Text("date"), "time?": Text("time")},
        words(
            [
                "Remind me to {text} on {date}.",
                "Set a reminder to {text} on {date} at {time}.",
                "On {date} at {time}, remind me to {text}.",
                "Don't let me forget to {text} on {date}.",
                "I have to {text} on {date}; remind me.",
                "Send me a reminder on {date}: {text}.",
                "Make sure that I {text} on {date} at {time}.",
                "Could you remind me on {date} that I should {text}?",
                "{date}: remind me to {text}.",
                "Note for {date} at {time}: {text}. Remind me then.",
            ],
            ["I must {text} on {date}. Give me a nudge.", "Please ping me on {date} at {time} to {text}."],
        ),
        pt=words(
            [
                "Lembra-me de {text} em {date} às {time}.",
                "Avisa-me em {date} para {text}.",
                "Tenho de {text} em {date}; lembra-me.",
            ],
            ["Não me deixes esquecer de {text} no dia {date}."],
        ),
        result={},
        say=words(
            ["I will remind you to {text} on {date}.", "Reminder set: {text}, {date}."],
            ["On {date} you will be reminded to {text}."],
        ),
    ),
    Spec(
        "schedule_call",
        "Schedule a phone call with someone",
        {
            "person": Text("person"),
            "slot": Record(
                {"date": Text("date"), "time": Text("time")}, "on {date} at {time}", "for {date}, {time}"
            ),
        },
        words(
            [
                "Schedule a call with {person} {slot}.",
                "Set up a phone call {slot} with {person}.",
                "I want to talk to {person} {slot}. Schedule it.",
                "Plan a call to {person} {slot}.",
                "{person} and I should speak {slot}. Put it in.",
                "Book a phone meeting with {person} {slot}.",
                "Call with {person} {slot}, please.",
                "Let me phone {person} {slot}. Arrange it.",
                "I need to ring {person} {slot}.",
            ],
            ["Arrange that I phone {person}, {slot}.", "A call with {person} should be fixed {slot}."],
        ),
        result={},
        say=words(["Your call with {person} is scheduled."], []),
    ),
)
