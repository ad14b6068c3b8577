import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.chat import Function, Tool
from data.report import Answer, Call
from finetune.eval.scorers import tool_calls
from finetune.eval.verdict import Verdict
from tests.listener import listener

WEATHER = Tool(
    function=Function(
        name="weather",
        parameters={
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"enum": ["C", "F"]},
            },
            "required": ["city"],
        },
    )
)
TOOLS = [WEATHER, Tool(function=Function(name="clock"))]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
calls = st.builds(
    lambda name, arguments: Call(name=name, arguments=json.dumps(arguments)),
    st.sampled_from(["weather", "clock"]),
    st.dictionaries(st.text(), json_values, max_size=3),
)


def made(*calls: tuple[str, Any], words: str | None = None) -> Answer:
    return Answer(
        content=words,
        calls=[
            Call(name=name, arguments=text if isinstance(text, str) else json.dumps(text))
            for name, text in calls
        ],
    )


@given(st.lists(calls, min_size=1, max_size=4))
def test_an_answer_is_right_by_its_own_measure(made: list[Call]) -> None:
    assert tool_calls(Answer(calls=made), Answer(calls=made), TOOLS).score == 1


@given(st.lists(calls, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_parallel_calls_and_of_keys_means_nothing(
    made: list[Call], shuffle: random.Random
) -> None:
    def shuffled(call: Call) -> Call:
        items = list(json.loads(call.arguments).items())
        shuffle.shuffle(items)
        return Call(name=call.name, arguments=json.dumps(dict(items), indent=2))

    other = [shuffled(call) for call in made]
    shuffle.shuffle(other)
    assert tool_calls(Answer(calls=made), Answer(calls=other), TOOLS).score == 1


@given(st.lists(calls, min_size=1, max_size=3))
def test_a_call_too_many_or_too_few_is_wrong(made: list[Call]) -> None:
    assert tool_calls(Answer(calls=made), Answer(calls=[*made, made[0]]), TOOLS).score == 0
    assert tool_calls(Answer(calls=[*made, made[0]]), Answer(calls=made), TOOLS).score == 0


@pytest.mark.parametrize(
    ("expected", "got", "score"),
    [
        ({"days": 1}, '{"days": 1.0}', 1),
        ({"days": 1}, '{"days": true}', 0),
        ({"days": 0}, '{"days": false}', 0),
        ({"days": 1}, '{"days": "1"}', 0),
        ({"days": None}, "{}", 0),
        ({"days": [1, 2]}, '{"days": [2, 1]}', 0),
        ({"days": [{"a": 1.0}]}, '{"days": [{"a": 1}]}', 1),
        ({"city": "Évora"}, '{"city": "\\u00c9vora"}', 1),
        ({"city": "Porto"}, '{"city": "porto"}', 0),
        ({"days": 10**20}, '{"days": 1e20}', 1),
    ],
)
def test_arguments_are_compared_by_meaning(expected: dict[str, Any], got: str, score: int) -> None:
    assert tool_calls(made(("weather", expected)), made(("weather", got)), TOOLS).score == score


@pytest.mark.parametrize(
    ("expected", "got", "score", "why"),
    [
        (made(words="Hello"), made(words="Good day"), 1, "words, as expected"),
        (made(words="Hello"), made(("clock", {})), 0, "called although no tool fits"),
        (made(words="Hello"), made(), 0, "said nothing"),
        (made(("clock", {})), made(words="It is late"), 0, "answered in words where a call was expected"),
        (made(("clock", {})), made(), 0, "said nothing"),
        (
            made(("clock", {})),
            made(("weather", {"city": "x"})),
            0,
            "called 'weather' where 'clock' was expected",
        ),
        (
            made(("clock", {}), ("clock", {})),
            made(("clock", {})),
            0,
            "made 1 call where 2 calls were expected",
        ),
        (made(("clock", {"a": 1})), made(("clock", {"a": 2})), 0, "right function, other arguments"),
        (made(("clock", {"a": 1})), made(("clock", "{a: 1}")), 0, "are not JSON"),
        (made(("clock", {"a": 1})), made(("clock", "[1]")), 0, "are not a JSON object"),
        (
            made(("clock", {})),
            made(("clock", {}), ("clock", "{")),
            0,
            "made 2 calls where 1 call was expected",
        ),
        (made(("clock", {})), made(("clock", {}), words="Let me look."), 1, "the expected calls"),
        (made(("clock", {"a": 1})), made(("clock", '{"a": NaN}')), 0, "NaN is not JSON"),
    ],
)
def test_verdicts(expected: Answer, got: Answer, score: int, why: str) -> None:
    verdict = tool_calls(expected, got, TOOLS)
    assert verdict.score == score
    assert why in verdict.why


def test_a_function_that_is_not_on_offer_is_flagged() -> None:
    verdict = tool_calls(made(("clock", {})), made(("sundial", {})), TOOLS)
    assert (verdict.score, verdict.flags) == (0, ("unknown_function",))
    assert verdict.why == "called 'sundial', which is not on offer"


@pytest.mark.parametrize(
    "arguments", [{}, {"city": 1}, {"city": "x", "unit": "K"}, "{", "[]", {"city": "x", "days": 1.5}]
)
def test_arguments_that_break_the_schema_are_flagged(arguments: Any) -> None:
    assert (
        "invalid_arguments"
        in tool_calls(made(("weather", {"city": "x"})), made(("weather", arguments)), TOOLS).flags
    )


def test_arguments_within_the_schema_are_not_flagged() -> None:
    got = made(("weather", {"city": "x", "days": 2.0, "unit": "C"}), ("clock", {"anything": 1}))
    assert tool_calls(got, got, TOOLS).flags == ()


def odd(schema: dict[str, Any]) -> Verdict:
    tool = Tool(function=Function(name="odd", parameters=schema))
    return tool_calls(made(("odd", {})), made(("odd", {})), [tool])


def test_a_schema_that_cannot_be_used_blames_nobody() -> None:
    assert odd({"type": "nonsense"}) == Verdict(1, "the expected calls")


def test_a_schema_fetches_nothing() -> None:
    with listener() as (url, fetched):
        verdict = odd({"$ref": f"{url}/schema.json"})
    assert verdict == Verdict(1, "the expected calls")
    assert fetched == []


def test_a_cut_off_answer_says_so() -> None:
    verdict = tool_calls(made(("clock", {})), made(words="The clock"), TOOLS, cut_off=True)
    assert verdict.flags == ("cut_off",)
    assert verdict.why.endswith("cut off at the token limit")


def test_an_unusable_expectation_is_unscored_rather_than_wrong() -> None:
    verdict = tool_calls(made(("clock", '{"a": NaN}')), made(("clock", {})), TOOLS)
    assert verdict.score is None
    assert "expected arguments are unusable" in verdict.why
