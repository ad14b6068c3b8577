"""OpenAI's chat format: fine-tuning files, API logs (which write absent fields as null), and their elders.

- `weight` on assistant messages is kept; `parallel_tool_calls` is a setting that no prompt shows.
- The role `developer` is the newer name of `system`, and becomes it.
- `functions`, `function_call` and the role `function` are the older names of tools, calls and results.
- A `refusal` is what the assistant said, so it becomes the content where there is none.
- `name` on a message is left out: no chat format that is served here shows it to the model.
- Empty `annotations` are left out; anything else that is not known is refused by `Conversation`.
"""

from typing import Any

from data.formats.parts import Fields, arguments, call_id, labels, objects, tool, tools, without_nulls


def openai(record: Fields) -> Fields:
    """`messages` and, where there are any, `tools`."""
    if record.get("functions"):
        if record.get("tools"):
            raise ValueError("it has both `tools` and `functions`, the older name of the same")
        offered = [tool(function) for function in objects(record, "functions")]
    else:
        offered = tools(record.get("tools"))
    kept = labels(record) | {"tools": offered}
    if record.get("messages") is not None:
        kept["messages"] = messages(objects(record, "messages"))
    return kept


def messages(given: list[Fields]) -> list[Fields]:
    """Messages of an OpenAI log in today's form."""
    made = []
    waiting: tuple[str, Any] | None = None
    for number, old in enumerate(given):
        message = without_nulls(old)
        message.pop("name", None)
        role = message.get("role")
        if role == "assistant":
            waiting = _assistant(message, number) or waiting
        elif role == "developer":
            message["role"] = "system"
        elif role == "function":
            _result(message, number, waiting, old.get("name"))
            waiting = None
        made.append(message)
    return made


def _assistant(message: Fields, number: int) -> tuple[str, Any] | None:
    """Renew one assistant message in place; id and name of its `function_call`, if it has one."""
    if message.get("annotations") == []:
        del message["annotations"]
    if (refusal := message.pop("refusal", None)) is not None:
        if message.get("content"):
            raise ValueError(f"message {number} has both `content` and `refusal`; only one was said")
        message["content"] = refusal
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [_call(call) for call in calls]
    old = message.pop("function_call", None)
    if old is None:
        return None
    if message.get("tool_calls"):
        raise ValueError(f"message {number} has both `tool_calls` and `function_call`, the older name")
    if not isinstance(old, dict) or "name" not in old:
        raise ValueError(f"message {number} has a `function_call` without a `name`")
    name, text = old["name"], arguments(old.get("arguments"))
    new_id = call_id(f"{number} {name} {text}")
    message["tool_calls"] = [{"id": new_id, "function": {"name": name, "arguments": text}}]
    return new_id, name


def _call(call: Any) -> Any:
    """Arguments that were logged as an object become the text that the API sends."""
    function = call.get("function") if isinstance(call, dict) else None
    if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
        return call | {"function": function | {"arguments": arguments(function["arguments"])}}
    return call


def _result(message: Fields, number: int, waiting: tuple[str, Any] | None, name: Any) -> None:
    """Turn a `function` message into the result of the `function_call` before it."""
    if waiting is None or name not in (None, waiting[1]):
        raise ValueError(f"message {number} is a function's result, but no function_call of it waits for one")
    message["role"], message["tool_call_id"] = "tool", waiting[0]
