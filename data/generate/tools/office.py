"""Trained tools: mail, notes and documents."""

from data.generate.kinds import Choice, Flag, Integer, Many, Number, Record, Text
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
            ],
            [
                'Let {to} know by email: "{body}". Use "{subject}" as subject.',
                'Drop a line to {to} titled "{subject}".',
            ],
        ),
        pt=words(
            ['Envia um email para {to} com o assunto "{subject}" e o texto "{body}".'],
            ['Manda um email a {to}, assunto "{subject}".'],
        ),
        result={},
        say=words(
            ["Your email to {to} has been sent.", 'I sent "{subject}" to {to}.'],
            ['The mail "{subject}" is on its way to {to}.'],
        ),
    ),
    Spec(
        "addContact",
        "Save a new contact",
        {"fullName": Text("person"), "phone": Text("phone"), "email?": Text("email")},
        words(
            [
                "Save {fullName} with the number {phone}.",
                "Add {fullName} to my contacts: phone {phone}, email {email}.",
                "New contact {fullName}, {phone}.",
                "Store {phone} as the phone number of {fullName}, and {email} as the email.",
            ],
            [
                "{fullName} can be called at {phone}; keep that in my contacts.",
                "Remember {fullName}: {email}, {phone}.",
            ],
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
            ],
            [
                'What would "{text}" be in {target_language}?',
                '{target_language} version of "{text}", please.',
            ],
        ),
        both=words(
            ['Translate "{text}" into {target_language} and {target_language/2}.'],
            ['I want "{text}" in both {target_language} and {target_language/2}.'],
        ),
        pt=words(['Traduz "{text}" para {target_language}.'], ['Como se diz "{text}" em {target_language}?']),
    ),
    Spec(
        "summarize_file",
        "Summarize a document",
        {"file": Text("file"), "sentences?": Integer(2, 12)},
        words(
            [
                "Summarize {file}.",
                "Give me a summary of {file} in {sentences} sentences.",
                "Sum up {file} for me.",
                "Shorten {file} to {sentences} sentences.",
            ],
            ["What does {file} say, in brief?", "Boil {file} down to {sentences} sentences."],
        ),
        both=words(
            ["Summarize both {file} and {file/2}."], ["I need the gist of {file} and the gist of {file/2}."]
        ),
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
            ],
            [
                "Charge {customer} for {lines}.",
                "{customer} bought {lines}; write the invoice, payable by {due_date}.",
            ],
        ),
    ),
    Spec(
        "share_document",
        "Share a document with people",
        {
            "document": Text("file"),
            "people": Many(Text("email"), 1, 2),
            "permission": Choice("view comment edit"),
        },
        words(
            [
                "Share {document} with {people} so they can {permission}.",
                "Give {people} {permission} access to {document}.",
                "Let {people} {permission} the file {document}.",
                "Grant {permission} rights on {document} to {people}.",
            ],
            [
                "{people} should be able to {permission} my document {document}.",
                "Open {document} to {people} with {permission} permission.",
            ],
        ),
        result={},
        say=words(["{document} is now shared with {people}."], ["{people} can now {permission} {document}."]),
    ),
)
