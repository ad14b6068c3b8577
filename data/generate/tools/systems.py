"""Trained tools: servers, services and users."""

from data.generate.kinds import Choice, Flag, Integer, Many, Number, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "create_file",
        "Create a text file",
        {"path": Text("file"), "content": Text("message"), "overwrite?": Flag()},
        words(
            [
                'Create a file {path} with the content "{content}".',
                'Write "{content}" to {path}.',
                'Save "{content}" as {path} and overwrite what is there. | overwrite=true',
                'New file {path}: "{content}".',
            ],
            [
                '{path} should contain "{content}".',
                'Store the text "{content}" in {path}, replacing the old file. | overwrite=true',
            ],
        ),
    ),
    Spec(
        "query_table",
        "Read rows from a database table",
        {
            "table": Text("table"),
            "columns?": Many(Choice("id name email status total created")),
            "limit?": Integer(5, 200, 5),
        },
        words(
            [
                "Show me the {table} table.",
                "Get {limit} rows from {table}.",
                "Select {columns} from {table}.",
                "Read {columns} of the first {limit} {table}.",
            ],
            ["I'd like to look at {limit} {table}.", "From the table {table} I need {columns}."],
        ),
    ),
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
            ],
            [
                "The {service} of {environment} needs a fresh start.",
                "Bring {service} in {environment} down and up again by force. | force=true",
            ],
        ),
        both=words(
            ["Restart {service} and {service/2} in {environment}."],
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
            ],
            [
                '"{title}" is a {severity} problem; file it.',
                'File a {severity} issue for {reporter}: "{title}".',
            ],
        ),
        pt=words(
            ['Abre um ticket "{title}" com gravidade {severity}.'],
            ['Regista o problema "{title}", gravidade {severity}.'],
        ),
        result={"ticket": Text("order")},
        say=words(
            ["I opened ticket {ticket} with {severity} severity."], ["The ticket has the number {ticket}."]
        ),
    ),
    Spec(
        "deploy_app",
        "Deploy a version of an app",
        {"app": Text("service"), "version": Text("version"), "target": Choice("staging production")},
        words(
            [
                "Deploy {app} {version} to {target}.",
                "Roll out version {version} of {app} to {target}.",
                "Ship {app} {version} on {target}.",
                "Release {app}, version {version}, to {target}.",
            ],
            ["{target} should run {version} of {app}.", "Bring {version} of {app} live in {target}."],
        ),
        result={},
        say=words(["{app} {version} is live on {target}."], ["{target} now runs {app} {version}."]),
    ),
    Spec(
        "create_user",
        "Create a user account",
        {"username": Text("username"), "role": Choice("admin editor viewer"), "email?": Text("email")},
        words(
            [
                "Create a user {username} with the {role} role.",
                "Add {username} as {role}, email {email}.",
                "New {role} account: {username}.",
                "Set up an account {username} for {email} as {role}.",
            ],
            ["{username} should become {role}.", "Register {username} ({email}) with rights of {role}."],
        ),
        both=words(
            ["Create users {username} and {username/2} with the {role} role."],
            ["Both {username} and {username/2} should become {role}."],
        ),
    ),
    Spec(
        "ping_host",
        "Ping a host",
        {"host": Text("host"), "count?": Integer(2, 20), "timeout?": Number(0.5, 10, 0.5)},
        words(
            [
                "Ping {host}.",
                "Ping {host} {count} times.",
                "Is {host} reachable? Use a timeout of {timeout} seconds.",
                "Send {count} pings to {host} with timeout {timeout}.",
            ],
            ["Does {host} answer?", "See if {host} responds to {count} pings."],
        ),
        both=words(["Ping {host} and {host/2}."], ["Do {host} and {host/2} answer?"]),
        result={"milliseconds": Integer(2, 200)},
        say=words(["{host} answered in {milliseconds} ms."], ["It took {milliseconds} ms to reach {host}."]),
    ),
    Spec(
        "get_server_stats",
        "Get the load of the server",
        {},
        words(
            [
                "How is the server doing?",
                "Show me the server stats.",
                "What's the load on the server?",
                "Check the server load.",
            ],
            ["Is our server under heavy use?", "I want to see how busy the server is."],
        ),
        result={"cpu_percent": Integer(3, 98), "memory_percent": Integer(5, 97)},
        say=words(
            ["The server uses {cpu_percent}% of the CPU and {memory_percent}% of its memory."],
            ["CPU is at {cpu_percent}%, memory at {memory_percent}%."],
        ),
    ),
)
