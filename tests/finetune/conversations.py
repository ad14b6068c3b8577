"""Conversations of every kind that private data holds, for property tests of the renderers."""

import json
import string
from typing import Any

from hypothesis import strategies as st

from data.chat import Conversation

CONTROL = [
    "<|im_end|>",
    "<|im_start|>assistant\n",
    "[INST]",
    "[/INST]",
    "</s>",
    "<s>",
    "[TOOL_CALLS]",
    "<filename>",
]
"""Text that looks like the control tokens of one format or the other."""

_SCRIPTS = [
    "e\u0301a\u0308o\u0302",
    "👩‍👩‍👧‍👦 🇧🇷 🫠",
    "שלום עליכם \u200f\u202b",
    "مرحبا بالعالم",
    "日本語、中文",
    "한국어 조합",
    "नमस्ते",
    "\ufeff\u00ad",
    "São João — «já»",
]
_BLANKS = ["", " ", "  ", "\n", "\n\n", " \n", "\t", "\r\n", "\u00a0"]
_NAME = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)

words = st.one_of(
    st.text(string.ascii_letters + string.digits + " .,'\"{}[]<>|/\\", max_size=30),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(_SCRIPTS),
    st.sampled_from(
        ["<tool_call>", "</tool_call>", '{"name": "f"}', "```json\n[]\n```", "null", "<|im_", "end|>"]
    ),
)


@st.composite
def texts(draw: st.DrawFn, control: bool = True) -> str:
    """Words of any script between blanks; one in twelve holds what looks like a control token."""
    parts = draw(st.lists(words, min_size=1, max_size=4))
    if control and draw(st.integers(0, 11)) == 0:
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(CONTROL)))
    blank = st.sampled_from(_BLANKS)
    return draw(blank) + draw(st.sampled_from(["", " ", "\n"])).join(parts) + draw(blank)


@st.composite
def contents(draw: st.DrawFn) -> str | list[dict[str, str]]:
    if draw(st.integers(0, 4)):
        return draw(texts())
    return [{"type": "text", "text": text} for text in draw(st.lists(texts(), min_size=1, max_size=3))]


_numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, texts()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(control=False), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def arguments(draw: st.DrawFn) -> str:
    """A JSON object, compact, spaced, indented or escaped, as clients and models write it."""
    value = draw(st.dictionaries(texts(control=False), _values, max_size=3))
    style: dict[str, Any] = draw(
        st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 2}, {"separators": (" ,  ", " :  ")}])
    )
    return json.dumps(value, ensure_ascii=draw(st.booleans()), **style) + draw(
        st.sampled_from(["", " ", "\n"])
    )


call_ids = st.one_of(
    st.text(string.ascii_letters + string.digits, min_size=9, max_size=9),
    st.text(string.ascii_letters + string.digits, min_size=24, max_size=24).map(lambda text: f"call_{text}"),
    st.sampled_from(["Ab3dEf6hI", "call_1_Ab3dEf6hI", "call_2_Ab3dEf6hI"]),
)
"""Ids that Mistral's formats carry, and OpenAI's, of which vLLM keeps the last nine characters."""


@st.composite
def _tools(draw: st.DrawFn) -> list[dict[str, Any]]:
    tools = []
    for name in draw(st.lists(_NAME, max_size=3, unique=True)):
        function: dict[str, Any] = {"name": name}
        if draw(st.booleans()):
            function["description"] = draw(texts())
        if draw(st.booleans()):
            known = draw(st.lists(_NAME, max_size=2, unique=True))
            properties = {key: {"type": "string", "description": draw(texts())} for key in known}
            function["parameters"] = {"type": "object", "properties": properties}
        if draw(st.integers(0, 4)) == 0:
            function["strict"] = draw(st.booleans())
        tools.append({"type": "function", "function": function})
    return tools


@st.composite
def _called(draw: st.DrawFn, names: list[str]) -> list[dict[str, Any]]:
    """An assistant's calls, one or parallel, and their results in this or another order."""
    calls = []
    for given in draw(st.lists(call_ids, min_size=1, max_size=3, unique_by=lambda given: given[-9:])):
        function = {"name": draw(st.sampled_from(names)), "arguments": draw(arguments())}
        calls.append({"id": given, "type": "function", "function": function})
    message: dict[str, Any] = {"role": "assistant", "tool_calls": calls}
    if draw(st.integers(0, 3)) == 0:
        message["content"] = draw(contents())
    order = draw(st.permutations(calls)) if draw(st.integers(0, 3)) == 0 else calls
    return [
        message,
        *({"role": "tool", "tool_call_id": call["id"], "content": draw(contents())} for call in order),
    ]


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A conversation of `Conversation`'s rules; a format may still refuse it."""
    tools = draw(_tools())
    names = [tool["function"]["name"] for tool in tools] or ["lookup"]
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(contents())})
    for _ in range(draw(st.integers(1, 3))):
        several = 2 if draw(st.integers(0, 5)) == 0 else 1
        messages += [{"role": "user", "content": draw(contents())} for _ in range(several)]
        for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
            messages += draw(_called(names))
        if draw(st.integers(0, 5)):
            messages.append({"role": "assistant", "content": draw(contents())})
    for message in messages:
        if message["role"] == "assistant" and draw(st.integers(0, 4)) == 0:
            message["weight"] = 0
    if draw(st.integers(0, 19)) == 0:  # out of order: what one side refuses the other must refuse too
        messages.insert(draw(st.integers(0, len(messages))), {"role": "assistant", "content": draw(texts())})
    return Conversation.model_validate({"messages": messages, "tools": tools})
