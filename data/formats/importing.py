"""One raw record through an importer into its shape, or the reason and the next step why there is none."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from data.formats import text
from data.formats.keys import NONE, Fields, Ledger, Reader
from data.formats.problems import MEND, RefusalError
from data.formats.record import Raw
from data.formats.values import kind_of
from data.formats.wording import mistake

Shape = TypeVar("Shape", bound=BaseModel)
Importer = Callable[[Reader], Fields]


def imported(
    raw: Raw, read: Importer, shape: type[Shape], ignore: frozenset[str] = NONE
) -> tuple[Shape, tuple[str, ...]] | str:
    """What `read` makes of a raw record, as `shape`, and the paths of keys that said nothing; or the problem.

    Keys whose paths are in `ignore` are passed over.
    """
    raw = text.parsed(raw)
    if raw.problem is not None:
        return raw.problem
    ledger = Ledger(ignore)
    try:
        if not isinstance(raw.value, dict):
            raise ValueError(f"a record is a JSON object, but this is {kind_of(raw.value)}")
        fields = read(ledger.open(raw.value))
        ledger.close()
        return shape.model_validate(fields), tuple(sorted(ledger.unused))
    except ValidationError as error:
        return f"{mistake(error)}; {MEND}"
    except RefusalError as error:
        return f"{str(error).rstrip('.')}."
    except ValueError as error:
        return f"{error}; {MEND}"
    except RecursionError:
        return f"it is nested too deeply; {MEND}"
