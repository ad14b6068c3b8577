"""Bad input at the command line: one clear message, exit code 2, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.finetune.test_train import write_recipe
from tests.waiting import HUNG


def run(*arguments: str | Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "finetune", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=False)
    return result.returncode, result.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lora": {"rank": 8}}, "lora.rank: unknown key; here it is `r`"),
        ({"data": {"train": ["none.jsonl"]}}, "none.jsonl: there is no such file"),
        ({"data": {"train": ["none.jsonl"]}}, f"(looked in {Path.cwd()} or "),
        ({"data": {"train": "data/samples/preferences.jsonl"}}, "set `method: dpo`"),
        ({"method": "dpo"}, "its first record is a conversation"),
        ({"lora": {"r": 3, "init": "orthogonal"}}, "needs an even `r`, and `r` is 3"),
        ({"data": {"train": ["BROKEN"]}}, "broken.jsonl:2: "),
        ({"base": "smollm2-135m-awq"}, "did you mean 'smollm2-135m-instruct-awq'?"),
        ({"lora": {"targets": ["q_prj"]}}, "matches no module of this base"),
        ({"data": {"train": ["data/samples/heldout_chat.jsonl"], "max_length": 16}}, "nothing to learn"),
    ],
)
def test_bad_recipes(base: Path, tmp_path: Path, changes: dict[str, dict[str, object]], said: str) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"messages": [{"role": "user", "content": "x"}]}\n{"messages": [}\n')
    data = changes.get("data")
    if isinstance(data, dict) and data["train"] == ["BROKEN"]:
        data["train"] = [str(broken)]
    output = tmp_path / "runs" / "few" / "adapter"
    code, error = run("train", write_recipe(tmp_path, output=str(output), **changes))
    assert code == 2
    assert said in error
    assert "Traceback" not in error
    assert error.startswith("error: ") or "error: " in error.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.jsonl", "recipe.yaml"]


def test_a_base_that_is_no_awq_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    code, error = run("base", tmp_path)
    assert code == 2
    assert "is not an AWQ base" in error


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "no recipe is named"),
        (".", "no recipe is named"),
        ("recipes", "is a folder; give one recipe, such as recipes/"),
        ("data/samples/train.jsonl", "is data, not a recipe"),
        ("a recipe.yaml", "a recipe.yaml does not exist"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "resume"])
def test_what_is_no_recipe_at_all(verb: str, given: str, said: str) -> None:
    code, error = run(verb, given)
    assert code == 2
    assert said in error and error.count("\n") == 1


def test_an_evaluation_that_nobody_answers_leaves_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for out in (tmp_path / "new" / "eval", kept):
        code, error = run(
            "eval",
            "recipes/evals/quickstart.yaml",
            "--models",
            "base",
            "--url",
            "127.0.0.1:9/v1",
            "--out",
            out,
        )
        assert code == 2
        assert "nobody answers at http://127.0.0.1:9 " in error
        assert not out.exists() if out != kept else list(kept.iterdir()) == []
