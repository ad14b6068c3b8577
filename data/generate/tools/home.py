"""Trained tools: rooms, lights and machines of a house."""

from data.generate.kinds import Choice, Integer, Many, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "switchLight",
        "Switch a light on or off",
        {
            "room": Text("room"),
            "state": Choice("on off"),
            "brightness?": Integer(10, 90),
            "color?": Text("color"),
        },
        words(
            [
                "Turn {state} the light in the {room}.",
                "Switch the {room} light {state}.",
                "Turn {state} the {room} light at {brightness} percent.",
                "Lights {state} in the {room}, please.",
                "Turn {state} the {room} light in {color}.",
                "It's too dark in the {room}: light {state}.",
                "I want the {room} light {state}.",
                "{room} light: {state}.",
                "Please have the light in the {room} {state}.",
                "Light {state} in the {room} with {brightness} percent brightness.",
                "Make the {room} light {color} and turn it {state}.",
            ],
            [
                "The lamp in the {room} should be {state}.",
                "Set the {room} lamp {state} with brightness {brightness}.",
            ],
        ),
        both=words(
            [
                "Turn {state} the light in the {room} and in the {room/2}.",
                "Light {state} in the {room} and the {room/2}, please.",
                "The {room} and the {room/2}: light {state}.",
            ],
            ["Lamps {state} in the {room} as well as the {room/2}."],
        ),
        result={},
        say=words(["The {room} light is {state}."], ["The lamp in the {room} is now {state}."]),
    ),
    Spec(
        "set_timer",
        "Start a countdown timer",
        {"minutes": Integer(2, 90), "label?": Text("label")},
        words(
            [
                "Set a timer for {minutes} minutes.",
                "Start a {minutes} minute timer for {label}.",
                "Time {minutes} minutes.",
                "I need a {label} timer of {minutes} minutes.",
                "Tell me when {minutes} minutes are over.",
                "The {label} needs {minutes} minutes. Start the clock.",
                "{minutes} minutes on the timer, please.",
                "Ring in {minutes} minutes.",
                "Let me know in {minutes} minutes.",
                "Timer: {minutes} minutes.",
            ],
            ["Count down {minutes} minutes.", "My {label} takes {minutes} minutes; run a timer."],
        ),
        both=words(
            [
                "Set a timer for {minutes} minutes and another for {minutes/2} minutes.",
                "One timer for {minutes} minutes, one for {minutes/2} minutes.",
                "Time {minutes} minutes and, separately, {minutes/2} minutes.",
            ],
            ["I need two timers: {minutes} minutes and {minutes/2} minutes."],
        ),
        pt=words(
            [
                "Põe um temporizador de {minutes} minutos.",
                "Avisa-me daqui a {minutes} minutos.",
                "Temporizador de {minutes} minutos, por favor.",
            ],
            ["Conta {minutes} minutos."],
        ),
        result={},
        say=words(["Your timer for {minutes} minutes is running."], ["{minutes} minutes, starting now."]),
    ),
    Spec(
        "set_alarm",
        "Set an alarm clock",
        {
            "time": Text("time"),
            "days?": Many(Choice("monday tuesday wednesday thursday friday saturday sunday")),
        },
        words(
            [
                "Set an alarm for {time}.",
                "Wake me at {time} on {days}.",
                "Alarm at {time}, please.",
                "I get up at {time} on {days}. Set the alarm.",
                "I have to be up at {time}.",
                "Get me out of bed at {time}.",
                "Alarm for {time} on {days}.",
                "Please wake me up at {time}.",
                "My alarm should go off at {time} on {days}.",
                "I need to wake at {time} tomorrow.",
            ],
            ["Make the alarm ring at {time}.", "Ring at {time} every {days}."],
        ),
        result={},
        say=words(["The alarm is set for {time}."], ["I will wake you at {time}."]),
    ),
    Spec(
        "start_vacuum",
        "Start the robot vacuum",
        {"rooms": Many(Text("room")), "mode?": Choice("quiet normal turbo")},
        words(
            [
                "Vacuum the {rooms}.",
                "Clean the {rooms} in {mode} mode.",
                "Send the robot to the {rooms}.",
                "Start vacuuming the {rooms}, {mode} mode.",
                "Please vacuum: {rooms}.",
                "The robot should clean the {rooms} now.",
                "Hoover the {rooms} in {mode} mode.",
                "There is dirt in the {rooms}. Start the vacuum.",
                "Can the vacuum clean the {rooms}?",
                "Run the vacuum in the {rooms}.",
            ],
            [
                "The {rooms} are dusty; let the robot clean them.",
                "Have the vacuum do the {rooms} using {mode} mode.",
            ],
        ),
        result={"minutes": Integer(10, 60)},
        say=words(
            ["The vacuum is cleaning the {rooms}; it needs {minutes} minutes."],
            ["Cleaning has begun and takes {minutes} minutes."],
        ),
    ),
    Spec(
        "turn_off_all_devices",
        "Turn off every device in the house",
        {},
        words(
            [
                "Turn everything off.",
                "Switch off all devices in the house.",
                "I'm leaving home. Turn off all the devices.",
                "Shut down every device, please.",
                "I'm going to bed, so everything off.",
                "Every device off now.",
                "Stop all appliances.",
                "We leave for the holidays. Switch the whole house off.",
                "Kill the power of all devices.",
            ],
            ["Nothing in the house should stay switched on.", "Power down all appliances at home."],
        ),
        result={},
        say=words(["Everything is switched off."], []),
    ),
)
