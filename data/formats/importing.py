"""One raw record through an importer into its shape, or the reason and the next step why there is none."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from data.formats import text
from data.formats.parts import Fields
from data.formats.record import Raw
from data.formats.shapes import UnclearError

Shape = TypeVar("Shape", bound=BaseModel)


def imported(raw: Raw, read: Callable[[Fields], Fields], shape: type[Shape], name: str) -> Shape | str:
    """What `read` makes of a raw record, as `shape`, or the problem; `name` says what a shape is."""
    raw = text.parsed(raw)
    if raw.problem is not None:
        return raw.problem
    try:
        if not isinstance(raw.value, dict):
            kind = type(raw.value).__name__
            raise UnclearError(f"a record is a JSON object, but this is a {kind}; mend it.")
        return shape.model_validate(read(raw.value))
    except ValidationError as error:
        return f"not {name} ({_deepest(error)}); mend this record."
    except UnclearError as error:
        return str(error)
    except ValueError as error:
        return f"{error}; mend this record."
    except RecursionError:
        return "it is nested too deeply; mend or delete this record."


def _deepest(error: ValidationError) -> str:
    """The mistake that lies deepest: of a union's members, the one that the record came nearest to."""
    mistakes = error.errors(include_url=False)
    mistake = max(mistakes, key=lambda one: len(one["loc"]))  # the first of several equally deep ones
    where = ".".join(str(part) for part in mistake["loc"] if part not in ("str", "list[TextItem]"))
    message = mistake["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
