"""Messages as each format writes them, `role` and `content` or `from` and `value`, in OpenAI's form of today.

- The role `developer` is the newer name of `system`; `function_call` and the role `function` are the older
  names of calls and results.
- ShareGPT's and ms-swift's roles for a call hold it as JSON, or a list of parallel ones. Calls that follow
  each other, or an answer's words, are one message.
- Calls may have no ids, as in TRL's data sets; results then answer them by name or in order.
- A `refusal` is what the assistant said, so it becomes the content where there is none.
"""

import json
from typing import Any

from data.formats.keys import Fields, Reader
from data.formats.marks import LEARN, MEDIA, unclear, verdict
from data.formats.padding import holds_null, unpadded_arguments
from data.formats.parts import call_of, literal, objects
from data.formats.problems import RefusalError
from data.formats.turns import TAKEN, Call, Turns
from data.formats.values import kind_of

_OTHER_PARTS = ("file", "input_file", "input_image", "input_video")
"""Kinds of parts that are no text either, beside what `marks` knows of pictures and sound."""
_TOOL_PARTS = ("tool_use", "tool_result", "server_tool_use")

ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "gpt": "assistant", "function_call": "call", "tool_call": "call", "tool": "result", "function": "result",
    "observation": "result", "tool_response": "result", "function_response": "result", "ipython": "result",
}  # fmt: skip


SYSTEM = ("system", "system_prompt")
"""Keys of a system prompt beside the messages."""


def system(root: Reader, made: Turns, given: list[Fields]) -> None:
    """Say the system prompt that stands beside the messages, unless their first one repeats it."""
    prompted({key: root.take(key) for key in SYSTEM}, made, given)


def prompted(said: Fields, made: Turns, given: list[Fields]) -> None:
    """The same for what stood there."""
    first = given[0] if given else {}
    speaker = first.get("role") if first.get("from") is None else first["from"]
    repeated = (first.get("content"), first.get("value")) if speaker in ("system", "developer") else ()
    for key, text in said.items():
        if not isinstance(text, str | None):
            raise ValueError(f"`{key}` is not text but {kind_of(text)}")
        if text and text not in repeated:
            made.say("system", text)


def add(
    root: Reader,
    path: str,
    given: list[Fields],
    made: Turns,
    *,
    learned: bool = True,
    of: str = "",
    first: int = 1,
) -> None:
    """Read messages; where they are not `learned`, all of them are context.

    `path` is where they stand, such as `messages[]`; `of` ends their names where there are several lists, and
    `first` is the number of the first one.
    """
    roles = [_role(message, f"message {number}{of}") for number, message in enumerate(given, first)]
    for number, (role, message) in enumerate(zip(roles, given, strict=True), 1):
        reader = root.inside(path, message, "message", f"message {number + first - 1}{of}")
        content = _opened(reader)
        if role == "assistant":
            _assistant(reader, content, made, learned)
        elif role == "call":
            key = "value" if message.get("content") is None else "content"
            made.call(reader.name, _written(reader, key, content, made), weight(reader, learned))
        else:
            reader.learned = False
            if content is None:
                raise ValueError(f"{reader.name} (the {role}'s) has no text")
            if content is TAKEN:
                continue
            if role == "result":
                _result(reader, content, made, alone=roles[number : number + 1] != ["result"])
            else:
                made.say(role, _text(reader, content))


def opened(reader: Reader, message: Fields) -> tuple[str, Any]:
    """The role of a message, as a value of `ROLES`, and its text or its list of text parts."""
    return _role(message, reader.name), _opened(reader)


def _opened(reader: Reader) -> Any:
    reader.take("role"), reader.take("from")
    return _content(reader)


def _role(message: Fields, name: str) -> str:
    given = message.get("role")
    if given is None:
        given = message.get("from")
    elif message.get("from") not in (None, given):
        raise ValueError(f"{name} has both `role` and `from`, which differ")
    if given is None:
        keys = ", ".join(repr(key)[:40] for key in list(message)[:8]) or "none"
        raise ValueError(f"{name} has neither `role` nor `from`; its keys are {keys}")
    if not isinstance(given, str) or given not in ROLES:
        raise ValueError(f"{name} is from {given!r:.60}; known are {', '.join(ROLES)}")
    return ROLES[given]


def _content(reader: Reader) -> Any:
    """Text, or a list of text parts, under `content` or `value`."""
    content = reader.take("content")
    if content is None:
        content = reader.take("value")
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content):
        return [_part(reader, part, number) for number, part in enumerate(content, 1)]
    return content


def _part(message: Reader, part: Fields, number: int) -> Fields:
    reader = message.inside("content[]", part, "part", f"part {number} of {message.name}")
    kind = reader.take("type")
    if kind in ("text", "refusal"):
        text = reader.take(kind)
        if not isinstance(text, str):
            raise ValueError(f"`{kind}` of {reader.name} is not text but {kind_of(text)}")
        return {"type": "text", "text": text}
    if isinstance(kind, str) and (kind in MEDIA or kind in _OTHER_PARTS):
        raise ValueError(f"{reader.name} is {kind!r}: this model reads and writes text alone")
    if kind in _TOOL_PARTS:
        raise RefusalError(
            f"{reader.name} is {kind!r}, as in Anthropic's records; write calls under `tool_calls`,"
            " and each result as a message of the role `tool`"
        )
    raise ValueError(f"{reader.name} is of the type {kind!r:.60}, but only text is known")


