"""Trained tools: servers, services and users."""

from data.generate.kinds import Choice, Flag, Integer, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "restart_service",
        "Restart a service",
        {"service": Text("service"), "environment": Choice("staging production testing"), "force?": Flag()},
        words(
            [
                "Restart {service} in {environment}.",
                "Force a restart of {service} in {environment}. | force=true",
                "{service} hangs in {environment}. Restart it.",
                "Please restart the {environment} {service}.",
                "{service} in {environment} hangs. Restart it.",
                "The {service} service on {environment} must be restarted.",
                "Bring {service} in {environment} down and up again.",
                "Force {service} on {environment} to restart. | force=true",
                "Can you reboot {service} in {environment}?",
                "{environment}: restart {service}.",
            ],
            [
                "The {service} of {environment} needs a fresh start.",
                "Bring {service} in {environment} down and up again by force. | force=true",
            ],
        ),
        both=words(
            [
                "Restart {service} and {service/2} in {environment}.",
                "Both {service} and {service/2} in {environment} need a restart.",
                "Reboot {service} and {service/2}, {environment}.",
            ],
            ["Both {service} and {service/2} need a fresh start in {environment}."],
        ),
        result={"seconds": Integer(2, 60)},
        say=words(
            ["{service} was restarted in {seconds} seconds."],
            ["After {seconds} seconds {service} is running again."],
        ),
    ),
    Spec(
        "createTicket",
        "Create a support ticket",
        {"title": Text("problem"), "severity": Choice("low medium high critical"), "reporter?": Text("name")},
        words(
            [
                'Open a {severity} ticket: "{title}".',
                'Create a ticket "{title}" with {severity} severity.',
                'Report "{title}" as {severity}, reported by {reporter}.',
                '{reporter} says "{title}". Open a {severity} ticket.',
                'There is a bug: "{title}". Severity {severity}.',
                'Report "{title}" as {severity}.',
                'New {severity} ticket: "{title}".',
                '{reporter} found a problem, "{title}". It is {severity}.',
                'Please file "{title}" with {severity} severity.',
                'Something is broken: "{title}". I\'d call it {severity}.',
            ],
            [
                '"{title}" is a {severity} problem; file it.',
                'File a {severity} issue for {reporter}: "{title}".',
            ],
        ),
        pt=words(
            [
                'Abre um ticket "{title}" com gravidade {severity}.',
                'Há um erro: "{title}". Gravidade {severity}.',
                'Novo ticket {severity}: "{title}".',
            ],
            ['Regista o problema "{title}", gravidade {severity}.'],
        ),
        result={"ticket": Text("order")},
        say=words(
            ["I opened ticket {ticket} with {severity} severity."], ["The ticket has the number {ticket}."]
        ),
    ),
)
