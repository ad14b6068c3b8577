"""Trained tools: mail, notes, documents and news."""

from data.generate.kinds import Flag, Integer, Many, Number, Record, Text
from data.generate.spec import Spec, words

_LINE = Record(
    {"item": Text("product"), "quantity": Integer(1, 20), "price": Number(2, 90, 0.5)},
    "{quantity} x {item} at {price}",
    "{quantity} pieces of {item} for {price} each",
)

TOOLS = (
    Spec(
        "send_email",
        "Send an email",
        {"to": Text("email"), "subject": Text("subject"), "body?": Text("message"), "urgent?": Flag()},
        words(
            [
                'Send an email to {to} with the subject "{subject}".',
                'Email {to}, subject "{subject}", and write "{body}".',
                'Write to {to} about "{subject}" saying "{body}".',
                'Send {to} an urgent email with the subject "{subject}" | urgent=true',
                'Mail "{body}" to {to} under the subject "{subject}".',
                'Write to {to} about "{subject}".',
                'Send {to} an email, subject "{subject}", saying "{body}".',
                'Mail {to}: "{body}". The subject is "{subject}".',
                'An urgent mail to {to}, please, subject "{subject}". | urgent=true',
                'I want to email {to}. The title should be "{subject}".',
                'Could you send "{body}" to {to} under the subject "{subject}"?',
            ],
            [
                'Let {to} know by email: "{body}". Use "{subject}" as subject.',
                'Drop a line to {to} titled "{subject}".',
            ],
        ),
        pt=words(
            [
                'Envia um email para {to} com o assunto "{subject}" e o texto "{body}".',
                'Escreve a {to}, assunto "{subject}".',
                'Quero mandar um email para {to} sobre "{subject}".',
            ],
            ['Manda um email a {to}, assunto "{subject}".'],
        ),
        result={},
        say=words(
            ["Your email to {to} has been sent.", 'I sent "{subject}" to {to}.'],
            ['The mail "{subject}" is on its way to {to}.'],
        ),
    ),
    Spec(
        "create_note",
        "Write a note",
        {"text": Text("message"), "tags?": Many(Text("tag"))},
        words(
            [
                'Make a note: "{text}".',
                'Note down "{text}" with the tags {tags}.',
                'Write "{text}" in my notes and tag it {tags}.',
                'Save a note saying "{text}".',
                'Remember this: "{text}".',
                'Put "{text}" into my notes.',
                'New note: "{text}".',
                'I want to write down "{text}" with the tags {tags}.',
                'Store "{text}" so that I don\'t forget it.',
                'Take down the following: "{text}". Tags: {tags}.',
            ],
            ['Jot down "{text}".', 'Keep "{text}" as a note labelled {tags}.'],
        ),
        result={"note_id": Text("order")},
        say=words(["Your note is saved as {note_id}."], ["It is noted under {note_id}."]),
    ),
    Spec(
        "translate_text",
        "Translate text into another language",
        {"text": Text("message"), "target_language": Text("language")},
        words(
            [
                'Translate "{text}" into {target_language}.',
                'How do you say "{text}" in {target_language}?',
                'I need "{text}" in {target_language}.',
                'Put this into {target_language}: "{text}".',
                'Put "{text}" into {target_language}.',
                'What\'s the {target_language} for "{text}"?',
                'My friend speaks {target_language}. How do I tell them "{text}"?',
                'Say "{text}" in {target_language}.',
            ],
            [
                'What would "{text}" be in {target_language}?',
                '{target_language} version of "{text}", please.',
            ],
        ),
        both=words(
            [
                'Translate "{text}" into {target_language} and {target_language/2}.',
                'How do you say "{text}" in {target_language} and in {target_language/2}?',
                '"{text}" in {target_language}, then in {target_language/2}.',
            ],
            ['I want "{text}" in both {target_language} and {target_language/2}.'],
        ),
        pt=words(
            [
                'Traduz "{text}" para {target_language}.',
                'Quero "{text}" em {target_language}.',
                'Põe "{text}" em {target_language}, por favor.',
            ],
            ['Como se diz "{text}" em {target_language}?'],
        ),
        result={"stored_as": Text("order")},
        say=words(["The translation is stored as {stored_as}."], []),
    ),
    Spec(
        "create_invoice",
        "Create an invoice for a customer",
        {"customer": Text("person"), "lines": Many(_LINE, 1, 2), "due_date?": Text("date")},
        words(
            [
                "Invoice {customer} for {lines}.",
                "Create an invoice for {customer}: {lines}.",
                "Bill {customer} {lines}, due on {due_date}.",
                "Make an invoice to {customer} due {due_date} with {lines}.",
                "{customer} bought {lines}. Make the invoice.",
                "Write a bill for {customer}: {lines}.",
                "Please send an invoice over {lines} to {customer}.",
                "{customer} owes us for {lines}; create the invoice, due {due_date}.",
                "I sold {lines} to {customer}. I need an invoice.",
                "Invoice: customer {customer}, {lines}.",
            ],
            [
                "Charge {customer} for {lines}.",
                "{customer} bought {lines}; write the invoice, payable by {due_date}.",
            ],
        ),
        result={},
        say=words(["The invoice for {customer} is ready."], []),
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
                "What happened lately in {topic}?",
                "Catch me up on {topic}.",
                "I'd like to read about {topic} today.",
                "Give me {count} articles about {topic}.",
                "Headlines about {topic} in {language}, please.",
                "Is there anything new on {topic}?",
            ],
            ["Has anything happened in {topic} lately?", "{count} recent stories on {topic}, if you can."],
        ),
        both=words(
            [
                "Get me the news about {topic} and about {topic/2}.",
                "What's new about {topic} and {topic/2}?",
                "News on {topic}, and on {topic/2} too.",
            ],
            ["Anything recent on {topic} or on {topic/2}?"],
        ),
        pt=words(
            [
                "Quais são as notícias sobre {topic}?",
                "O que há de novo sobre {topic}?",
                "Notícias de {topic} em {language}, por favor.",
            ],
            ["Mostra-me {count} notícias sobre {topic}."],
        ),
        result={"found": Integer(3, 20)},
        say=words(["I found {found} articles about {topic}."], []),
    ),
)
