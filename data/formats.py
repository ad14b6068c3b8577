"""Importers: chat and tool-call files of several origins, read as `Conversation`s.

A format is one small function from a record to a `Conversation`, and one line in `_SHAPES` that tells by
which key such a record is known. Files are JSONL (one record a line, never held whole) or one JSON array.
"""

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.chat import Conversation
from data.errors import UserError
from data.manifest import first_error

Record = dict[str, Any]


def read(path: Path) -> Iterator[Conversation]:
    """Every conversation of a file, one at a time; the format is told by each record's own shape.

    UserError names `file:line`, the reason and the next step.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such file; check the path, or run `make samples` for the samples."
        )
    for where, record in _records(path):
        yield _conversation(where, record)


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """Each record with the place to name in an error."""
    with path.open("rb") as file:
        first = next((line for line in file if _blank_free(line)), b"")
        file.seek(0)
        if _blank_free(first).startswith(b"["):
            yield from _array(path, _text(str(path), file.read()))
        else:
            for number, line in enumerate(file, 1):
                if _blank_free(line):
                    yield f"{path}:{number}", _line(f"{path}:{number}", line)


def _blank_free(line: bytes) -> bytes:
    return line.removeprefix(BOM_UTF8).strip()


def _line(where: str, raw: bytes) -> Any:
    try:
        return json.loads(_text(where, raw))
    except json.JSONDecodeError as error:
        raise UserError(_broken(where, error)) from None


def _array(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """The members of a JSON array, decoded one by one so that each knows its line."""
    decoder, number, line, counted = json.JSONDecoder(), 0, 1, 0
    position = _skip(text, text.index("[") + 1)
    try:
        while not text.startswith("]", position):
            record, end = decoder.raw_decode(text, position)
            number, line, counted = number + 1, line + text.count("\n", counted, position), position
            yield f"{path}:{line} (record {number})", record
            position = _skip(text, end)
            if text.startswith(",", position):
                position = _skip(text, position + 1)
            elif not text.startswith("]", position):
                raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
        if (rest := _skip(text, position + 1)) < len(text):
            raise json.JSONDecodeError("Extra data", text, rest)
    except json.JSONDecodeError as error:
        raise UserError(_broken(f"{path}:{error.lineno}", error)) from None


def _skip(text: str, position: int) -> int:
    """The place of the next character that is not blank."""
    while text[position : position + 1].isspace():
        position += 1
    return position


def _text(where: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
        ) from None


def _broken(where: str, error: json.JSONDecodeError) -> str:
    return f"{where}: not JSON ({error.msg} at column {error.colno}); mend or delete this record."


def _conversation(where: str, record: Any) -> Conversation:
    if not isinstance(record, dict):
        raise UserError(
            f"{where}: a record is a JSON object, but this is a {type(record).__name__}; mend it."
        )
    reader = next((reader for key, reader in _SHAPES.items() if key in record), None)
    if reader is None:
        known, given = " or ".join(f"`{key}`" for key in _SHAPES), ", ".join(map(repr, record)) or "none"
        raise UserError(f"{where}: a conversation has {known}, but its keys are {given}; convert it first.")
    try:
        return Conversation.model_validate(reader(record))
    except ValidationError as error:
        raise UserError(f"{where}: not a conversation ({first_error(error)}); mend this record.") from None
    except ValueError as error:
        raise UserError(f"{where}: {error}; mend this record.") from None


def _openai(record: Record) -> Record:
    """OpenAI's fine-tuning format and logs, which write absent fields as null."""
    known = ("messages", "tools", "id", "category")
    kept = {key: record[key] for key in known if record.get(key) is not None}
    kept["messages"] = [_without_nulls(message) for message in _objects(kept, "messages")]
    kept["tools"] = [_tool(tool) for tool in _objects(kept, "tools")]
    return kept


_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


