"""BFCL's questions as this project asks them; the slow tests read the leaderboard's own files."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from data.errors import UserError
from data.report import Answer, Call
from finetune.eval import bfcl, bfcl_data
from finetune.eval.question import Question

FUNCTION = {
    "name": "hotel.book",
    "description": "Books a room.",
    "parameters": {
        "type": "dict",
        "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "Where."},
            "price": {"type": "float", "description": "At most, in euros."},
            "corner": {"type": "tuple", "items": {"type": "float", "description": "A coordinate."}},
            "wishes": {"type": "array", "items": {"type": "dict", "properties": {"note": {"type": "any"}}}},
        },
    },
}
TRUTH = {
    "hotel.book": {"city": ["Porto", "Oporto"], "price": ["", 80.0], "wishes": [[{"note": ["quiet", ""]}]]}
}
ASK = [{"role": "user", "content": "A quiet room in Porto, please."}]


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's folder with one question of each kind, in the leaderboard's form."""
    data = tmp_path / "bfcl_eval" / "data"
    (data / "possible_answer").mkdir(parents=True)
    for category in ("simple_python", "irrelevance", "live_relevance"):
        row = {"id": f"{category}_0", "question": [ASK], "function": [FUNCTION]}
        (data / f"BFCL_v4_{category}.json").write_text(json.dumps(row) + "\n")
    answer = {"id": "simple_python_0", "ground_truth": [TRUTH]}
    (data / "possible_answer" / "BFCL_v4_simple_python.json").write_text(json.dumps(answer) + "\n")
    monkeypatch.setattr(bfcl_data, "package", lambda: tmp_path)


def asked(category: Any) -> Question:
    [question] = bfcl.questions("bfcl", category)
    return question


def calls(*made: tuple[str, dict[str, Any]]) -> Answer:
    return Answer(calls=[Call(name=name, arguments=json.dumps(arguments)) for name, arguments in made])


RIGHT = calls(("hotel_book", {"city": "porto", "price": 80, "wishes": [{"note": "Quiet"}]}))


