"""Records that went through a table once: columns of JSON text, and nulls where other rows have something.

After the reports on structs in `datasets` (every tool gets every other tool's keys) and ToolACE's mirrors.
"""

from typing import Any

from bench.fuzz_data.case import Case, definition
from bench.fuzz_data.chat import messages
from bench.fuzz_data.marks import AsText, Mint
from bench.fuzz_data.talk import Draw, slots

Fields = dict[str, Any]


def text_columns(mint: Mint) -> Case:
    """`messages` and `tools` as JSON texts: what a column of strings holds."""
    talk = Draw(mint, any_order=True).talk()
    record: Fields = {"messages": AsText(messages(mint, talk)), **talk.labels}
    if talk.tools:
        record["tools"] = AsText([definition(tool) for tool in talk.tools])
    return Case(record, slots(talk))


def padded(mint: Mint) -> Case:
    """Every object of one place has the keys of all objects there; what it did not have itself is null."""
    ids = mint.chance(0.5)
    talk = Draw(mint, any_order=ids).talk()
    said = messages(mint, talk, ids=ids)
    for message in said:
        for call in message.get("tool_calls", ()):
            arguments = call["function"]["arguments"]
            call["function"]["arguments"] = arguments.value if isinstance(arguments, AsText) else arguments
    record: Fields = {"messages": said, **talk.labels}
    if talk.tools:
        offered: list[Fields] = [definition(tool) for tool in talk.tools]
        record["tools"] = AsText(offered) if mint.chance(0.4) else offered
    return Case(_padded([record])[0], slots(talk))


def _padded(values: list[Any]) -> list[Any]:
    """Objects that stand in the same place of a table's rows, each with the keys of all."""
    if any(isinstance(value, dict) for value in values):
        keys = dict.fromkeys(key for value in values if value is not None for key in value)
        columns = {
            key: _padded([None if value is None else value.get(key) for value in values]) for key in keys
        }
        return [
            None if value is None else {key: columns[key][row] for key in keys}
            for row, value in enumerate(values)
        ]
    if any(isinstance(value, list) for value in values):
        items = _padded([item for value in values if value is not None for item in value])
        taken = iter(items)
        return [None if value is None else [next(taken) for _ in value] for value in values]
    return values
