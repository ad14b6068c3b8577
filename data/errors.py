"""The one exception that a person is meant to read."""


class UserError(Exception):
    """Something that the user can mend: one sentence with what, limit, given and next step.

    The command lines print it without a traceback and exit with code 2; the server turns it into
    OpenAI's error object. Several mistakes may be said at once, one a line.
    """
