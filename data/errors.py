"""The one exception that a person is meant to read."""

import re
import unicodedata


class UserError(Exception):
    """Something that the user can mend: one sentence with what, limit, given and next step.

    The command lines print it without a traceback and exit with code 2; the server turns it into
    OpenAI's error object. Several mistakes may be said at once, one a line.
    """


class UnknownBaseError(UserError):
    """A name that leads to no base, here or elsewhere: misspelled, not merely absent here."""


_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+[^\s/'\",;:)]*")

OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of text, so that it reads as other than it is."""

_TURNS = OVERRIDES | frozenset("\u061c\u200e\u200f")
"""These, and the marks that only lean on what stands beside them."""


def plain(text: str, keep: str = "") -> str:
    """Text as a terminal may get it: control characters, line ends too, and what turns it are spelled out.

    Other than `shown` it leaves what joins letters and emoji, and is as long as it is; `keep` are
    control characters that may stay.
    """
    return "".join(sign if sign in keep or _harmless(sign) else ascii(sign)[1:-1] for sign in text)


def pathless(text: str) -> str:
    """What went wrong, for a stranger: without the places of this machine that libraries name."""
    return _PATH.sub("(a path of the server)", text)


def _harmless(sign: str) -> bool:
    return sign not in _TURNS and (sign.isprintable() or unicodedata.category(sign) == "Cf")


def shown(text: str, most: int = 100) -> str:
    """A stranger's text as a message may hold it: one line, nothing that a terminal obeys, not long."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:most])
