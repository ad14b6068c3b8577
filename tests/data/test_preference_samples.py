"""The committed preferences: chosen answers are right, rejected ones wrong in the way that is said."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from data.chat import AssistantMessage, text_of
from data.formats import read
from data.formats.preference import scan
from data.generate import rejected
from data.generate.__main__ import SAMPLES
from data.preference import Preference, problems
from tests.data.test_generator import skeleton
from tests.data.test_samples import spoken

TRAIN = [record.taken() for record in scan(SAMPLES / "preferences.jsonl")]
HELDOUT = [record.taken() for record in scan(SAMPLES / "heldout_preferences.jsonl")]
EVERY = TRAIN + HELDOUT


def calls(answer: AssistantMessage) -> list[tuple[str, dict[str, Any]]]:
    return [(call.function.name, call.function.parsed()) for call in answer.tool_calls]


def asked(rows: list[Preference]) -> list[str]:
    return [text_of(next(m.content for m in reversed(row.prompt) if m.role == "user")) for row in rows]


def test_sizes_and_categories() -> None:
    assert (len(TRAIN), len(HELDOUT)) == (120, 30)
    counts = Counter(row.category for row in TRAIN)
    assert counts.keys() == Counter(row.category for row in HELDOUT).keys() == WRONG.keys()
    assert min(counts.values()) >= 8
    assert len({row.id for row in EVERY}) == len(EVERY)
    assert sum((SAMPLES / f"{name}preferences.jsonl").stat().st_size for name in ("", "heldout_")) < 200_000
    # What teaches words without a call stands beside what teaches calls, or a base learns one of them only.
    assert 0.25 < sum(not row.chosen.tool_calls for row in TRAIN) / len(TRAIN) < 0.5


def test_nothing_breaks_a_rule() -> None:
    assert [(row.id, problem) for row in EVERY for problem in problems(row)] == []


def test_chosen_answers_are_valid_calls_or_short_words() -> None:
    for row in EVERY:
        schemas = {tool.function.name: tool.function.parameters or {} for tool in row.tools}
        for name, arguments in calls(row.chosen):
            jsonschema.validate(arguments, {**schemas[name], "additionalProperties": False})
        assert bool(row.chosen.tool_calls) != bool(row.chosen.content), row.id
        assert len(text_of(row.chosen.content).split()) <= 40, row.id


def test_chosen_values_stand_in_the_request() -> None:
    for row in EVERY:
        said = " ".join(text_of(message.content) for message in row.prompt if message.role == "user")
        assert all(word in said for _, values in calls(row.chosen) for word in spoken(values)), row.id


def _argument(row: Preference) -> bool:
    ((right, values),), ((wrong, others),) = calls(row.chosen), calls(row.rejected)
    differing = {name for name in values if values[name] != others.get(name)}
    return right == wrong and others.keys() <= values.keys() and 1 <= len(differing) <= 2


def _tool(row: Preference) -> bool:
    (right, _), (wrong, _) = calls(row.chosen)[0], calls(row.rejected)[0]
    return right != wrong and wrong in {tool.function.name for tool in row.tools}


def _half(row: Preference) -> bool:
    return (
        len(calls(row.chosen)) == 2
        and len(calls(row.rejected)) == 1
        and calls(row.rejected)[0] in calls(row.chosen)
    )


def _result(row: Preference) -> bool:
    right, wrong = text_of(row.chosen.content), text_of(row.rejected.content)
    told = text_of(row.prompt[-1].content)
    changed = set(wrong.split()) - set(right.split())
    return bool(changed) and all(word.strip(".,()") not in told for word in changed)


def _rambling(row: Preference) -> bool:
    right, wrong = text_of(row.chosen.content), text_of(row.rejected.content)
    return right in wrong and len(wrong.split()) > 15 + len(right.split())


WRONG: dict[str, Callable[[Preference], bool]] = {
    "argument": _argument,
    "tool": _tool,
    "words": lambda row: bool(row.chosen.tool_calls) and not row.rejected.tool_calls,
    "half": _half,
    "needless": lambda row: not row.chosen.tool_calls and bool(row.rejected.tool_calls),
    "result": _result,
    "rambling": _rambling,
}


@pytest.mark.parametrize("category", WRONG)
def test_rejected_answers_are_wrong_as_filed(category: str) -> None:
    rows = [row for row in EVERY if row.category == category]
    assert [row.id for row in rows if not WRONG[category](row)] == []


def test_no_question_is_on_both_sides_or_in_an_evaluation() -> None:
    assert not set(asked(TRAIN)) & set(asked(HELDOUT))
    assert len(set(asked(TRAIN))) == len(TRAIN) and len(set(asked(HELDOUT))) == len(HELDOUT)
    for name in ("heldout_known", "heldout_unseen", "heldout_chat"):
        evaluated = {
            text_of(message.content)
            for conversation in read(SAMPLES / f"{name}.jsonl")
            for message in conversation.messages
            if message.role == "user"
        }
        assert not evaluated & set(asked(TRAIN)), name


def test_wordings_of_the_splits_differ() -> None:
    for wording in (rejected.WORDS_FOR_A_CALL, rejected.OPENINGS, rejected.CLOSINGS):
        train, heldout = set(map(skeleton, wording.train)), set(map(skeleton, wording.heldout))
        assert len(train) >= 4 and len(heldout) >= 2 and not train & heldout
