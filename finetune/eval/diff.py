"""Where an answer departs from the expected one, piece by piece, for people to see."""

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from data.report import Answer, Call
from finetune.eval.scorers import parse_arguments

_PIECE = re.compile(r"\s+|\w+|[^\w\s]")


class Piece(NamedTuple):
    kind: Literal["same", "extra", "missing"]
    text: str


def between(expected: Answer | None, got: Answer) -> list[Piece]:
    """The answer in pieces. Readable calls are set against expected calls; the rest is shown as it is."""
    if expected is None or not expected.calls or not got.calls or not all(map(_readable, got.calls)):
        return [Piece("same", shown(got))]
    wanted = _PIECE.findall(_shown_calls(expected.calls))
    made = _PIECE.findall(_shown_calls(got.calls))
    pieces = []
    for tag, a, b, c, d in SequenceMatcher(None, wanted, made, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(made[c:d])))
        else:
            pieces += [Piece("missing", "".join(wanted[a:b]))] * (b > a)
            pieces += [Piece("extra", "".join(made[c:d]))] * (d > c)
    return pieces


def shown(answer: Answer) -> str:
    """The answer as text: words first, then calls."""
    return "\n".join(part for part in (answer.content or "", _shown_calls(answer.calls)) if part)


def _shown_calls(calls: Sequence[Call]) -> str:
    # Sorted, because neither the order of calls nor that of arguments means anything.
    return "\n".join(sorted(_shown_call(call) for call in calls))


def _readable(call: Call) -> bool:
    try:
        parse_arguments(call)
    except ValueError:
        return False
    return True


def _shown_call(call: Call) -> str:
    if not _readable(call):
        return f"{call.name}({call.arguments})"
    arguments = parse_arguments(call)
    lines = (f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in sorted(arguments.items()))
    return f"{call.name}(" + "".join(f"\n{line}" for line in lines) + ("\n)" if arguments else ")")
