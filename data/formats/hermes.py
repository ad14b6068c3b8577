"""Hermes: tools in the system text, calls and results in tags of the turns' texts.

The system text's instruction on how to call (Nous's wording, or Qwen's) is taken out, since the base's own
template says it in its own words; what stands around it stays. It reaches from the first known opening, or
else from `<tools>`, to the example call's `</tool_call>`, or else to `</tools>`.
"""

import json
import re
from typing import Any

from data import strict_json
from data.formats import messages
from data.formats.keys import Fields, Reader
from data.formats.parts import agreed, call_of, definitions, labels, literal, objects, tools, without_id
from data.formats.turns import Call, Turns
from data.formats.values import kind_of

_TOOLS = re.compile(r"<tools>\s*(?=[\[{])(.*?)</tools>", re.DOTALL)
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\n?(.*?)\n?</tool_response>", re.DOTALL)
_OPENINGS = ("You are a function calling AI model", "# Tools", "You are provided with function signatures")


def has_tools(text: str) -> bool:
    """Whether a system text offers tools the Hermes way."""
    return _TOOLS.search(text) is not None


def hermes(root: Reader) -> Fields:
    """`conversations` of `from` and `value`, or `messages` of `role` and `content`.

    Tools come from the system text; a `tools` beside it may only repeat them.
    """
    kept = labels(root)
    key = "messages" if root.left.get("conversations") is None else "conversations"
    given = objects(root.take(key), f"`{key}`")
    if not given:
        raise ValueError(f"`{key}` holds no message")
    made = Turns()
    offered: list[Fields] = []
    for name in ("system", "system_prompt"):
        if (text := root.take(name)) is not None:
            if not isinstance(text, str):
                raise ValueError(f"`{name}` is not text but {kind_of(text)}")
            _system(root, name, text, made, offered)
    for number, turn in enumerate(given, 1):
        reader = root.inside(f"{key}[]", turn, "message", f"message {number}")
        role, text = messages.opened(reader, turn)
        if not isinstance(text, str):
            raise ValueError(f"{reader.name} is not text but {kind_of(text)}")
        if role == "assistant":
            _assistant(reader, text, made)
            continue
        reader.learned = False
        if role == "system":
            _system(root, key, text, made, offered)
        elif role == "result":
            _results(reader, text, made)
        elif role == "user":
            made.say("user", text)
        else:
            raise ValueError(f"{reader.name} is a call of its own, but Hermes writes calls in <tool_call>")
    return kept | {"messages": made.messages, "tools": agreed(offered, tools(root))}


def _system(root: Reader, key: str, text: str, made: Turns, offered: list[Fields]) -> None:
    if has_tools(text):
        text, found = _take_tools(text)
        offered += definitions(root, f"{key}.<tools>", found)
    if text:
        made.say("system", text)


def _results(reader: Reader, text: str, made: Turns) -> None:
    tool, identity = reader.take("name"), reader.take("tool_call_id")
    for result in _RESPONSE.findall(text) or [text]:
        made.result(reader.name, result)
    for key, value in (("name", tool), ("tool_call_id", identity)):
        if value is not None:
            reader.unused(key)


def _assistant(reader: Reader, text: str, made: Turns) -> None:
    """Words, and then calls: no chat format has words after a call in the same message."""
    weight = messages.weight(reader)
    words, mark, _ = text.partition("<tool_call>")
    if not mark:
        made.answer(text, (), weight)
        return
    if outside := _CALL.sub("", text[len(words) :]).strip():
        what = "an unclosed <tool_call>" if "<tool_call>" in outside else "words after its call"
        raise ValueError(f"{reader.name} has {what}, which no message can hold")
    if not words.strip() and made.messages and made.messages[-1]["role"] == "assistant":
        raise ValueError(f"{reader.name} is the second assistant turn in a row")
    made.answer(words.rstrip() or None, [_call(reader, call) for call in _CALL.findall(text)], weight)


def _call(reader: Reader, text: str) -> Call:
    try:
        value = literal(text)
    except ValueError as error:
        raise ValueError(f"{reader.name} has a <tool_call>, but {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{reader.name} has a <tool_call> that is {kind_of(value)}, not an object")
    call = reader.inside("<tool_call>", value, "call", f"the <tool_call> of {reader.name}")
    without_id(call)
    name, given = call_of(call)
    return Call(name, given)


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
    return rest, _definitions(block[1])


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
