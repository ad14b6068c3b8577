"""The one exception that a person is meant to read."""


class UserError(Exception):
    """Something that the user can mend: one sentence with what, limit, given and next step.

    The command lines print it without a traceback and exit with code 2; the server turns it into
    OpenAI's error object. Several mistakes may be said at once, one a line.
    """


class UnknownBaseError(UserError):
    """A name that leads to no base, here or elsewhere: misspelled, not merely absent here."""


def shown(text: str, most: int = 100) -> str:
    """A stranger's text as a message may hold it: one line, nothing that a terminal obeys, not long."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:most])
