"""Alpaca: an `instruction`, perhaps an `input` that it is about, and the `output`, also by other names.

Dolly has `instruction`, `context` and `response`, ms-swift `query` and `response`, OpenOrca `question` and
`response`.
"""

from typing import Any

from data.formats import messages
from data.formats.keys import Fields, Reader
from data.formats.parts import labels, text, tools
from data.formats.turns import Turns

ASKED = ("instruction", "query", "question")
_ABOUT = ("input", "context")


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
    made.answer(text(root, "response" if "response" in root.left else "output"), ())
    if root.take("text") is not None:  # the same once more, in Alpaca's own frame
        root.unused("text")
    return kept | {"messages": made.messages, "tools": offered}


def asked(root: Reader) -> str:
    """The question: the instruction, and what it is about."""
    question = text(root, next((key for key in ASKED if key in root.left), "instruction"))
    about = next((key for key in _ABOUT if root.left.get(key)), None)
    if about is not None:
        return f"{question}\n\n{text(root, about)}"
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
