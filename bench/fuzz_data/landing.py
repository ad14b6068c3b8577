"""Where a value may come to stand in a conversation, by the key that it stands under."""

from collections.abc import Sequence

from bench.fuzz_data.marks import Path
from bench.fuzz_data.mutations import Change

_SAID = frozenset({"system", "user", "assistant", "result"})
_CALLS = frozenset({"call", "result"})
_OF_KEY: dict[str, frozenset[str]] = {
    "content": _SAID, "value": _SAID, "text": _SAID, "contents": frozenset(),
    "refusal": frozenset({"assistant"}),
    "system": frozenset({"system"}), "developer": frozenset(),
    "instruction": frozenset({"user"}), "input": frozenset({"user"}), "query": frozenset({"user"}),
    "prompt": _SAID, "history": frozenset({"user", "assistant"}),
    "human": frozenset({"user"}), "assistant": frozenset({"assistant"}),
    "output": frozenset({"assistant"}), "response": frozenset({"assistant"}),
    "completion": _SAID | _CALLS, "chosen": _SAID | _CALLS, "rejected": _SAID | _CALLS,
    "rejected_response": frozenset({"assistant"}),
    "preferred_output": _SAID | _CALLS, "non_preferred_output": _SAID | _CALLS,
    "messages": _SAID | _CALLS, "conversations": _SAID | _CALLS, "conversation": _SAID | _CALLS,
    "tools": frozenset({"tool"}), "functions": frozenset({"tool"}), "description": frozenset({"tool"}),
    "parameters": frozenset({"tool"}), "enum": frozenset({"tool"}), "default": frozenset({"tool"}),
    "function": frozenset({"tool", "call", "result"}), "name": frozenset({"tool", "call", "result"}),
    "arguments": _CALLS, "tool_calls": _CALLS, "function_call": _CALLS, "answers": _CALLS,
    "id": frozenset({"id"}), "group": frozenset({"group"}), "category": frozenset({"category"}),
}  # fmt: skip
_INSIDE = {
    "arguments": _CALLS, "parameters": frozenset({"tool"}), "properties": frozenset({"tool"}),
    "tools": frozenset({"tool"}), "functions": frozenset({"tool"}), "answers": _CALLS,
}  # fmt: skip


def may_land(kind: str, changes: Sequence[Change], before: set[str]) -> bool:
    """Whether a mark may stand in a slot of `kind`: where it stood, or where a key puts it."""
    base = kind.rpartition(" ")[2]
    kinds = {one.rpartition(" ")[2] for one in before}
    if base in kinds or (base == "result" and "call" in kinds):  # a result is compared with its call
        return True
    for change in changes:
        steps = [step for step in (*change.path, *change.names) if isinstance(step, str)]
        last = {str(change.path[-1]) if change.path else "", change.key}
        if any(base in _OF_KEY.get(step, ()) for step in last):
            return True
        if any(base in _INSIDE.get(step, ()) for step in steps):
            return True
        if base == "result" and {"value", "content"} & {*change.path[:-1]}:
            return True  # inside a text that is a result's
        if not before and change.kind == "retype" and "history" in steps and base in ("user", "assistant"):
            return True
    return False


def may_be_read(path: Path) -> bool:
    """Whether some format reads the key at a path, or any key there: of it, its value's place says enough."""
    return path[-1] in _OF_KEY or not {"arguments", "parameters"}.isdisjoint(path)
