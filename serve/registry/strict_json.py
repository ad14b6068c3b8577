"""JSON from strangers: one meaning or none."""

import json
from collections import Counter
from typing import Any


def parse(data: bytes) -> Any:
    """The value; ValueError for a repeated key, NaN or infinity, or nesting beyond the parser's depth.

    Two parsers that meet a repeated key may disagree about which one counts: the one that checks an
    adapter and the one that loads it must not.
    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {repeated[:100]!r} is there twice")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
