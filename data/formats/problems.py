"""The sentences that readers of files share: the reason, and the next step."""

import zlib

from data.strict_json import RefusedError

UNREADABLE = (OSError, EOFError, zlib.error)
"""What a damaged gzip file or a failing disk raises while it is read."""

MEND = "mend it, or leave such records out with data.on_error: skip."
"""The next step for one bad record among many."""


class RefusalError(ValueError):
    """A record is refused, and the message says the next step too."""


def not_utf8(error: UnicodeDecodeError, start: int) -> str:
    return f"not UTF-8 text ({error.reason} at byte {start}); save it as UTF-8."


def not_json(reason: str, column: int, step: str = MEND) -> str:
    return f"not JSON ({reason.removesuffix(' at')} at column {column}); {step}"


def oversized(limit: int) -> str:
    return (
        f"a record takes at most {limit / 2**20:g} MiB, but this one is longer; split or delete it"
        " (are line ends missing?)."
    )


def damaged(error: BaseException) -> str:
    return (
        f"the file cannot be read from here on ({str(error).rstrip('.') or type(error).__name__});"
        " copy or download it again."
    )


def refused(error: RefusedError, step: str = MEND) -> str:
    return f"not JSON that every reader takes ({error}); {step}"
