"""A recipe's mistakes: every one of them, at once, with the nearest name."""

from pathlib import Path

import pytest

from data.errors import UserError
from finetune import recipe as recipes

GOOD = """
name: x
base: smollm2-135m-instruct-awq
data: {train: [a.jsonl]}
train: {epochs: 1}
"""


def load(tmp_path: Path, text: str) -> recipes.Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return recipes.load(path)


def test_a_good_recipe(tmp_path: Path) -> None:
    recipe = load(tmp_path, GOOD)
    assert recipe.base.name == "smollm2-135m-instruct-awq"
    assert recipe.folder == Path("runs/x")


def test_sources_are_paths_or_objects(tmp_path: Path) -> None:
    train = "[a.jsonl, {path: 'hf:owner/name:train', weight: 2.5, format: sharegpt}]"
    text = GOOD.replace("data: {train: [a.jsonl]}", f"data: {{train: {train}, heldout: 0.05, split_seed: 3}}")
    data = load(tmp_path, text).data
    assert [(one.path, one.weight, one.format) for one in data.train] == [
        ("a.jsonl", 1.0, None),
        ("hf:owner/name:train", 2.5, "sharegpt"),
    ]
    assert (data.heldout, data.split_seed) == (0.05, 3)


def test_every_mistake_in_one_message_with_the_nearest_name(tmp_path: Path) -> None:
    text = """
name: X!
bases: smollm2
data: {train: [], max_len: 3}
lora: {rank: 8, alpha: .nan}
train: {epochs: 1, learning_rte: 1e-3, batch: 0}
"""
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    for part in (
        "name: ",
        "bases: unknown key; did you mean `base`?",
        "base: missing",
        "data.train: ",
        "data.max_len: unknown key; did you mean `max_length`?",
        "lora.rank: unknown key",
        "lora.alpha: ",
        "train.learning_rte: unknown key; did you mean `learning_rate`?",
        "train.batch: ",
    ):
        assert part in message, part
    assert "9 mistakes" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("[a.jsonl]|[{path: a, wieght: 2}]", "data.train.0.wieght: unknown key; did you mean `weight`?"),
        ("[a.jsonl]|[{path: a, format: csv}]", "data.train.0.format: must be one of openai, sharegpt"),
        ("[a.jsonl]|[a.jsonl], heldout: 1", "data.heldout: "),
        ("train: {epochs: 1}|train: {}", "exactly one of `epochs` and `steps`"),
        ("train: {epochs: 1}|train: {steps: 1, micro_tokens: 3}", "train.micro_tokens: "),
        ("name: x|name: x\nmethod: ppo", "method: "),
        (
            "[a.jsonl]|[a.jsonl], learn: last}\nmethod: dpo\ndpo: {beta: 0.1",
            "`data.learn` is for `method: sft`",
        ),
        ("[a.jsonl]|[a.jsonl], too_long: truncate}\nmethod: dpo\ndpo: {beta: 0.1", "is for `method: sft`"),
        ("name: x|name: x\nname: y", "'name' stands twice"),
        ("name: x|name: [x", "is not YAML"),
        ("data: {train: [a.jsonl]}|data: {train: [a.jsonl]}\noutput: .", "a folder of its own"),
    ],
)
def test_one_mistake(tmp_path: Path, change: str, said: str) -> None:
    old, new = change.split("|")
    with pytest.raises(UserError, match=r"recipe\.yaml") as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert said in str(caught.value)


def test_a_missing_file_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        recipes.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="it holds nothing"):
        load(tmp_path, "")