@pytest.mark.usefixtures("made_up")
def test_a_question_is_asked_in_openais_form() -> None:
    question = asked("simple_python")
    assert (question.messages, question.category) == (ASK, "simple_python")
    [tool] = question.tools
    assert tool.function.name == "hotel_book"
    assert tool.function.parameters == {
        "type": "object",
        "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "Where."},
            "price": {
                "type": "number",
                "format": "float",
                "description": "At most, in euros. This is a float type value.",
            },
            "corner": {
                "type": "array",
                "items": {
                    "type": "number",
                    "format": "float",
                    "description": "A coordinate. This is a float type value.",
                },
            },
            "wishes": {
                "type": "array",
                "items": {"type": "object", "properties": {"note": {"type": "string"}}},
            },
        },
    }
    [example] = question.expected.calls if question.expected else []
    assert json.loads(example.arguments) == {"city": "Porto", "wishes": [{}]}


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("category", "got", "score", "flags"),
    [
        ("simple_python", RIGHT, 1, ()),
        ("simple_python", calls(("hotel_book", {"city": "Faro"})), 0, ()),
        ("simple_python", calls(("hotel_book", {"city": 1})), 0, ("invalid_arguments",)),
        ("simple_python", calls(("hotel.book", {"city": "Porto"})), 0, ("unknown_function",)),
        ("simple_python", Answer(calls=[Call(name="hotel_book", arguments="{")]), 0, ("invalid_arguments",)),
        ("simple_python", Answer(content="Gladly."), 0, ()),
        ("irrelevance", Answer(content="I cannot."), 1, ()),
        ("irrelevance", Answer(), 1, ()),
        ("irrelevance", RIGHT, 0, ()),
        ("live_relevance", RIGHT, 1, ()),
        ("live_relevance", Answer(content="I cannot."), 0, ()),
    ],
)
def test_answers(category: str, got: Answer, score: int, flags: tuple[str, ...]) -> None:
    judge = asked(category).score
    assert judge
    verdict = judge(got, False)
    assert (verdict.score, verdict.flags) == (score, flags), verdict
    assert "cut_off" in judge(got, True).flags


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real wheel in a folder that pip is told of, and a home of its own."""
    wheel = tmp_path / "wheel_of_ours-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        told = "wheel_of_ours-1.0.dist-info"
        archive.writestr(f"{told}/METADATA", "Metadata-Version: 2.1\nName: wheel-of-ours\nVersion: 1.0\n")
        archive.writestr(f"{told}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{told}/RECORD", "")
        archive.writestr("bfcl_eval/data/BFCL_v4_multiple.json", "{}\n")
    monkeypatch.setattr(bfcl_data, "LOCK", tmp_path / "lock.txt")
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return wheel


def test_the_pinned_wheel_is_downloaded_once(index: Path) -> None:
    pinned = hashlib.sha256(index.read_bytes()).hexdigest()
    bfcl_data.LOCK.write_text(f"wheel-of-ours==1.0 --hash=sha256:{pinned}\n")
    assert bfcl_data.questions_file("multiple").read_text() == "{}\n"
    index.unlink()
    assert bfcl_data.questions_file("multiple").is_file()
    assert bfcl_data.answers_file("multiple") is None


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        (f" --hash=sha256:{hashlib.sha256(b'others').hexdigest()}", "DO NOT MATCH THE HASHES"),
        ("", "Hashes are required"),
    ],
)
def test_other_bytes_than_the_pinned_ones_are_refused(index: Path, pin: str, why: str) -> None:
    bfcl_data.LOCK.write_text(f"wheel-of-ours==1.0{pin}\n")
    with pytest.raises(UserError, match=f"BFCL's data cannot be downloaded .*{why}"):
        bfcl_data.package()
    assert not list((bfcl_data.home() / "wheels").iterdir())


# The leaderboard's slips: possible answers with arguments that are not declared, or without a value for
# required ones. Its own checker refuses these examples too.
UNANSWERABLE = {
    "live_simple_106-63-0",
    "live_simple_112-68-0",
    "live_multiple_862-181-3",
    "live_multiple_964-207-0",
}


@pytest.mark.slow
@pytest.mark.parametrize("category", get_args(bfcl_data.Category))
def test_every_question_of_the_leaderboard_can_be_asked_and_answered(category: bfcl_data.Category) -> None:
    import xgrammar  # which generates calls under the schemas, in vLLM

    found = bfcl.questions("bfcl", category)
    for question in found:
        for tool in question.tools:
            jsonschema.Draft202012Validator.check_schema(tool.function.parameters)
            assert xgrammar.Grammar.from_json_schema(json.dumps(tool.function.parameters))
        assert question.messages[-1]["role"] == "user"
        if category != "live_relevance":
            assert question.score and question.expected
            right = question.score(question.expected, False).score == 1
            assert right != (question.id in UNANSWERABLE), question.id
    # The numbers of the leaderboard's own paper and pages.
    known = {"simple_python": 400, "multiple": 200, "parallel": 200, "parallel_multiple": 200}
    known |= {"irrelevance": 240, "live_simple": 258, "live_multiple": 1053, "live_parallel": 16}
    assert len(found) == (known | {"live_parallel_multiple": 24}).get(category, len(found))


@pytest.mark.slow
def test_how_many_expected_calls_break_their_own_schema_is_as_documented() -> None:
    found = [
        question for category in get_args(bfcl_data.Category) for question in bfcl.questions("bfcl", category)
    ]
    verdicts = [
        question.score(question.expected, False) for question in found if question.score and question.expected
    ]
    broken = sum(verdict.score == 1 and "invalid_arguments" in verdict.flags for verdict in verdicts)
    text = " ".join(Path("docs/evaluation-suites.md").read_text(encoding="utf-8").split())
    assert f"In {broken} questions the first possible answer breaks" in text
    assert f"{len(UNANSWERABLE)} questions have no right answer at all" in text
