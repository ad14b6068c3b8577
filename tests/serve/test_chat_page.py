"""`docs/chat.md` says what the code does: its tables are those of the code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve.engine import trials
from serve.engine.lengths import HELD, UNROLLED
from serve.registry import strict_json
from serve.routes import chat_request, fields, patterns, tools
from serve.routes.bounds import SCHEMA
from serve.routes.fields import FIELDS
from serve.routes.foreign import FOREIGN
from serve.routes.messages import SILENT
from serve.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "chat.md"
FATES = {"chooses": "chooses", "engine": "taken", "ignored": "ignored"}


def expected_fields() -> list[str]:
    return [
        f"| `{name}` | {FATES[field.fate]} | {_bounds(field.schema)} | {field.says} |"
        for name, field in FIELDS.items()
    ]


def expected_objects() -> list[str]:
    rows = []
    for place, members in _objects(SCHEMA, ""):
        used = [f"`{name}`" for name, one in members.items() if one is not SILENT]
        silent = [f"`{name}`" for name, one in members.items() if one is SILENT]
        rows.append(f"| `{place}` | {', '.join(used)} | {', '.join(silent)} |")
    return rows


def _objects(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object that a request may hold, by its place, with its members."""
    if "items" in schema:
        yield from _objects(schema["items"], f"{place}[]")
    if "properties" in schema:
        if place:
            yield place, schema["properties"]
        for name, one in schema["properties"].items():
            yield from _objects(one, f"{place}.{name}".removeprefix("."))


def expected_refused() -> list[str]:
    return [
        f"| `{name}` | {one.why} | {' or '.join(f'`{json.dumps(value)}`' for value in one.same)} |"
        for name, one in FOREIGN.items()
    ]


def _bounds(schema: dict[str, Any]) -> str:
    """The table's short form of a field's bounds."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        return f"more than {schema['exclusiveMinimum']}, up to {_number(high)}"
    if low is not None:
        return f"{_number(low)} to {_number(high)}"
    most = [
        f"{schema[rule]} {what}"
        for rule, what in (
            ("maxItems", "entries"),
            ("maxProperties", "entries"),
            ("maxLength", "characters"),
        )
        if rule in schema
    ]
    return ", ".join(most)


def _number(value: float) -> str:
    powers = {2**53: "2^53", 2**63 - 1: "2^63-1", -(2**63): "-2^63", 2**31 - 1: "2^31-1"}
    return powers.get(int(value), str(value))


def test_the_tables_of_fields() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert rows == expected_fields() + expected_objects() + expected_refused()


def test_the_other_bounds() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for said in (
        f"{Settings.body_limit // 2**20} MiB",
        f"{chat_request.MAX_VALUES} values",
        f"numbers of {strict_json.MAX_DIGITS} characters",
        f"{tools.MAX_DEPTH} levels",
        f"{tools.MAX_VALUES} values and {tools.MAX_CHARACTERS} characters",
        f"{tools.MAX_DESCRIPTIONS} characters more of titles",
        f"{tools.MAX_PROPERTIES} properties in one object, times",
        f"`maxProperties` {tools.MAX_CHOICES} at most",
        f"times these counts {tools.MAX_PAIRS}",
        f"until these are {HELD} characters together",
        f"repetitions beyond {UNROLLED}",
        f"{trials.STEP_SECONDS * 1000:g} ms of processor time for each token",
        f"{trials.SECONDS:g} s of processor time",
        f"{trials.MAX_BYTES >> 20} MiB, or",
        f"{tools.MAX_PATTERNS_EXPANDED} over all patterns",
        f"{tools.MAX_PATTERNS} patterns of {patterns.MAX_CHARACTERS} characters",
        f"up to {patterns.MAX_REPEATS} times",
        f"{patterns.MAX_EXPANDED} characters with their repetitions",
        f"counts such as `minItems` up to {tools.MAX_COUNT}",
        f"{patterns.MAX_NESTED} in repetitions of repetitions",
        f"{Settings.request_seconds} s",
        f"`{fields.TOOL_NAME}`",
        f"{fields.MAX_STOP_CHARACTERS} characters each",
    ):
        assert said in text, said
