"""References of a JSON schema: those that lead nowhere, and those that make much of little."""

from typing import Any

MAX_STEPS = 64
"""References behind each other; more of them are a circle, or as good as one."""


def run_in_circles(schema: dict[str, Any]) -> bool:
    """Whether some `$ref` in it never arrives at a schema."""
    left: list[Any] = [schema]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            if _is_reference(node) and _never_arrives(node, schema):
                return True
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
    return False


def expanded(schema: dict[str, Any], limit: int) -> int:
    """How many values the schema holds once each reference is what it points to, as far as `limit`.

    A recursive reference counts once: what follows it was counted.
    """
    known: dict[int, int] = {}

    def size(node: Any, depth: int) -> int:
        if not isinstance(node, dict | list):
            return 1
        if id(node) not in known:
            known[id(node)] = 1  # met again below itself
            total = 1
            for value in node.values() if isinstance(node, dict) else node:
                total += limit if depth > MAX_STEPS * 4 else size(value, depth + 1)
                if total >= limit:
                    break
            if isinstance(node, dict) and _is_reference(node) and total < limit:
                total += size(_target(node["$ref"], schema), depth + 1)
            known[id(node)] = min(total, limit)
        return known[id(node)]

    return size({key: value for key, value in schema.items() if key not in ("$defs", "definitions")}, 0)


def _is_reference(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("$ref"), str)


def _never_arrives(node: Any, schema: dict[str, Any]) -> bool:
    for _ in range(MAX_STEPS):
        if not _is_reference(node):
            return False
        node = _target(node["$ref"], schema)
    return True


def _target(reference: str, schema: dict[str, Any]) -> Any:
    """What a reference within the schema points to; None for any other, which is not ours to judge."""
    node: Any = schema
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node if reference.startswith("#") else None
