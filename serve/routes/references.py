"""References of a JSON schema that lead to nothing but references: no value fits, and engines fail on it."""

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
