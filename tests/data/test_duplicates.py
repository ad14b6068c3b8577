"""Duplicates and overlap: which pairs, and how well the estimated similarity fits the exact one."""

import random
from contextlib import closing
from typing import Any

import pytest

from data.chat import Conversation
from data.duplicates import ROW_BYTES, Fingerprints, Pair, fingerprint

WORDS = [f"word{number}" for number in range(500)]


def chat(question: str, answer: str = "Fine.", **more: Any) -> Conversation:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return Conversation.model_validate({"messages": messages, **more})


def text(seed: int, count: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def pairs(
    conversations: list[Conversation], heldout: list[bool] | None = None, similarity: float = 0.7
) -> list[Pair]:
    with closing(Fingerprints()) as fingerprints:
        fingerprints.add(b"".join(map(fingerprint, conversations)))
        assert len(fingerprints) == len(conversations)
        return list(fingerprints.pairs(similarity, heldout or [False] * len(conversations)))


def test_what_differs_in_ids_and_blanks_only_is_the_same() -> None:
    def calling(identity: str, arguments: str) -> Conversation:
        made = {"id": identity, "function": {"name": "f", "arguments": arguments}}
        return Conversation.model_validate(
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [made]}]}
        )

    found = pairs(
        [chat("a b", id="1"), chat("a  b\n", id="2"), calling("x", '{"n":1}'), calling("y", '{ "n": 1 }')]
    )
    assert found == [Pair(1, 0, 1.0, True, False), Pair(3, 2, 1.0, True, False)]


@pytest.mark.parametrize(
    "other",
    [
        chat("a b c d e f", "Else."),
        chat("a b c d e F"),
        chat("a b c d e f", tools=[{"function": {"name": "f"}}]),
        Conversation.model_validate({"messages": [{"role": "user", "content": "a b c d e f"}]}),
    ],
)
def test_what_differs_otherwise_is_not_the_same(other: Conversation) -> None:
    assert not any(pair.exact for pair in pairs([chat("a b c d e f"), other]))


def test_a_changed_word_is_a_near_duplicate() -> None:
    words = text(1).split()
    changed = " ".join([*words[:30], "different", *words[31:]])
    (pair,) = pairs([chat(text(2)), chat(" ".join(words)), chat(text(3)), chat(changed)])
    assert (pair.later, pair.earlier, pair.exact, pair.overlap) == (3, 1, False, False)
    assert 0.75 < pair.similarity < 1


def test_system_prompt_and_tools_make_nothing_alike() -> None:
    system = {"role": "system", "content": text(9, 400)}
    rows = [
        Conversation.model_validate({"messages": [system, *chat(text(seed)).plain()["messages"]]})
        for seed in range(20)
    ]
    assert pairs(rows, similarity=0.3) == []


def test_overlap_is_found_wherever_the_trained_one_stands() -> None:
    rows = [chat(text(1)), chat(text(2)), chat(text(1)), chat(text(1))]
    found = pairs(rows, [True, False, False, True])
    assert found == [
        Pair(0, 2, 1.0, True, True),
        Pair(3, 0, 1.0, True, False),
        Pair(3, 2, 1.0, True, True),
    ]


def test_estimates_fit_the_exact_similarity() -> None:
    """Jaccard's index of the shingles, computed from sets, lies within 3 standard errors of the estimate."""
    rng = random.Random(4)
    rows = []
    for seed in range(60):
        words = text(seed).split()
        rows.append(chat(" ".join(words)))
        for place in rng.sample(range(60), rng.randrange(1, 4)):
            words[place] = f"new{place}"
        rows.append(chat(" ".join(words)))
    found = {(pair.later, pair.earlier): pair.similarity for pair in pairs(rows, similarity=0.5)}
    exact = {(n + 1, n): jaccard(rows[n], rows[n + 1]) for n in range(0, 120, 2)}
    assert set(found) <= set(exact)
    assert all(key in found for key, value in exact.items() if value > 0.75)
    for key, value in found.items():
        assert abs(value - exact[key]) < 3 * (0.25 / 128) ** 0.5 + 0.01


def jaccard(one: Conversation, other: Conversation) -> float:
    sets = []
    for row in (one, other):
        words = " ".join(str(message.content) for message in row.messages).split()
        sets.append({tuple(words[start : start + 4]) for start in range(len(words) - 3)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_a_crowd_of_alike_costs_one_pair_each() -> None:
    words = text(1, 200).split()
    rows = [chat(" ".join([*words[:100], f"n{number}", *words[101:]])) for number in range(300)]
    found = pairs(rows)
    assert [pair.later for pair in found] == list(range(1, 300))


def test_few_or_none() -> None:
    assert pairs([]) == [] and pairs([chat("a")]) == []
    assert len(fingerprint(chat(""))) == ROW_BYTES
