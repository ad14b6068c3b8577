import json
from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from data.report import Answer, Call
from finetune.eval import scorers_named
from finetune.eval.verdict import Verdict

EXPECTED = Answer(content="12")
MESSAGES = [{"role": "user", "content": "Which room?"}]


def politely(messages: list[dict[str, Any]], expected: Answer, got: Answer) -> float:
    assert messages == MESSAGES and expected == EXPECTED
    return 1.0 if "please" in (got.content or "") else 0.25


def explained(messages: list[dict[str, Any]], expected: Answer, got: Answer) -> Verdict:
    return Verdict(0.5, "half way", ("curt",))


def unsure(messages: list[dict[str, Any]], expected: Answer, got: Answer) -> None:
    return None


def broken(messages: list[dict[str, Any]], expected: Answer, got: Answer) -> float:
    return 1 / len(got.calls)


def too_large(messages: list[dict[str, Any]], expected: Answer, got: Answer) -> float:
    return 1.5


def not_a_number(messages: list[dict[str, Any]], expected: Answer, got: Answer) -> float:
    return float("nan")


def some_text(messages: list[dict[str, Any]], expected: Answer, got: Answer) -> Any:
    return "1"


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed packages: one offers the functions above, one that is gone, and `exact`; two offer `both`."""
    mine = [politely, explained, unsure, broken, too_large, not_a_number, some_text]
    lines = [f"{function.__name__} = {__name__}:{function.__name__}" for function in mine]
    install(tmp_path, "one", [*lines, "gone = no_such_module:score", f"exact = {__name__}:politely", TWICE])
    install(tmp_path, "two", [TWICE])
    monkeypatch.syspath_prepend(tmp_path)


TWICE = f"both = {__name__}:politely"


def install(folder: Path, name: str, lines: list[str]) -> None:
    """What pip leaves in an environment of a package with these entry points."""
    told = folder / f"{name}-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("\n".join([f"[{scorers_named.GROUP}]", *lines, ""]))


def score(name: str, words: str, cut_off: bool = False, schema: Path | None = None) -> Verdict:
    return scorers_named.maker(name, schema)(MESSAGES, EXPECTED)(Answer(content=words), cut_off)


@pytest.mark.usefixtures("offered")
def test_an_own_scorer_gets_the_question_and_both_answers() -> None:
    assert score("politely", "please").score == 1
    assert score("politely", "12").score == 0.25
    assert score("explained", "12", cut_off=True) == Verdict(0.5, "half way", ("curt", "cut_off"))
    assert score("unsure", "12").score is None


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "'broken' failed (ZeroDivisionError"),
        ("too_large", "gave 1.5"),
        ("not_a_number", "gave nan"),
        ("some_text", "gave '1'"),
    ],
)
def test_what_is_no_score_leaves_the_sample_unscored(name: str, why: str) -> None:
    verdict = score(name, "12")
    assert verdict.score is None
    assert why in verdict.why


@pytest.mark.usefixtures("offered")
def test_a_package_cannot_stand_in_for_a_scorer_of_this_project() -> None:
    assert scorers_named.names().count("exact") == 1
    assert score("exact", "please").score == 0


@pytest.mark.usefixtures("offered")
def test_a_scorer_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(UserError, match=r"'gone' \(no_such_module:score\) cannot be imported.*reinstall"):
        scorers_named.maker("gone")


@pytest.mark.usefixtures("offered")
def test_a_scorer_that_two_packages_offer_is_refused() -> None:
    with pytest.raises(UserError, match="'both' is offered by 2 installed packages"):
        scorers_named.maker("both")


@pytest.mark.parametrize("name", ["exact", "chrf"])
def test_words_are_needed_where_words_are_expected(name: str) -> None:
    judge = scorers_named.maker(name)(MESSAGES, EXPECTED)
    called = judge(Answer(calls=[Call(name="clock", arguments="{}")]), False)
    assert called == Verdict(0, "called where words were expected")
    assert judge(Answer(), True) == Verdict(0, "said nothing", ("cut_off",))


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "room.json"
    rules = {"type": "object", "properties": {"room": {"type": "integer"}}, "required": ["room"]}
    path.write_text(json.dumps(rules))
    return path


@pytest.mark.parametrize(
    ("words", "right", "why"),
    [
        ('{"room": 12}', 1, "keeps to the schema"),
        (' {"room": 12}\n', 1, "keeps to the schema"),
        ('{"room": "12"}', 0, "room (rule `type`)"),
        ("{}", 0, "required"),
        ("[12]", 0, "rule `type`"),
        ("Here you are: {}", 0, "is not JSON"),
        ('```json\n{"room": 12}\n```', 0, "is not JSON"),
        ('{"room": 1, "room": 2}', 0, "twice"),
        ('{"room": NaN}', 0, "is not JSON"),
    ],
)
def test_json_by_schema(schema: Path, words: str, right: int, why: str) -> None:
    verdict = score("json_schema", words, schema=schema)
    assert verdict.score == right
    assert why in verdict.why


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ('{"type": "nonsense"}', "no JSON schema"),
        ('{"$ref": "http://127.0.0.1:9/x.json"}', "would have to be fetched"),
    ],
)
def test_an_unusable_schema_file_is_named(schema: Path, text: str, told: str) -> None:
    schema.write_text(text)
    with pytest.raises(UserError, match=r"room\.json") as caught:
        scorers_named.maker("json_schema", schema)
    assert told in str(caught.value)
