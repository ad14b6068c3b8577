"""Trained tools: rooms, lights and machines of a house."""

from data.generate.kinds import Choice, Flag, Integer, Many, Number, Record, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "set_thermostat",
        "Set the temperature of a room",
        {"room": Text("room"), "temperature": Number(16, 26, 0.5)},
        words(
            [
                "Set the {room} to {temperature} degrees.",
                "Make it {temperature} degrees in the {room}.",
                "Heat the {room} to {temperature}.",
                "I want {temperature} degrees in the {room}.",
            ],
            [
                "The {room} should be at {temperature} degrees.",
                "Bring the temperature of the {room} to {temperature}.",
            ],
        ),
        both=words(
            ["Set the {room} to {temperature} degrees and the {room/2} to {temperature/2}."],
            ["I'd like {temperature} degrees in the {room} but {temperature/2} in the {room/2}."],
        ),
        result={},
        say=words(
            ["The {room} is now set to {temperature} degrees."],
            ["Done, the {room} will reach {temperature} degrees."],
        ),
    ),
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
            ],
            [
                "The lamp in the {room} should be {state}.",
                "Set the {room} lamp {state} with brightness {brightness}.",
            ],
        ),
        both=words(
            ["Turn {state} the light in the {room} and in the {room/2}."],
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
            ],
            ["Count down {minutes} minutes.", "My {label} takes {minutes} minutes; run a timer."],
        ),
        both=words(
            ["Set a timer for {minutes} minutes and another for {minutes/2} minutes."],
            ["I need two timers: {minutes} minutes and {minutes/2} minutes."],
        ),
        pt=words(["Põe um temporizador de {minutes} minutos."], ["Conta {minutes} minutos."]),
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
            ],
            ["Make the alarm ring at {time}.", "Ring at {time} every {days}."],
        ),
        result={},
        say=words(["The alarm is set for {time}."], ["I will wake you at {time}."]),
    ),
    Spec(
        "lock_door",
        "Lock or unlock a door",
        {"door": Choice("front back garage"), "locked": Flag()},
        words(
            [
                "Lock the {door} door. | locked=true",
                "Unlock the {door} door. | locked=false",
                "Please make sure the {door} door is locked. | locked=true",
                "Open the lock of the {door} door. | locked=false",
            ],
            [
                "The {door} door should be locked now. | locked=true",
                "I want the {door} door unlocked. | locked=false",
            ],
        ),
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
            ],
            ["Nothing in the house should stay switched on.", "Power down all appliances at home."],
        ),
    ),
    Spec(
        "control_device",
        "Control a device at home",
        {
            "device": Text("device"),
            "action": Choice("start stop pause restart"),
            "settings?": Record(
                {"level": Integer(1, 10), "minutes": Integer(5, 60, 5)},
                "at level {level} for {minutes} minutes",
                "on level {level}, lasting {minutes} minutes",
            ),
        },
        words(
            [
                "Please {action} the {device}.",
                "{action} the {device} {settings}.",
                "Can you {action} the {device}?",
                "I want to {action} the {device} {settings}.",
            ],
            ["My {device}: {action} it.", "You should {action} the {device} now, {settings}."],
        ),
    ),
)
