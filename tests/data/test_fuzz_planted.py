"""Faults planted in readers, renderers and containers, to see the oracle of `make fuzz` find each."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.fuzz_data import containers, report
from bench.fuzz_data.campaign import Read, Tally, fuzz
from bench.fuzz_data.outcome import Outcome, outcome
from data.chat import AssistantMessage
from data.formats import Raw
from data.formats import raw as real_raw
from finetune.render import Chat, Learn, Renderer, Sample, open_renderer

SEED = 17


# Each changes a record before the real reader sees it, or what comes of it.


def before(change: Callable[[Any], Any]) -> Read:
    def read(value: Any, *more: Any) -> Outcome:
        return outcome(change(value), *more)

    return read


def after(change: Callable[[Outcome], Outcome]) -> Read:
    def read(value: Any, *more: Any) -> Outcome:
        return change(outcome(value, *more))

    return read


def without(key: str, *, false_only: bool = False) -> Callable[[Any], Any]:
    """Drop a key wherever it stands."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: change(item) for name, item in value.items() if name != key or (false_only and item)
            }
        return [change(item) for item in value] if isinstance(value, list) else value

    return change


def swapped_results(value: Any) -> Any:
    """Give the results of a message's first two calls to each other."""
    messages = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(messages, list):
        return value
    results = [one for one in messages if isinstance(one, dict) and one.get("tool_call_id")]
    for one, other in pairwise(results):
        at, after = messages.index(one), messages.index(other)
        if after == at + 1:
            new = {**one, "content": other.get("content")}, {**other, "content": one.get("content")}
            return value | {"messages": [*messages[:at], *new, *messages[after + 1 :]]}
    return value


def are_messages(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def last_answer_first(value: Any) -> Any:
    """Exchange the first answer and the last one."""
    messages = value.get("messages")
    if (
        not isinstance(messages, list)
        or len(messages) < 4
        or not all(isinstance(one, dict) for one in messages)
    ):
        return value
    answers = [n for n, one in enumerate(messages) if one.get("role") == "assistant" and one.get("content")]
    if len(answers) < 2 or any(one.get("tool_calls") for one in messages):
        return value
    first, last = answers[0], answers[-1]
    swapped = list(messages)
    swapped[first], swapped[last] = messages[last], messages[first]
    return value | {"messages": swapped}


def system_said_by_the_user(value: Any) -> Any:
    """Put the system text in front of the first question."""
    messages = value.get("messages")
    if (
        not isinstance(messages, list)
        or len(messages) < 2
        or not all(isinstance(one, dict) for one in messages)
    ):
        return value
    first, second = messages[:2]
    both = first.get("content"), second.get("content")
    if first.get("role") != "system" or not all(isinstance(text, str) for text in both):
        return value
    return value | {"messages": [{**second, "content": f"{both[0]}\n{both[1]}"}, *messages[2:]]}


def nulls_of_arguments(value: Any) -> Any:
    """Leave nulls out of everything, also out of JSON in texts, also where they were meant."""
    if isinstance(value, str) and value.startswith("{") and "null" in value:
        return json.dumps(nulls_of_arguments(json.loads(value)))
    if isinstance(value, dict):
        return {key: nulls_of_arguments(item) for key, item in value.items() if item is not None}
    return [nulls_of_arguments(item) for item in value] if isinstance(value, list) else value


def learned_all(found: Outcome) -> Outcome:
    slots = found.slots and [
        slot._replace(learned=slot.kind in ("assistant", "call") or slot.learned) for slot in found.slots
    ]
    return replace(found, slots=slots)


def everything_listed(found: Outcome) -> Outcome:
    """List the roots of all formats as keys that say nothing, and read nothing."""
    return found if found.slots is None else replace(found, slots=[], unused=("messages", "tools", "id"))


def in_a_librarys_words(found: Outcome) -> Outcome:
    return (
        found
        if found.problem is None
        else replace(found, problem="messages.0: Extra inputs are not permitted.")
    )


def misled(found: Outcome) -> Outcome:
    return found if found.problem is None else replace(found, problem="`x`: set data.ignore: [messages].")


def without_a_name(found: Outcome) -> Outcome:
    return found if found.problem is None else replace(found, problem="it is broken; mend this record.")


def breaks(value: Any) -> Any:
    if isinstance(value, dict) and len(value.get("messages") or ()) > 4:
        raise KeyError("role")
    return value


PLANTED: list[tuple[str, str, Read]] = [
    ("system beside messages", "changed: system is missing", before(without("system"))),
    ("openai", "lost: id", before(without("id", false_only=False))),
    ("openai", "changed: assistant is learned", before(without("weight"))),
    ("openai", "changed: assistant is learned", after(learned_all)),
    ("sharegpt", "changed: assistant is learned", before(without("weight"))),
    ("KTO label", "learned: a record with label", before(without("label"))),
    ("alpaca kto_tag", "learned: a record with kto_tag", before(without("kto_tag"))),
    ("pictures", "learned: a record with images", before(without("images"))),
    ("openai", "changed: result says something else, or answers another call", before(swapped_results)),
    ("openai", "changed: system became user", before(system_said_by_the_user)),
    ("system beside messages", "changed: user moved", before(last_answer_first)),
    ("openai logs", "changed: call says something else", before(nulls_of_arguments)),
    ("glaive in sharegpt", "lost: category", before(without("category"))),
    ("alpaca", "changed: user says something else", before(without("input"))),
    ("xlam", "lost: id", before(without("id"))),
    ("TRL preference", "changed: tool is missing", before(without("tools"))),
    ("openai", "changed: tool is missing", after(everything_listed)),
    ("openai", "sentence: speaks of 'Extra inputs'", after(in_a_librarys_words)),
    ("openai", "unnamed: an added key: it is broken; mend this record.", after(without_a_name)),
    ("openai", "advice: data.ignore as the refusal says", after(misled)),
    ("openai", "traceback: KeyError at breaks", before(breaks)),
]


@pytest.mark.parametrize(
    ("name", "about", "read"), PLANTED, ids=[f"{one}, {about}" for one, about, _ in PLANTED]
)
def test_a_planted_fault_is_found(name: str, about: str, read: Read) -> None:
    tally: Tally = fuzz(name, 160, SEED, read)
    found = [fault for fault in tally.faults if fault.startswith(about)]
    assert found, f"not among {list(tally.faults)}"


@dataclass
class Planted:
    """A base's renderer, whose loss mask is not what it should be."""

    renderer: Renderer
    mask: Callable[[Sample], list[int]]
    weights: bool = True

    def samples(self, conversation: Chat, learn: Learn = "all") -> list[Sample]:
        if not self.weights:
            said = [
                one.model_copy(update={"weight": 1}) if isinstance(one, AssistantMessage) else one
                for one in conversation.messages
            ]
            conversation = conversation.model_copy(update={"messages": said})
        found = self.renderer.samples(conversation, learn)
        return [replace(sample, completion_mask=self.mask(sample)) for sample in found]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.renderer, name)