def _sharegpt(record: Record) -> Record:
    """ShareGPT with Glaive's tool turns: `function_call` holds a JSON call, `observation` its result.

    Calls that follow each other are one message's parallel calls; results answer them in order.
    """
    messages: list[Record] = [{"role": "system", "content": record["system"]}] if record.get("system") else []
    waiting: list[str] = []
    calls = 0
    for number, turn in enumerate(_objects(record, "conversations"), 1):
        role, value = turn.get("from"), turn.get("value")
        if not isinstance(value, str):
            raise ValueError(f"turn {number} ({role}) has no text under `value`")
        if role == "function_call":
            calls += 1
            call = _call(number, value, f"{calls} {value}")
            if not (messages and messages[-1]["role"] == "assistant"):
                messages.append({"role": "assistant"})
                waiting = []
            messages[-1].setdefault("tool_calls", []).append(call)
            waiting.append(call["id"])
        elif role == "observation":
            if not waiting:
                raise ValueError(f"turn {number} is an observation, but no function_call waits for one")
            messages.append({"role": "tool", "content": value, "tool_call_id": waiting.pop(0)})
        elif role in _ROLES:
            messages.append({"role": _ROLES[role], "content": value})
        else:
            known = ", ".join([*_ROLES, "function_call", "observation"])
            raise ValueError(f"turn {number} is from {role!r}; known are {known}")
    return {"messages": messages, "tools": _tools(record.get("tools"))}


_SHAPES: dict[str, Callable[[Record], Record]] = {"messages": _openai, "conversations": _sharegpt}


def _call(number: int, value: str, origin: str) -> Record:
    try:
        call = json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"turn {number} is a function_call, but not JSON ({error.msg})") from None
    if not isinstance(call, dict) or "name" not in call:
        raise ValueError(f"turn {number} is a function_call without a `name`")
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": call_id(origin), "function": {"name": call["name"], "arguments": text}}


def _tools(value: Any) -> list[Record]:
    """Tool definitions as a list or as JSON text; bare functions get OpenAI's `type` around them."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "[]")
        except json.JSONDecodeError as error:
            raise ValueError(f"`tools` is text, but not JSON ({error.msg})") from None
    return [_tool(tool) for tool in _objects({"tools": value or []}, "tools")]


def _tool(tool: Record) -> Record:
    kept = _without_nulls(tool)
    return kept if "function" in kept else {"type": "function", "function": kept}


def _objects(record: Record, key: str) -> list[Record]:
    value = record.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"`{key}` is not a list of objects")
    return value


def _without_nulls(value: Record) -> Record:
    return {key: item for key, item in value.items() if item is not None}


def call_id(origin: str) -> str:
    """Nine letters or digits, the only form that Mistral's format takes, derived and so always the same."""
    return hashlib.sha256(origin.encode()).hexdigest()[:9]


@dataclass(frozen=True, slots=True)
class Raw:
    """Stand-in: a record as its container holds it, or why there is none."""

    where: str
    value: Any = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Scanned:
    """Stand-in for `Record` of the importers' package."""

    where: str
    conversation: Conversation | None
    problem: str | None


def scan(source: str | Path, format: str | None = None) -> Iterator[Scanned]:
    """Stand-in: every record of one file, the broken ones too."""
    for one in raw(source):
        yield record(one, format)


def raw(source: str | Path) -> Iterator[Raw]:
    """Stand-in: the records of a source before any importer; cheap, and cheap to send elsewhere."""
    path = Path(source)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; check the path.")
    with path.open("rb") as file:
        first = next((line for line in file if _blank_free(line)), b"")
        file.seek(0)
        if _blank_free(first).startswith(b"["):
            try:
                yield from (Raw(where, value) for where, value in _records(path))
            except UserError as error:
                place, _, problem = str(error).partition(": ")
                yield Raw(place, None, problem)
            return
        for number, line in enumerate(file, 1):
            if _blank_free(line):
                try:
                    yield Raw(f"{path}:{number}", _line(f"{path}:{number}", line))
                except UserError as error:
                    yield Raw(f"{path}:{number}", None, str(error).partition(": ")[2])


def record(raw: Raw, format: str | None = None) -> Scanned:
    """Stand-in: what an importer makes of it."""
    if raw.problem is not None:
        return Scanned(raw.where, None, raw.problem)
    try:
        return Scanned(raw.where, _conversation(raw.where, raw.value), None)
    except UserError as error:
        return Scanned(raw.where, None, str(error).partition(": ")[2])
