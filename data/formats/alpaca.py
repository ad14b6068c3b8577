"""Alpaca: an `instruction`, perhaps an `input` that it is about, and the `output`."""

from typing import Any

from data.formats import messages
from data.formats.keys import Fields, Reader
from data.formats.parts import labels, text, tools
from data.formats.turns import Turns


def alpaca(root: Reader) -> Fields:
    """One question and its answer; instruction and input stand as two paragraphs, without Alpaca's own frame.

    `system` is a system message, and `history` holds earlier pairs of question and answer.
    """
    kept = labels(root)
    offered = tools(root)
    made = Turns(offered)
    messages.system(root, made, [])
    for question, answer in pairs(root.take("history")):
        made.say("user", question)
        made.answer(answer, ())
    made.say("user", asked(root))
    made.answer(text(root, "output"), ())
    if root.take("text") is not None:  # the same once more, in Alpaca's own frame
        root.unused("text")
    return kept | {"messages": made.messages, "tools": offered}


def asked(root: Reader) -> str:
    """The question: the instruction, and what it is about."""
    question = text(root, "instruction")
    if root.left.get("input"):
        return f"{question}\n\n{text(root, 'input')}"
    root.take("input")
    return question


def pairs(history: Any) -> list[list[str]]:
    """Earlier questions and their answers."""
    history = history or []
    if not isinstance(history, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in history
    ):
        raise ValueError("`history` is not a list of pairs of question and answer")
    return history
