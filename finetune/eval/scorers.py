"""Scorers: is this answer the expected one? Tool calls are compared by meaning, never as text."""

import json
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import jsonschema
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from data.chat import Tool
from data.report import Answer, Call
from finetune.eval.scorers_bfcl import Possible, mistake
from finetune.eval.verdict import Verdict


def tool_calls(expected: Answer, got: Answer, tools: Sequence[Tool], cut_off: bool = False) -> Verdict:
    """Exact match of the calls as a multiset: names and parsed arguments, parallel order ignored.

    Where words are expected, any words will do and any call is wrong. `cut_off` says that the answer
    reached the token limit. Flags do not change the score.
    """
    wanted, unreadable = _meanings(expected.calls)
    if unreadable:
        return Verdict(None, f"the expected arguments are unusable: {unreadable[0]}")
    made, broken = _meanings(got.calls)
    unknown, invalid = _against_schemas(got.calls, tools)
    flags = _flags(unknown, broken or invalid, cut_off)
    if not broken and wanted == made and (wanted or got.content):
        return Verdict(1.0, "the expected calls" if wanted else "words, as expected", flags)
    ending = "; the answer was cut off at the token limit" if cut_off else ""
    return Verdict(0.0, _mistake(expected, got, unknown, broken or invalid) + ending, flags)


def possible_calls(
    expected: Sequence[Possible], got: Answer, tools: Sequence[Tool], cut_off: bool = False
) -> Verdict:
    """BFCL's measure: one call with possible values for each expected one, and none where none is."""
    unknown, invalid = _against_schemas(got.calls, tools)
    try:
        calls = [(call.name, parse_arguments(call)) for call in got.calls]
    except ValueError as error:
        return Verdict(0.0, str(error), _flags(unknown, [str(error)], cut_off))
    flags = _flags(unknown, invalid, cut_off)
    if not expected:
        return Verdict(float(not calls), "called although no tool fits" if calls else "no call", flags)
    if unknown:
        return Verdict(0.0, f"called {unknown[0]!r}, which is not on offer", flags)
    fault = mistake(expected, calls)
    return Verdict(float(fault is None), fault or "the expected calls", flags)


def any_call(got: Answer, cut_off: bool = False) -> Verdict:
    """BFCL's relevance: some function should be called, whichever."""
    flags = _flags([], [], cut_off)
    return Verdict(float(bool(got.calls)), "called" if got.calls else "answered without a call", flags)


def _flags(unknown: list[str], invalid: list[str], cut_off: bool) -> tuple[str, ...]:
    raised = {"unknown_function": unknown, "invalid_arguments": invalid, "cut_off": cut_off}
    return tuple(name for name, is_raised in raised.items() if is_raised)


def _mistake(expected: Answer, got: Answer, unknown: list[str], invalid: list[str]) -> str:
    """The most telling thing that is wrong, in one phrase."""
    if unknown:
        return f"called {unknown[0]!r}, which is not on offer"
    if not expected.calls:
        return "called although no tool fits" if got.calls else "said nothing"
    if not got.calls:
        return "answered in words where a call was expected" if got.content else "said nothing"
    wanted = Counter(call.name for call in expected.calls)
    made = Counter(call.name for call in got.calls)
    if wanted != made:
        if set(wanted) == set(made) or len(got.calls) != len(expected.calls):
            were = "was" if len(expected.calls) == 1 else "were"
            return f"made {_calls(len(got.calls))} where {_calls(len(expected.calls))} {were} expected"
        return f"called {_names(made - wanted)} where {_names(wanted - made)} was expected"
    return invalid[0] if invalid else "right function, other arguments"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _names(names: Counter[str]) -> str:
    return " and ".join(repr(name) for name in names)


def _meanings(calls: Sequence[Call]) -> tuple[Counter[Hashable], list[str]]:
    """The calls without what does not matter, and a sentence for each whose arguments are no JSON object."""
    found: Counter[Hashable] = Counter()
    broken = []
    for call in calls:
        try:
            arguments = parse_arguments(call)
        except ValueError as error:
            broken.append(str(error))
        else:
            found[(call.name, _meaning(arguments))] += 1
    return found, broken


def parse_arguments(call: Call) -> dict[str, Any]:
    """The arguments of a call; ValueError when they are not a JSON object."""
    try:
        # Python reads NaN and Infinity, JSON has neither.
        value = json.loads(call.arguments, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the arguments of {call.name!r} are not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"the arguments of {call.name!r} are not a JSON object")
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _meaning(value: Any) -> Hashable:
    """Equal for values that mean the same: 1 and 1.0 do, 1 and true do not (in Python they would)."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, dict):
        return ("object", frozenset((key, _meaning(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_meaning(item) for item in value))
    return (None if value is None else "text" if isinstance(value, str) else "number", value)


def _against_schemas(calls: Sequence[Call], tools: Sequence[Tool]) -> tuple[list[str], list[str]]:
    """Names that no tool bears, and a sentence for each call that breaks its tool's schema."""
    schemas = {tool.function.name: tool.function.parameters for tool in tools}
    unknown, invalid = [], []
    for call in calls:
        if call.name not in schemas:
            unknown.append(call.name)
        elif (schema := schemas[call.name]) is not None and (fault := _fault(call, schema)):
            invalid.append(fault)
    return unknown, invalid


def _fault(call: Call, schema: dict[str, Any]) -> str | None:
    """How the arguments break the schema; None when they do not, or when the schema itself is broken."""
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        # An empty registry, so that a `$ref` to somewhere fetches nothing.
        validator = jsonschema.Draft202012Validator(schema, registry=Registry())
        error = best_match(validator.iter_errors(parse_arguments(call)))
    except (SchemaError, Unresolvable, ValueError):
        return None
    if error is None:
        return None
    where = "".join(f"{part}: " for part in error.absolute_path)
    return f"the arguments of {call.name!r} break its schema: {where}{error.message[:200]}"
