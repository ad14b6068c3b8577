"""A recipe's mistakes: every one of them, at once, with the nearest name."""

import re
from pathlib import Path

import pytest

from data.errors import UserError
from data.mistakes import keys_of
from finetune import recipe as recipes
from finetune.other_trainers import ELSEWHERE

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
        "line 4: data.max_len: unknown key; here it is `max_length`.",
        "line 5: lora.rank: unknown key; here it is `r`.",
        "lora.alpha: ",
        "train.learning_rte: unknown key; did you mean `learning_rate`?",
        "train.batch: ",
    ):
        assert part in message, part
    assert "9 mistakes" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "[a.jsonl]|[{path: a, wieght: 2}]",
            "line 4: data.train, item 1, wieght: unknown key; did you mean `weight`?",
        ),
        ("[a.jsonl]|[{path: a, format: csv}]", "data.train, item 1, format: must be one of openai, sharegpt"),
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("name: x|name: My Support", "line 2: name: use small letters, digits, `.`, `_` and `-`"),
        ("name: x|name: My Support", "such as `my-support`"),
        ("name: x|name: 12", "must be text, but YAML reads 12 as another thing; put it in quotes"),
        ("name: x|name: x\nlearning_rate: 1", "learning_rate: unknown key; here it is `train.learning_rate`"),
        ("name: x|name: x\nmax_length: 9", "max_length: unknown key; it stands elsewhere: `data.max_length`"),
        ("epochs: 1|epochs: 1, lr: 1", "train.lr: unknown key; here it is `learning_rate`"),
        ("epochs: 1|epochs: 1, micro_batch_size: 1", "here `train.batch` counts the rows of a whole step"),
        ("epochs: 1|epochs: 1, num-train-epochs: 1", "unknown key; here it is `epochs`"),
        ("name: x|name: x\nsample_packing: true", "it needs no key here: rows are always laid end to end"),
        ("epochs: 1|epochs: 1, steps: 3, zeal: 1", "train.steps: give exactly one of `epochs` and `steps`"),
        ("epochs: 1|epochs: 1, steps: 3, zeal: 1", "train.zeal: unknown key; known under `train` are batch"),
        ("name: x|name: x\nlora:", "lora: it holds nothing; give its keys, or delete it"),
        (
            "name: x|name: x\nlora: {r: 7, init: orthogonal}",
            "so it needs an even `r`, and `r` is 7; set `r: 8`",
        ),
        ("name: x|name: x\nlora: {init: orthogonale}", "did you mean orthogonal?"),
        ("name: x|name: x\nlora: {dora: true}", "DoRA needs the dense base's column norms"),
        ("epochs: 1|steps: true", "line 5: train.steps: must be a whole number (given: 'true')"),
        ("name: x|name: x\nlora: {r: yes}", "lora.r: must be a whole number (given: 'true')"),
        ("name: x|name: x\nlora: {alpha: off}", "lora.alpha: must be a number (given: 'false')"),
        ("[a.jsonl]|[{path: a.jsonl, weight: true}]", "weight: must be a number"),
        ("epochs: 1|epochs: 1, checkpoints: {minutes: no}", "train.checkpoints.minutes: must be a number"),
        ("name: x|name: x\ndpo: {beta: 0.2}", "`dpo` is for `method: dpo`"),
        ("name: x|name: x # \0", "line 2 holds the control sign U+0000; delete it"),
        ("name: x|name: x\x1b[0m", "holds the control sign U+001B; delete it"),
        ("epochs: 1|epochs: 1\n# \x07", "holds the control sign U+0007; delete it"),
        ("[a.jsonl]|[a.jsonl], on_error: ignore", "data.on_error: must be stop or skip (given: 'ignore')"),
    ],
)
def test_mistakes_are_said_in_the_recipes_own_words(tmp_path: Path, change: str, said: str) -> None:
    old, new = change.split("|")
    with pytest.raises(UserError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert said in str(caught.value)


def test_every_key_of_another_trainer_leads_to_a_key_that_exists() -> None:
    known = {path for path, _ in keys_of(recipes.Recipe)}
    for key, here in ELSEWHERE.items():
        assert here in known if " " not in here else here.endswith("."), key
        for path in re.findall(r"`((?:data|train|lora|dpo|track)\.[a-z_.]+)", here):
            assert path in known, path
    for key in ("sequence_len", "cutoff_len", "max_seq_length", "num_train_epochs", "lora_r", "val_set_size"):
        assert key in ELSEWHERE


def test_switches_and_defaults_are_no_numbers(tmp_path: Path) -> None:
    text = GOOD.replace("epochs: 1", "epochs: 1, gradient_checkpointing: false")
    recipe = load(tmp_path, f"{text}\nlora: {{rslora: true}}\ndpo: {{}}")
    assert recipe.lora.rslora and recipe.train.gradient_checkpointing is False
    again = recipes.Recipe.model_validate(recipe.model_dump())
    assert again.model_dump() == recipe.model_dump()


def test_one_source_needs_no_list_and_neither_does_one_target(tmp_path: Path) -> None:
    text = GOOD.replace("[a.jsonl]", "my data.jsonl, ignore: source, heldout_files: b.jsonl")
    recipe = load(tmp_path, text + "lora: {targets: q_proj}")
    assert [one.path for one in recipe.data.train] == ["my data.jsonl"]
    assert (recipe.data.ignore, recipe.lora.targets) == (["source"], ["q_proj"])
    recipe = load(tmp_path, GOOD.replace("[a.jsonl]", "{path: a.jsonl, weight: 2}"))
    assert [(one.path, one.weight) for one in recipe.data.train] == [("a.jsonl", 2)]


def test_yamls_on_and_off_mean_what_they_say(tmp_path: Path) -> None:
    for wandb, tensorboard in (("off", "on"), ('"off"', '"on"'), ("false", "true"), ("no", "yes")):
        track = load(tmp_path, f"{GOOD}track: {{wandb: {wandb}, tensorboard: {tensorboard}}}").track
        assert (track.wandb, track.tensorboard) == ("off", "on")
    assert load(tmp_path, f"{GOOD}track: {{wandb: on, tensorboard: off}}").track.wandb == "auto"


def test_paths_are_found_from_any_folder_and_written_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project / "recipes" / "deep", project / "data", elsewhere / "data"):
        folder.mkdir(parents=True)
    (project / "pyproject.toml").touch()
    for file in (project / "data" / "a.jsonl", project / "recipes" / "deep" / "b.jsonl"):
        file.touch()
    names = ["data/a.jsonl", "data/*.jsonl", "b.jsonl", "~/c.jsonl", "gone.jsonl"]
    text = GOOD.replace("[a.jsonl]", str(names)) + "output: ~/out\n"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(elsewhere)
    recipe = load(project / "recipes" / "deep", text)
    sources = recipe.data.train
    assert [one.path for one in sources] == names  # what a run is known by does not depend on the folder
    assert [one.at for one in sources] == [
        str(project / "data" / "a.jsonl"), str(project / "data" / "*.jsonl"),
        str(project / "recipes" / "deep" / "b.jsonl"), str(tmp_path / "c.jsonl"), "gone.jsonl",
    ]  # fmt: skip
    assert recipe.folder == tmp_path / "out"
    assert str(elsewhere) in sources[4].looked("gone.jsonl") and str(project) in sources[4].looked(
        "gone.jsonl"
    )
    (elsewhere / "data" / "a.jsonl").touch()  # the working folder comes first, as it always did
    assert sources[0].at == "data/a.jsonl"


def test_a_missing_file_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        recipes.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="it holds nothing"):
        load(tmp_path, "")
