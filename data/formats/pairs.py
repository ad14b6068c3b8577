"""`conversation` of pairs of a question and its answer, as ms-swift and XTuner have it."""

from data.formats import messages
from data.formats.keys import Fields, Reader
from data.formats.parts import labels, objects, text, tools
from data.formats.turns import Turns

_NAMES = (("human", "assistant"), ("input", "output"))


def pairs(root: Reader) -> Fields:
    """Pairs of `human` and `assistant`, or of `input` and `output`; each may have a `system`."""
    kept = labels(root)
    offered = tools(root)
    made = Turns(offered)
    messages.system(root, made, [])
    given = objects(root.take("conversation"), "`conversation`")
    if not given:
        raise ValueError("`conversation` holds no pair")
    for number, one in enumerate(given, 1):
        reader = root.inside("conversation[]", one, "message", f"pair {number}")
        names = next((names for names in _NAMES if all(name in reader.left for name in names)), None)
        if names is None:
            keys = ", ".join(repr(key)[:40] for key in list(one)[:8]) or "none"
            raise ValueError(
                f"pair {number} has neither `human` and `assistant` nor `input` and `output`; its keys are"
                f" {keys} (messages of `role` or `from` stand under `conversations`)"
            )
        if "system" in reader.left and (said := text(reader, "system")):
            made.say("system", said)
        question, answer = (text(reader, name) for name in names)
        made.say("user", question)
        made.answer(answer, (), messages.weight(reader))
    return kept | {"messages": made.messages, "tools": offered}
