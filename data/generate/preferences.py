"""Pairs of answers out of the generator's conversations: the right one, and a plausible wrong one."""

import random
from collections.abc import Callable, Iterator
from itertools import cycle, islice

from data.chat import AssistantMessage, Conversation
from data.generate import phrases
from data.generate.build import Builder
from data.generate.pools import Split
from data.generate.rejected import Spoiler, tells_a_result
from data.generate.spec import Spec
from data.generate.tools import TRAINED, clash
from data.preference import Preference

TRAIN = {"argument": 40, "tool": 14, "words": 18, "half": 10, "needless": 18, "result": 8, "rambling": 12}
HELDOUT = {"argument": 9, "tool": 4, "words": 5, "half": 3, "needless": 4, "result": 2, "rambling": 3}
"""Pairs of each category, which is named after what is wrong with the rejected answer."""


def preference_files() -> dict[str, list[Preference]]:
    """Both files of preferences by name."""
    return {
        "preferences": preferences("preferences", "train", TRAIN),
        "heldout_preferences": preferences("heldout-preferences", "heldout", HELDOUT),
    }


def preferences(name: str, split: Split, plan: dict[str, int]) -> list[Preference]:
    """As many of each category as `plan` says, mixed, so that any first part is a fair sample."""
    rng = random.Random(f"enxerto {name} plan")
    asked = _Asked(Builder(name, split, TRAINED), rng)
    spoiler = Spoiler(rng, split)
    ways: dict[str, tuple[Iterator[Conversation], Callable[[Conversation], AssistantMessage]]] = {
        "argument": (asked.with_arguments(), spoiler.argument),
        "tool": (asked.among_several_tools(), spoiler.tool),
        "words": (asked.for_a_call(), spoiler.words),
        "half": (asked.for_two_calls(), spoiler.half),
        "needless": (asked.for_no_tool(), spoiler.needless),
        "result": (asked.and_told(), spoiler.result),
        "rambling": (asked.for_words(), spoiler.rambling),
    }
    made = [
        _pair(conversation, ways[category][1](conversation), category)
        for category, number in plan.items()
        for conversation in islice(ways[category][0], number)
    ]
    return [
        pair.model_copy(update={"id": f"{name}-{number:04}"})
        for number, pair in enumerate(rng.sample(made, len(made)), 1)
    ]


def _pair(conversation: Conversation, rejected: AssistantMessage, category: str) -> Preference:
    *prompt, chosen = conversation.messages
    assert isinstance(chosen, AssistantMessage)
    return Preference(
        prompt=prompt, tools=conversation.tools, chosen=chosen, rejected=rejected, category=category
    )


class _Asked:
    """Endless conversations of each need; the tools take turns."""

    def __init__(self, builder: Builder, rng: random.Random) -> None:
        self._builder, self._split = builder, builder.split
        self._specs = rng.sample(TRAINED, len(TRAINED))
        facts = phrases.FACTS_TRAIN if self._split == "train" else phrases.FACTS_HELDOUT
        self._facts = cycle(rng.sample(facts, len(facts)))

    def _turns(self, wanted: Callable[[Spec], object] = lambda _: True) -> Iterator[Spec]:
        return cycle([spec for spec in self._specs if wanted(spec)])

    def with_arguments(self) -> Iterator[Conversation]:
        """One call, at once, after an earlier request, or asked for in Portuguese."""
        told, portuguese = self._turns(self._says), self._turns(lambda spec: spec.pt.of(self._split))
        for number, spec in enumerate(self._turns(lambda spec: spec.required)):
            if number % 5 == 2:
                yield self._builder.multi_turn(next(one for one in told if not clash(one, spec)), spec)
            elif number % 5 == 4:
                yield self._builder.single(next(portuguese), "portuguese")
            else:
                yield self._builder.single(spec)

    def among_several_tools(self) -> Iterator[Conversation]:
        return (made for made in self.for_a_call() if len(made.tools) > 1)

    def for_a_call(self) -> Iterator[Conversation]:
        return map(self._builder.single, self._turns())

    def for_two_calls(self) -> Iterator[Conversation]:
        for spec, other in zip(
            self._turns(lambda spec: spec.both.of(self._split)), self._turns(), strict=False
        ):
            yield self._builder.parallel(spec)
            if not clash(spec, other):
                yield self._builder.parallel(spec, other)

    def for_no_tool(self) -> Iterator[Conversation]:
        for spec, fact in zip(self._turns(), self._facts, strict=False):
            yield self._builder.none(spec)
            yield self._builder.fact(*fact)

    def and_told(self) -> Iterator[Conversation]:
        return filter(tells_a_result, map(self._builder.answer, self._turns(self._says)))

    def for_words(self) -> Iterator[Conversation]:
        for spec, fact in zip(self._turns(self._says), self._facts, strict=False):
            yield self._builder.answer(spec)
            yield self._builder.fact(*fact)

    def _says(self, spec: Spec) -> object:
        return spec.say.of(self._split)
