"""Hermes: tools in the system text, calls and results in tags of the turns' texts.

The system text's instruction on how to call (Nous's wording, or Qwen's) is taken out, since the base's own
template says it in its own words; what stands around it stays. It reaches from the first known opening, or
else from `<tools>`, to the example call's `</tool_call>`, or else to `</tools>`.
"""

import json
import re
from typing import Any

from data import strict_json
from data.formats.parts import Fields, Turns, labels, literal, objects, tool, tools

_ROLES = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "ipython": "tool",
}  # fmt: skip
_TOOLS = re.compile(r"<tools>\s*(?=[\[{])(.*?)</tools>", re.DOTALL)
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\n?(.*?)\n?</tool_response>", re.DOTALL)
_OPENINGS = ("You are a function calling AI model", "# Tools", "You are provided with function signatures")


def has_tools(text: str) -> bool:
    """Whether a system text offers tools the Hermes way."""
    return _TOOLS.search(text) is not None


def hermes(record: Fields) -> Fields:
    """`conversations` of `from` and `value`, or `messages` of `role` and `content`.

    Tools come from the system text; from the record's `tools` only where that offers none.
    """
    made = Turns()
    offered: list[Fields] = []
    for number, (role, text) in enumerate(_turns(record), 1):
        if role == "system" and has_tools(text):
            text, found = _take_tools(text)
            offered += found
            if not text:
                continue
        if role == "assistant":
            _assistant(made, number, text)
        elif role == "tool":
            for result in _RESPONSE.findall(text) or [text]:
                made.answer(f"turn {number} is a tool's result", result)
        else:
            made.say(role, text)
    return labels(record) | {"messages": made.messages, "tools": offered or tools(record.get("tools"))}


def _turns(record: Fields) -> list[tuple[str, str]]:
    key, who, what = ("messages", "role", "content")
    if record.get("conversations") is not None:
        key, who, what = ("conversations", "from", "value")
    turns = []
    if record.get("system"):
        turns.append(("system", record["system"]))
    for number, turn in enumerate(objects(record, key), 1):
        role, text = turn.get(who), turn.get(what)
        if not isinstance(role, str) or role not in _ROLES:
            raise ValueError(f"turn {number} is from {role!r}; known are {', '.join(_ROLES)}")
        turns.append((_ROLES[role], text))
    for number, (role, text) in enumerate(turns, 1):
        if not isinstance(text, str):
            raise ValueError(f"turn {number} ({role}) has no text under `{what}`")
    return turns


def _assistant(made: Turns, number: int, text: str) -> None:
    """Words, and then calls: no chat format has words after a call in the same message."""
    words, mark, _ = text.partition("<tool_call>")
    if not mark:
        made.say("assistant", text)
        return
    if outside := _CALL.sub("", text[len(words) :]).strip():
        what = "an unclosed <tool_call>" if "<tool_call>" in outside else "words after its call"
        raise ValueError(f"turn {number} has {what}, which no message can hold")
    if words.strip():
        made.say("assistant", words.rstrip())
    elif made.messages and made.messages[-1]["role"] == "assistant":
        raise ValueError(f"turn {number} is the second assistant turn in a row")
    for call in _CALL.findall(text):
        try:
            value = literal(call)
        except ValueError as error:
            raise ValueError(f"turn {number} has a <tool_call>, but {error}") from None
        made.call(f"turn {number} has a <tool_call>", value, call)


def _take_tools(text: str) -> tuple[str, list[Fields]]:
    """The system text without its instruction on calling, and the tools that it offered."""
    block = list(_TOOLS.finditer(text))[-1]
    openings = [place for opening in _OPENINGS if 0 <= (place := text.find(opening)) < block.start()]
    start = min(openings, default=block.start())
    example = text.rfind("</tool_call>", block.end())
    end = example + len("</tool_call>") if example >= 0 else block.end()
    before, after = text[:start].strip(), text[end:].strip()
    rest = "\n\n".join(part for part in (before, after) if part)
    if "<tools>" in rest or "<tool_call>" in rest:
        raise ValueError("its system text speaks of <tools> or <tool_call> outside the one known instruction")
    return rest, [tool(one) for one in _definitions(block[1])]


def _definitions(text: str) -> list[Fields]:
    """One list of tools, or one tool after another; JSON, or Python literals as some data sets print them."""
    try:
        found = _values(text)
    except json.JSONDecodeError:
        try:
            value = literal(text)
        except ValueError as error:
            raise ValueError(f"its <tools> are {error}") from None
        found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in found):
        raise ValueError("its <tools> are not objects")
    return found


def _values(text: str) -> list[Any]:
    found: list[Any] = []
    text = text.strip()
    while text:
        value, end = strict_json.raw_decode(text, 0)
        found += value if isinstance(value, list) else [value]
        text = text[end:].strip()
    return found
