"""Schemas in the form that xgrammar makes least work of: lengths of strings, and repetitions in patterns.

For each character that may still come xgrammar goes through the whole vocabulary, which takes some 7 ms for
49 152 tokens and 17 ms for 131 072; a repetition beyond `UNROLLED` it counts while tokens are chosen, which
takes up to 60 ms for each token of an answer. So nothing is held to what is longer.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serve.routes.patterns import TOKEN

HELD = 64
"""Characters of all different lengths in a request: half a second to compile, for large vocabularies one."""

UNROLLED = 128
"""xgrammar's own bound: the most repetitions that it writes out."""

NAMED = 8
"""Schemas that are named in a header."""

_NAMED = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
"""Members of a schema whose own members are names."""

_VALUES = ("const", "default", "enum", "examples")
"""Members of a schema that hold no schemas."""


_FOREIGN = re.compile(r"[^\x00-\x7f]")


def longest_held(schemas: Iterable[Any]) -> int:
    """Return the length up to which strings are held to theirs: of all different lengths the shortest are,
    until they are HELD characters together."""
    lengths = {found for schema in schemas for node in _nodes(schema) if (found := _lengths(node))}
    states = sorted((int(high) if high <= HELD else min(low, HELD), low) for low, high in lengths)
    longest = total = 0
    for length, _ in states:
        total += length
        if total > HELD:
            break
        longest = length
    return longest


def unheld(schemas: Mapping[str, Any]) -> str | None:
    """Return how many bounds of each of a grammar's schemas, by their places, `lighter` leaves to the model:
    `PLACE maxLength*2 pattern*1, ...`; None where everything is held."""
    longest = longest_held(schemas.values())
    said = []
    for place, schema in schemas.items():
        if lost := Counter(keyword for node in _nodes(schema) for keyword in _lost(node, longest)):
            said.append(" ".join((place, *(f"{keyword}*{count}" for keyword, count in lost.items()))))
    more = [f"and {len(said) - NAMED} more"] if len(said) > NAMED else []
    return ", ".join(said[:NAMED] + more) or None


def _lost(node: dict[str, Any], longest: int) -> Iterator[str]:
    """The keywords of a string's schema that `lighter` takes out, or takes something of."""
    lengths, pattern = _lengths(node), node.get("pattern")
    if lengths and lengths[0] <= lengths[1]:
        low, high = lengths
        if low > (0 if isinstance(pattern, str) else longest):
            yield "minLength"
        if high < math.inf and (isinstance(pattern, str) or high > longest):
            yield "maxLength"
    patterns = node.get("patternProperties")
    for keyword, found in (("pattern", [pattern]), ("patternProperties", patterns or ())):
        if any(isinstance(one, str) and TOKEN.sub(_repeated, one) != one for one in found):
            yield keyword


def lighter(schema: Any, longest: int, named: bool = False) -> Any:
    """Return a schema, or a structural tag of several, without lengths beyond `longest`.

    `named` says that the members are names, of properties for example.
    """
    if isinstance(schema, list):
        return [lighter(one, longest) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {
        key: lighter(value, longest, not named and key in _NAMED) if named or key not in _VALUES else value
        for key, value in schema.items()
    }
    return inner if named else _of_string(_of_pattern(inner), longest)


def counted(pattern: str) -> str:
    """Return a pattern of which xgrammar can make an automaton: in ASCII, and without ends to what it repeats
    more than `UNROLLED` times."""
    return _FOREIGN.sub(_escaped, TOKEN.sub(_repeated, pattern))


def _escaped(character: re.Match[str]) -> str:
    code = ord(character.group())
    return f"\\u{code:04x}" if code < 2**16 else f"\\u{{{code:x}}}"


def _repeated(token: re.Match[str]) -> str:
    text, (low, comma, high) = token.group(), token.groups()
    if comma is None or max(int(low or 0), int(high or 0)) <= UNROLLED:
        return text
    return f"{{{min(int(low or 0), UNROLLED)},}}"


def _of_pattern(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(pattern := schema.get("pattern"), str):
        schema = schema | {"pattern": counted(pattern)}
    if isinstance(patterns := schema.get("patternProperties"), dict):
        schema = schema | {"patternProperties": {counted(key): value for key, value in patterns.items()}}
    return schema


def _of_string(schema: dict[str, Any], longest: int) -> dict[str, Any]:
    lengths = _lengths(schema)
    if lengths is None or lengths[0] > lengths[1]:
        return schema  # xgrammar names what is the wrong way round
    low, high = lengths
    held = {key: value for key, value in schema.items() if key not in ("minLength", "maxLength")}
    if "pattern" in held:
        return held  # beside which xgrammar passes over lengths
    if high <= longest:
        # The same in two thirds of the time, and what may come next needs no search while tokens are chosen.
        return held | {"pattern": f"^.{{{low},{int(high)}}}$"}
    low = min(low, longest)
    return held | {"minLength": low} if low else held


def _lengths(schema: dict[str, Any]) -> tuple[int, float] | None:
    """The lengths that a schema bounds strings to; None where it does not."""
    low, high = schema.get("minLength"), schema.get("maxLength")
    if not (isinstance(low, int | float) or isinstance(high, int | float)):
        return None
    return (
        int(low) if isinstance(low, int | float) else 0,
        high if isinstance(high, int | float) else math.inf,
    )


def _nodes(schema: Any, named: bool = False) -> Iterator[dict[str, Any]]:
    """Each object of a schema that is one itself."""
    if isinstance(schema, list):
        for one in schema:
            yield from _nodes(one)
    elif isinstance(schema, dict):
        if not named:
            yield schema
        for key, value in schema.items():
            if named or key not in _VALUES:
                yield from _nodes(value, not named and key in _NAMED)