def everything(sample: Sample) -> list[int]:
    return [1] * len(sample.input_ids)


def one_answer_only(sample: Sample) -> list[int]:
    """Nothing behind the first learned span."""
    start = sample.completion_mask.index(1)
    end = next(
        (n for n, one in enumerate(sample.completion_mask) if n > start and not one), len(sample.input_ids)
    )
    return [int(start <= n < end) for n in range(len(sample.input_ids))]


MASKS = [
    ("is learned", everything, True),
    ("to be learned is not", one_answer_only, True),
    ("assistant is learned", lambda sample: sample.completion_mask, False),
]


@pytest.mark.parametrize(("about", "mask", "weights"), MASKS, ids=[about for about, *_ in MASKS])
def test_a_planted_loss_mask_is_found(
    base: Path, about: str, mask: Callable[[Sample], list[int]], weights: bool
) -> None:
    made = report.Report({"sharegpt": Tally()})
    renderer: Any = Planted(open_renderer(base), mask, weights)
    report._rendered(made, "sharegpt", SEED, renderer, 40)
    assert any(fault.startswith("mask: ") and about in fault for fault in made.tallies["sharegpt"].faults)


def test_an_honest_loss_mask_is_not(base: Path) -> None:
    made = report.Report({"sharegpt": Tally()})
    report._rendered(made, "sharegpt", SEED, open_renderer(base), 40)
    assert made.rendered > 15 and not made.tallies["sharegpt"].faults


def without_a_column(path: Path) -> Iterator[Raw]:
    """A reader of tables that knows no `weight`."""
    for one in real_raw(path):
        yield replace(one, value=without("weight")(one.value)) if path.suffix == ".parquet" else one


def without_the_last(path: Path) -> Iterator[Raw]:
    yield from list(real_raw(path))[: None if path.suffix == ".parquet" else -1]


@pytest.mark.parametrize(
    ("about", "read"), [("it says something else", without_a_column), ("15 records of 16", without_the_last)]
)
def test_a_planted_container_is_found(
    monkeypatch: pytest.MonkeyPatch, about: str, read: Callable[[Path], Iterator[Raw]]
) -> None:
    made = report.Report({"sharegpt": Tally()})
    monkeypatch.setattr(containers, "raw", read)
    report._contained(made, "sharegpt", SEED, 16)
    assert any(
        fault.startswith("container: ") and about in fault for fault in made.tallies["sharegpt"].faults
    )
