"""ShareGPT with Glaive's tool turns: `function_call` holds a JSON call, `observation` its result."""

from data.formats.parts import Fields, Turns, labels, objects, tools
from data.strict_json import RefusedError, loads

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


def sharegpt(record: Fields) -> Fields:
    """`conversations` of `from` and `value`, and `tools` as a list or as JSON text.

    Calls that follow each other are one message's parallel calls; results answer them in order. `weight` on
    a `gpt` turn is OpenAI's.
    """
    made = Turns()
    if record.get("system"):
        made.say("system", record["system"])
    for number, turn in enumerate(objects(record, "conversations"), 1):
        role, value = turn.get("from"), turn.get("value")
        if not isinstance(value, str):
            raise ValueError(f"turn {number} ({role}) has no text under `value`")
        if role == "function_call":
            made.call(f"turn {number} is a function_call", _json(number, value), value)
        elif role == "observation":
            made.answer(f"turn {number} is an observation", value)
        elif isinstance(role, str) and role in ROLES:
            weight = {"weight": turn["weight"]} if turn.get("weight") is not None else {}
            made.say(ROLES[role], value, **(weight if ROLES[role] == "assistant" else {}))
        else:
            known = ", ".join([*ROLES, "function_call", "observation"])
            raise ValueError(f"turn {number} is from {role!r}; known are {known}")
    return labels(record) | {"messages": made.messages, "tools": tools(record.get("tools"))}


def _json(number: int, value: str) -> object:
    try:
        return loads(value)
    except RefusedError as error:
        raise ValueError(f"turn {number} is a function_call, but unclear JSON ({error})") from None
    except ValueError as error:
        reason = getattr(error, "msg", error)
        raise ValueError(f"turn {number} is a function_call, but not JSON ({reason})") from None
