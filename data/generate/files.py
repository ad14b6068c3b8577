"""What goes into each sample file: how many conversations of which category."""

import random
import re
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import TypeVar

from data.chat import Conversation
from data.generate import phrases
from data.generate.build import Builder, strangers
from data.generate.pools import Split
from data.generate.spec import Spec
from data.generate.tools import TRAINED, UNSEEN, clash

T = TypeVar("T")
_SERIES = 322


def sample_files() -> dict[str, list[Conversation]]:
    """Every sample file by name."""
    return {
        "train": train(),
        "heldout_known": heldout(
            "known", TRAINED, single=44, parallel=9, multi_turn=9, answer=2, none=3, portuguese=3
        ),
        "heldout_unseen": heldout(
            "unseen", UNSEEN, single=48, parallel=9, multi_turn=8, answer=2, none=3, portuguese=0
        ),
        "heldout_chat": heldout_chat(),
    }


def train() -> list[Conversation]:
    """Mixed, so that any first part of the file is a fair sample of it.

    Most calls stand in long series of requests: tools are read once and called often, so that a short
    training sees as many calls as its tokens can hold.
    """
    builder = Builder("train", "train", TRAINED, renamed=True)
    rng = random.Random("enxerto train plan")
    twice, told, portuguese = _able(TRAINED, "both"), _able(TRAINED, "say"), _able(TRAINED, "pt")
    made = [builder.single(spec) for _ in range(5) for spec in _mixed(TRAINED, rng)]
    made += [builder.parallel(spec) for _ in range(3) for spec in twice]
    made += [builder.parallel(*_pair(TRAINED, TRAINED, rng)) for _ in range(42)]
    made += [builder.single(spec, "portuguese") for _ in range(2) for spec in portuguese]
    for _ in range(_SERIES):
        shown = list(_pair(TRAINED, TRAINED, rng))
        third = rng.choice(TRAINED)
        if rng.random() < 0.3 and not any(clash(third, spec) for spec in shown):
            shown.append(third)
        far = reduce(lambda specs, spec: strangers(spec, specs), shown, list(TRAINED))
        made.append(builder.series(shown, rng.choice(far), rng.randint(4, 7)))
    made += [builder.answer(spec) for spec in told[::2]]
    made += [builder.none(spec) for spec in _many(TRAINED, 25, rng)]
    made += [builder.fact(*fact) for fact in (*phrases.FACTS_TRAIN, *talks("train"))]
    made += [builder.chat(*talk) for talk in talks("train")]
    return _mixed(made, rng)


def heldout(
    name: str,
    specs: Sequence[Spec],
    *,
    single: int,
    parallel: int,
    multi_turn: int,
    answer: int,
    none: int,
    portuguese: int,
) -> list[Conversation]:
    """Questions whose last message is the expected answer, on the held-out templates and values.

    Fewer than one in ten of them wants words: a base that only talks must not look as if it could call.
    """
    builder = Builder(name, "heldout", specs)
    rng = random.Random(f"enxerto {name} plan")
    told = _able(specs, "say")
    made = [builder.single(spec) for spec in _many(specs, single, rng)]
    made += [builder.parallel(spec) for spec in _many(_able(specs, "both"), parallel // 2, rng)]
    made += [builder.parallel(*_pair(specs, specs, rng)) for _ in range(parallel - parallel // 2)]
    made += [builder.multi_turn(*_pair(told, specs, rng)) for _ in range(multi_turn)]
    made += [builder.answer(spec) for spec in _many(told, answer, rng)]
    made += [builder.none(spec) for spec in _many(specs, none, rng)]
    facts = phrases.FACTS_HELDOUT[:2] if specs is TRAINED else phrases.FACTS_HELDOUT[3:5]
    made += [builder.fact(*fact) for fact in facts]
    made += [builder.single(spec, "portuguese") for spec in _many(_able(specs, "pt"), portuguese, rng)]
    return made


def heldout_chat() -> list[Conversation]:
    """Plain answers, for perplexity."""
    builder = Builder("chat", "heldout", ())
    return [builder.chat(*talk) for talk in talks("heldout")]


def talks(split: Split) -> list[tuple[str, str]]:
    """The hand-written plain conversations: a heading is the question, what follows it the answer."""
    text = (Path(__file__).parent / "talks" / f"{split}.md").read_text(encoding="utf-8")
    return [
        (question, answer.strip())
        for question, answer in re.findall(r"^# (.+)\n((?:(?!# ).*\n)+)", text, re.M)
    ]


def _able(specs: Sequence[Spec], field: str) -> list[Spec]:
    """The tools that have a wording of this field."""
    return [spec for spec in specs if getattr(spec, field).heldout]


def _many(specs: Sequence[Spec], count: int, rng: random.Random) -> list[Spec]:
    """`count` tools, each once before any comes again."""
    chosen: list[Spec] = []
    while len(chosen) < count:
        chosen += _mixed(specs, rng)
    return chosen[:count]


def _pair(first: Sequence[Spec], second: Sequence[Spec], rng: random.Random) -> tuple[Spec, Spec]:
    one = rng.choice(first)
    return one, rng.choice([spec for spec in second if not clash(one, spec)])


def _mixed(values: Sequence[T], rng: random.Random) -> list[T]:
    return rng.sample(values, len(values))
