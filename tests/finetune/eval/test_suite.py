import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import UserError
from data.report import Answer
from finetune.eval import questions
from finetune.eval.suite import load
from tests.finetune.eval.conftest import clock, plain, write_lines

RECIPES = Path(__file__).parents[3] / "recipes" / "evals"
Edit = Callable[[str, str], None]


SHIPPED = [
    # BFCL's questions are downloaded.
    pytest.param(path, marks=[pytest.mark.slow] if "bfcl" in path.name else [], id=path.name)
    for path in sorted(RECIPES.rglob("*.yaml"))
]


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_suite_loads_and_opens_with_its_command(path: Path) -> None:
    suite = load(path)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# finetune eval {path.relative_to(RECIPES.parents[1])} --models ")
    assert suite.tasks


@pytest.mark.parametrize("path", SHIPPED)
def test_every_shipped_suite_finds_its_questions(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(RECIPES.parents[1])
    suite = load(path)
    asked = questions.load(suite)
    assert {question.task for question in asked} == {task.name for task in suite.tasks}
    assert len({(question.task, question.id) for question in asked}) == len(asked)


def test_every_mistake_is_told_at_once(suite: Path, edit: Edit) -> None:
    edit("max_tokens: 40", "max_tokns: 40")
    edit("concurrency: 4", "concurrency: 0")
    edit("data: plain.jsonl", "dat: plain.jsonl")
    edit("prompts: [", "promts: [")
    with pytest.raises(UserError) as caught:
        load(suite)
    told = str(caught.value)
    for hint in ("`max_tokens`", "concurrency", "`data`", "`prompts`"):
        assert hint in told, told


def test_two_tasks_need_two_names(suite: Path, edit: Edit) -> None:
    edit("name: plain", "name: calls")
    with pytest.raises(UserError, match="two tasks are called 'calls'"):
        load(suite)


def test_every_unusable_file_is_named_at_once(suite: Path, edit: Edit) -> None:
    edit("calls.jsonl", "gone.jsonl")
    Path("plain.jsonl").write_text('{"messages": [\n', encoding="utf-8")
    with pytest.raises(UserError) as caught:
        questions.load(load(suite))
    assert "gone.jsonl" in str(caught.value)
    assert "plain.jsonl:1" in str(caught.value)


def test_the_answer_is_kept_from_the_model(suite: Path) -> None:
    asked = questions.load(load(suite))
    first = asked[0]
    assert [message["role"] for message in first.messages] == ["user"]
    assert first.expected is not None and first.expected.calls[0].name == "clock"
    assert [tool.function.name for tool in first.tools] == ["clock"]


def test_a_conversation_without_an_answer_is_refused(suite: Path) -> None:
    row = clock(0, "Oslo", "single")
    write_lines(Path("calls.jsonl"), [{**row, "messages": row["messages"][:1]}])
    with pytest.raises(UserError, match=r"'c0'.*'calls'.*expected answer"):
        questions.load(load(suite))


def test_perplexity_of_calls_is_refused(suite: Path, edit: Edit) -> None:
    edit("plain.jsonl", "calls.jsonl")
    with pytest.raises(UserError, match="perplexity is measured on words"):
        questions.load(load(suite))


def test_a_limit_draws_the_same_samples_again_and_others_with_another_seed(suite: Path, edit: Edit) -> None:
    write_lines(Path("plain.jsonl"), [plain(n, f"Number {n}.") for n in range(100)])
    edit("data: plain.jsonl", "data: plain.jsonl, limit: 10")

    def drawn() -> list[str]:
        return [question.id for question in questions.load(load(suite)) if question.task == "plain"]

    first = drawn()
    assert len(first) == len(set(first)) == 10
    assert drawn() == first
    edit("seed: 3", "seed: 4")
    assert drawn() != first


def test_samples_of_one_origin_get_names_of_their_own(suite: Path) -> None:
    write_lines(Path("plain.jsonl"), [plain(1, "One."), plain(1, "Uno."), {**plain(2, "Two."), "id": None}])
    names = [question.id for question in questions.load(load(suite)) if question.task == "plain"]
    assert names == ["p1#1", "p1#2", "plain-3"]


def test_the_digest_changes_with_the_data_and_the_settings_but_not_with_the_pace(
    suite: Path, edit: Edit
) -> None:
    before = questions.entry(load(suite)).digest
    edit("concurrency: 4", "concurrency: 9")
    assert questions.entry(load(suite)).digest == before
    edit("max_tokens: 40", "max_tokens: 41")
    changed = questions.entry(load(suite)).digest
    assert changed != before
    write_lines(Path("plain.jsonl"), [plain(1, "It is odd!")])
    assert questions.entry(load(suite)).digest not in (before, changed)


def reference(name: str, **settings: str) -> str:
    rows = "".join(f", {key}: {value}" for key, value in settings.items())
    return f"  - {{name: {name}, kind: reference, data: plain.jsonl{rows}}}\n"


def test_every_mistake_of_a_reference_task_is_told_with_the_nearest_names(suite: Path) -> None:
    with suite.open("a", encoding="utf-8") as file:
        file.write(reference("one", scorer="chrff"))
        file.write(reference("two", scorer="json_schema"))
        file.write(reference("three", scorer="exact", schema_file="x.json"))
        file.write(reference("four", scorr="exact"))
        file.write("  - {name: five, kind: bfcl, categories: [simple_java]}\n")
    with pytest.raises(UserError) as caught:
        load(suite)
    told = str(caught.value).splitlines()
    assert len(told) == 1 + 6, told  # `scorr` is unknown, and `scorer` missing
    for hint in ("mean `chrf`?", "`schema_file` goes with", "mean `scorer`?", "simple_python"):
        assert hint in str(caught.value), told


def test_a_reference_task_compares_words(suite: Path) -> None:
    with suite.open("a", encoding="utf-8") as file:
        file.write(reference("near", scorer="chrf", limit="1"))
    [asked] = [question for question in questions.load(load(suite)) if question.task == "near"]
    assert asked.kind == "reference" and asked.score and asked.expected
    assert asked.score(asked.expected, False).score == pytest.approx(1)
    assert (asked.score(Answer(content="It is"), False).score or 0) < 1


def test_a_reference_task_refuses_expected_calls(suite: Path) -> None:
    with suite.open("a", encoding="utf-8") as file:
        file.write(reference("near", scorer="chrf").replace("plain.jsonl", "calls.jsonl"))
    with pytest.raises(UserError, match="reference is measured on words"):
        questions.load(load(suite))


def test_the_digest_changes_with_the_schema(suite: Path) -> None:
    with suite.open("a", encoding="utf-8") as file:
        file.write(reference("form", scorer="json_schema", schema_file="form.json"))
    Path("form.json").write_text('{"type": "object"}')
    before = questions.entry(load(suite))
    Path("form.json").write_text('{"type": "array"}')
    assert "form.json" in before.files
    assert questions.entry(load(suite)).digest != before.digest


def test_ignored_keys_are_passed_over_and_an_empty_list_changes_no_digest(suite: Path, edit: Edit) -> None:
    before = questions.entry(load(suite))
    assert "ignore" not in before.config["tasks"][0]
    lines = Path("plain.jsonl").read_text(encoding="utf-8").splitlines()
    marked = [json.dumps(json.loads(line) | {"mood": "calm"}) for line in lines]
    Path("plain.jsonl").write_text("\n".join(marked) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="mood"):
        questions.load(load(suite))
    edit("data: plain.jsonl", "data: plain.jsonl, ignore: mood")
    assert questions.load(load(suite))
    assert questions.entry(load(suite)).config["tasks"] != before.config["tasks"]


def test_a_suites_files_lie_beside_it_too(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = questions.entry(load(suite))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = suite.resolve()
    monkeypatch.chdir(elsewhere)
    assert questions.load(load(path))
    assert questions.entry(load(path)) == before  # names and digests do not depend on the folder
