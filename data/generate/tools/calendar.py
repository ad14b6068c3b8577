"""Trained tools: events, reminders and other things with a date."""

from data.generate.kinds import Choice, Flag, Integer, Many, Record, Text
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
            ],
            [
                "Block {date} for {title}.",
                "I have {title} on {date} at {time}; {attendees} will come too. Enter it.",
            ],
        ),
        pt=words(
            ["Marca {title} no calendário para {date} às {time}."], ["Cria o evento {title} em {date}."]
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
            ],
            ["I must {text} on {date}. Give me a nudge.", "Please ping me on {date} at {time} to {text}."],
        ),
        pt=words(
            ["Lembra-me de {text} em {date} às {time}."], ["Não me deixes esquecer de {text} no dia {date}."]
        ),
        result={},
        say=words(
            ["I will remind you to {text} on {date}.", "Reminder set: {text}, {date}."],
            ["On {date} you will be reminded to {text}."],
        ),
    ),
    Spec(
        "find_meeting_room",
        "Find a free meeting room",
        {"people": Integer(2, 30), "date": Text("date"), "floor?": Integer(1, 12), "projector?": Flag()},
        words(
            [
                "Find a meeting room for {people} people on {date}.",
                "I need a room with a projector for {people} people on {date}. | projector=true",
                "Is there a free room for {people} on floor {floor} on {date}?",
                "Meeting room on {date} for {people} people, no projector needed. | projector=false",
            ],
            [
                "We are {people} on {date} and need somewhere to meet on floor {floor}.",
                "On {date}, which room holds {people} people and has a projector? | projector=true",
            ],
        ),
        result={"room": Text("city"), "capacity": Integer(6, 40)},
        say=words(
            ["Room {room} is free on {date}; it holds {capacity} people."],
            ["You can use room {room}, which seats {capacity}."],
        ),
    ),
    Spec(
        "list_calendars",
        "List all calendars of the user",
        {},
        words(
            [
                "Which calendars do I have?",
                "List my calendars.",
                "Show me all my calendars.",
                "What calendars are set up?",
            ],
            ["Name every calendar in my account.", "I'd like an overview of my calendars."],
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
            ],
            ["Arrange that I phone {person}, {slot}.", "A call with {person} should be fixed {slot}."],
        ),
    ),
    Spec(
        "request_leave",
        "Request days off work",
        {"leave_type": Choice("vacation sick parental"), "first_day": Text("date"), "days": Integer(2, 20)},
        words(
            [
                "Request {days} days of {leave_type} leave from {first_day}.",
                "I want {leave_type} leave starting {first_day} for {days} days.",
                "Put me down for {leave_type} leave: {days} days, first day {first_day}.",
                "From {first_day} I take {days} days of {leave_type} leave. File it.",
            ],
            [
                "I'll be away {days} days from {first_day} on, on {leave_type} leave; apply for that.",
                "Apply for {leave_type} leave beginning {first_day}, {days} days in total.",
            ],
        ),
        result={},
        say=words(
            ["Your {leave_type} leave from {first_day} was requested."],
            ["The request for {days} days of {leave_type} leave is in."],
        ),
    ),
    Spec(
        "add_task",
        "Add a task to the to-do list",
        {"title": Text("task"), "priority?": Choice("low medium high"), "assignee?": Text("name")},
        words(
            [
                "Add a task to {title}.",
                'Put "{title}" on the to-do list with {priority} priority.',
                'New {priority} priority task for {assignee}: "{title}".',
                'Give {assignee} the task "{title}".',
                'To-do: "{title}", {priority} priority.',
            ],
            [
                'Note "{title}" as something to do, priority {priority}.',
                'Let {assignee} take care of "{title}" on the list.',
            ],
        ),
        result={"task_id": Text("order")},
        say=words(
            ['The task "{title}" was added as {task_id}.'], ['"{title}" is on the list under {task_id}.']
        ),
    ),
    Spec(
        "bookAppointment",
        "Book an appointment with a doctor",
        {
            "doctor": Text("doctor"),
            "date": Text("date"),
            "time?": Text("time"),
            "reason?": Choice("checkup vaccination followup"),
        },
        words(
            [
                "Book an appointment with {doctor} on {date}.",
                "I need to see {doctor} on {date} at {time}.",
                "Make an appointment for a {reason} with {doctor} on {date}.",
                "Get me in with {doctor} on {date} at {time} for a {reason}.",
            ],
            ["{doctor} should see me on {date}, {time}.", "Arrange a {reason} at {doctor} for {date}."],
        ),
        result={},
        say=words(["Your appointment with {doctor} is on {date}."], ["{doctor} expects you on {date}."]),
    ),
)