def _text(reader: Reader, content: Any) -> Any:
    if content is None or isinstance(content, str | list):
        return content
    raise ValueError(f"{reader.name} holds {kind_of(content)}, not text")


def _assistant(reader: Reader, content: Any, made: Turns, learned: bool) -> None:
    content = _text(reader, content)
    if (refusal := reader.take("refusal")) is not None:
        if content:
            raise ValueError(f"{reader.name} has both `content` and `refusal`; only one was said")
        if not isinstance(refusal, str):
            raise ValueError(f"`refusal` of {reader.name} is not text but {kind_of(refusal)}")
        content = refusal
    calls = [
        _call(reader.inside("tool_calls[]", one, "call", f"call {number} of {reader.name}"), made)
        for number, one in enumerate(objects(reader.take("tool_calls"), f"`tool_calls` of {reader.name}"), 1)
    ]
    if (old := reader.take("function_call")) is not None:
        if calls:
            raise ValueError(f"{reader.name} has both `tool_calls` and `function_call`, the older name")
        if not isinstance(old, dict):
            raise ValueError(f"`function_call` of {reader.name} is not an object but {kind_of(old)}")
        function = reader.inside("function_call", old, "call", f"`function_call` of {reader.name}")
        calls = [call_made(function, None, made)]
    made.answer(content, calls, weight(reader, learned))


def _call(reader: Reader, made: Turns | None) -> Call:
    """A call as the API has it, or bare; one without an id, or with an empty one, gets one later.

    Of one that stood in a text there is no `made`: that was in no table, so its nulls are meant.
    """
    kind, identity, function = reader.take("type"), reader.take("id"), reader.take("function")
    if kind not in (None, "function"):
        raise ValueError(f"{reader.name} is of the type {kind!r:.40}, but only functions can be called")
    if not isinstance(identity, str | None):
        raise ValueError(f"the `id` of {reader.name} is not text but {kind_of(identity)}")
    if function is None:
        return call_made(reader, identity, made)
    if not isinstance(function, dict):
        raise ValueError(f"the `function` of {reader.name} is not an object but {kind_of(function)}")
    return call_made(reader.inside("function", function, "call", reader.name), identity, made)


def call_made(reader: Reader, identity: str | None, made: Turns | None) -> Call:
    """The call of a name and arguments; of one from a text there is no `made`, and its nulls are meant."""
    name, given = call_of(reader)
    if made is not None and isinstance(given, dict) and holds_null(given):
        schema = made.schemas.get(name)
        given = unpadded_arguments(given, schema, lambda key: reader.unused(f"arguments.{key}"))
    return Call(name, given, identity)


def _written(reader: Reader, key: str, content: Any, made: Turns) -> list[Call]:
    """The calls of a turn that holds nothing else: a JSON object, or a list of parallel ones."""
    table: Turns | None = made
    if isinstance(content, str):
        try:
            content = literal(content)
        except ValueError as error:
            raise ValueError(f"{reader.name} is a call, but {error}") from None
        table = None
    members = content if isinstance(content, list) else [content]
    if not members or not all(isinstance(one, dict) for one in members):
        raise ValueError(f"{reader.name} is a call, but not an object with `name` and `arguments`")
    return [
        _call(reader.inside(key, one, "call", f"call {number} of {reader.name}"), table)
        for number, one in enumerate(members, 1)
    ]


def _result(reader: Reader, content: Any, made: Turns, alone: bool) -> None:
    if not isinstance(content, str | list) or (isinstance(content, list) and not _is_parts(content)):
        content = _as_json(reader, content)
    identity, tool = reader.take("tool_call_id"), reader.take("name")
    if not isinstance(identity, str | None):
        raise ValueError(f"the `tool_call_id` of {reader.name} is not text but {kind_of(identity)}")
    if identity:
        if tool is not None:
            reader.unused("name")
        made.result(reader.name, content, identity)
    elif tool is None and alone:
        made.results(reader.name, content)
    else:
        made.result(reader.name, content, None, tool)


def _is_parts(content: list[Any]) -> bool:
    return all(isinstance(part, dict) and part.get("type") == "text" for part in content)


def _as_json(reader: Reader, content: Any) -> str:
    """A result that is an object, as the text that a template would make of it."""
    try:
        return json.dumps(content, ensure_ascii=False)
    except TypeError:
        raise ValueError(f"{reader.name} holds a value that JSON has no form for") from None


def weight(reader: Reader, learned: bool = True) -> int:
    """1 where an answer is learned: all flags on it must say the same."""
    if not reader.left:
        return int(learned)
    said: dict[str, bool] = {}
    for key in LEARN:
        if key not in reader.left:
            continue
        value = reader.take(key)
        if (yes := verdict(value)) is None:
            raise RefusalError(f"`{key}` of {reader.name} {unclear(value)}")
        said[key] = yes
        if not learned:
            reader.unused(key)
    if len(set(said.values())) > 1:
        keys = " and ".join(f"`{key}`" for key in said)
        raise ValueError(f"{keys} of {reader.name} say the opposite of each other")
    return int(learned and all(said.values()))
