"""Runs on the tiny base from the command line: what they leave, and what they refuse."""

import json
import shutil
from pathlib import Path

import pytest

from data.manifest import AdapterManifest
from finetune import recipe as recipes
from finetune.training import checkpoint
from finetune.training.workplace import FREE
from tests.finetune import tiny_awq
from tests.finetune.training.conftest import Bench

TRAIN = {"steps": 12, "batch": 3, "learning_rate": 5e-3}


def manifest(bench: Bench, name: str = "run") -> AdapterManifest:
    return AdapterManifest.model_validate_json((bench.folder / name / "manifest.json").read_bytes())


def evaluations(bench: Bench, name: str = "run") -> list[dict[str, float]]:
    lines = (bench.folder / name / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if "heldout_loss" in row]


def test_what_a_run_leaves(bench: Bench) -> None:
    track = {"wandb": "auto", "tensorboard": "on", "generations": 2}
    data = {"train": [str(bench.chats)], "max_length": 256, "heldout": 0.3}
    result = bench.finetune("train", bench.recipe(track=track, data=data))
    assert result.returncode == 0, result.stderr
    folder = bench.folder / "run"
    made = manifest(bench)
    assert sorted(path.name for path in bench.folder.iterdir()) == ["run", "run.yaml"]
    assert made.training["stopped"] == "finished"
    assert made.training["planned_steps"] == made.training["steps"] == 12
    assert made.training["wandb_run"]
    assert list((folder / "wandb").glob(f"offline-run-*-{made.training['wandb_run']}"))
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    page = (folder / "report.html").read_text()
    assert made.dataset.digest.removeprefix("sha256:")[:12] in page
    assert "The answer" in page or "before" in page.lower()
    for digest in (made.base.fingerprint, made.dataset.digest, made.recipe_digest, made.renderer.digest):
        assert digest in (folder / "README.md").read_text()


def test_the_best_adapter_is_exported_and_patience_ends_a_run(bench: Bench) -> None:
    evaluation = {"steps": 2, "patience": 2}
    train = TRAIN | {"steps": 60, "learning_rate": 3.0, "evaluation": evaluation}
    data = {"train": [str(bench.chats)], "max_length": 256, "heldout": 0.3}
    result = bench.finetune("train", bench.recipe(train=train, data=data))
    assert result.returncode == 0, result.stderr
    made, seen = manifest(bench), evaluations(bench)
    losses = {row["step"]: row["heldout_loss"] for row in seen}
    best = min(losses, key=lambda step: losses[step])
    assert made.training["stopped"] == "early stop"
    assert made.training["best_step"] == best
    assert made.training["steps"] == best + 4 < 60
    assert f"the adapter of step {best} has the lowest held-out loss" in result.stderr
    # The same run, ended by hand at the best step: a constant rate does not know how long a run is.
    steady = train | {"schedule": "constant", "warmup": 0}
    assert bench.finetune("train", bench.recipe("long", train=steady, data=data)).returncode == 0
    best = manifest(bench, "long").training["best_step"]
    assert (
        bench.finetune("train", bench.recipe("short", train=steady | {"steps": best}, data=data)).returncode
        == 0
    )
    one, other = (bench.folder / name / "adapter_model.safetensors" for name in ("short", "long"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("alpha", "rate", "what", "step"),
    [(1e21, 1e-3, "gradient's norm is inf", 1), (1e16, 1e30, "loss is nan", 2)],
)
def test_what_is_not_finite_stops_the_run_with_names(
    bench: Bench, alpha: float, rate: float, what: str, step: int
) -> None:
    lora = {"r": 4, "alpha": alpha, "targets": ["q_proj", "v_proj", "down_proj"]}
    train = TRAIN | {
        "learning_rate": rate,
        "warmup": 0,
        "optimizer": "sgd",
        "clip": 1e9,
        "schedule": "constant",
    }
    result = bench.finetune("train", bench.recipe(lora=lora, train=train))
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    said = result.stderr.splitlines()[-1]
    assert f"the {what} at step {step}, with learning rate {rate:.3g}, on {bench.chats}:" in said
    assert "nothing was exported" in said
    assert not (bench.folder / "run").exists()


def test_an_output_that_exists_is_not_touched(bench: Bench) -> None:
    (bench.folder / "run").mkdir()
    result = bench.finetune("train", bench.recipe())
    assert result.returncode == 2
    assert "exists already" in result.stderr
    assert list((bench.folder / "run").iterdir()) == []
    assert not (bench.folder / "run.unfinished").exists()


def begun(bench: Bench) -> Path:
    """An unfinished run with a checkpoint, as after a kill."""
    recipe = bench.recipe(train=TRAIN)
    assert bench.finetune("train", recipe).returncode == 0
    work = bench.folder / "run.unfinished"
    checkpoint.seal(checkpoint.stage(work / "checkpoints", 3), 3, {})
    content = {
        "recipe": recipes.load(recipe).model_dump(mode="json", exclude=FREE),
        "base": manifest(bench).base.fingerprint,
        "dataset": manifest(bench).dataset.digest,
    }
    shutil.rmtree(bench.folder / "run")
    (work / "run.json").write_text(json.dumps(content))
    return recipe


def test_a_run_goes_on_as_what_it_began_or_not_at_all(bench: Bench) -> None:
    begun(bench)
    changed = bench.recipe(train=TRAIN | {"learning_rate": 1e-4})
    result = bench.finetune("train", changed)
    assert result.returncode == 2
    assert "began with another train.learning_rate (0.005, now 0.0001)" in result.stderr
    assert "--restart" in result.stderr
    assert bench.finetune("train", changed, "--restart").returncode == 0


def test_data_that_changed_is_seen(bench: Bench, tmp_path: Path) -> None:
    recipe = begun(bench)
    content = json.loads((bench.folder / "run.unfinished" / "run.json").read_text())
    content["dataset"] = "sha256:other"
    (bench.folder / "run.unfinished" / "run.json").write_text(json.dumps(content))
    result = bench.finetune("train", recipe)
    assert result.returncode == 2
    assert "began with another dataset" in result.stderr


def test_a_base_that_changed_is_refused(bench: Bench, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(bench.home / "bases", home / "bases")
    weights = home / "bases" / tiny_awq.BASE / "model-1.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = Bench(home, bench.chats, bench.folder)
    result = changed.finetune("train", changed.recipe())
    assert result.returncode == 2
    assert f"base {tiny_awq.BASE} has changed since it was made (weights differ)" in result.stderr
    assert "Traceback" not in result.stderr


def test_resume_wants_a_run(bench: Bench) -> None:
    result = bench.finetune("resume", bench.recipe())
    assert result.returncode == 2
    assert "there is no unfinished run" in result.stderr


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ({"r": 4, "targets": ["query"]}, "lora.targets names query, which matches no module of this base"),
        ({"r": 4, "alpha": 1e38}, "gradients are not finite before the first step"),
        ({"r": 4, "dora": True}, "DoRA needs the dense base's column norms"),
        ({"r": 4, "alpha": float("nan")}, "lora.alpha"),
    ],
)
def test_adapters_that_cannot_be(bench: Bench, lora: dict[str, object], said: str) -> None:
    result = bench.finetune("train", bench.recipe(lora=lora))
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def talks(bench: Bench, *lengths: int) -> str:
    """A file of conversations of two answers: a short one, and one of so many words."""
    path = bench.folder / f"{len(lengths)}-talks.jsonl"
    with path.open("w") as file:
        for number, words in enumerate(lengths):
            turns = [f"What is {number}?", "A number.", "And more?", "Sure. " * words]
            roles = ("user", "assistant") * 2
            messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=True)]
            file.write(json.dumps({"messages": messages}) + "\n")
    return str(path)


def test_long_rows_are_cut_behind_a_whole_answer_and_counted(bench: Bench) -> None:
    data = {"train": talks(bench, 1, 100, 1, 100), "max_length": 100, "too_long": "truncate"}
    result = bench.finetune("train", bench.recipe(data=data, train=TRAIN | {"steps": 1}))
    assert result.returncode == 0, result.stderr
    entry = manifest(bench).dataset
    assert entry.dropped == {"cut to 100 tokens": 2, "answers behind a cut": 2}
    assert entry.targets == 6
    assert "left out 2 cut to 100 tokens, 2 answers behind a cut" in result.stderr


def test_two_processes_learn_what_one_learns(bench: Bench) -> None:
    lora = {"r": 4, "alpha": 8, "targets": ["q_proj", "v_proj", "down_proj"]}
    data = {"train": [str(bench.chats)], "max_length": 256, "heldout": 0.3}
    train = TRAIN | {"evaluation": {"steps": 6}}
    shutil.rmtree(bench.home / "cache", ignore_errors=True)  # so that only one of the two may make the rows
    two = bench.finetune("train", bench.recipe("two", lora=lora, data=data, train=train), "--processes", "2")
    assert two.returncode == 0, two.stderr[-3000:]
    assert two.stderr.count("adapter written to") == 1
    one = bench.finetune("train", bench.recipe("one", lora=lora, data=data, train=train))
    assert one.returncode == 0, one.stderr
    alone, together = bench.losses("one"), bench.losses("two")
    assert len(alone) == len(together) == 12
    for (_, loss, norm), (_, other, other_norm) in zip(alone, together, strict=True):
        assert other == pytest.approx(loss, rel=1e-4)
        # Products of other shapes round differently: bfloat16 keeps eight bits.
        assert other_norm == pytest.approx(norm, rel=2**-8)
    for here, there in zip(evaluations(bench, "one"), evaluations(bench, "two"), strict=True):
        assert there["heldout_loss"] == pytest.approx(here["heldout_loss"], rel=1e-4)
    assert manifest(bench, "two").training["processes"] == 2


def test_bad_records_are_skipped_counted_and_listed(bench: Bench) -> None:
    path = bench.folder / "some.jsonl"
    path.write_text(bench.chats.read_text() + "{broken\n")
    train = TRAIN | {"steps": 1}
    stopped = bench.finetune("train", bench.recipe(data={"train": str(path), "max_length": 256}, train=train))
    assert stopped.returncode == 2 and "Traceback" not in stopped.stderr
    assert f"{path}:11: not JSON" in stopped.stderr and "data.on_error: skip" in stopped.stderr
    data = {"train": str(path), "max_length": 256, "on_error": "skip"}
    result = bench.finetune("train", bench.recipe(data=data, train=train))
    assert result.returncode == 0, result.stderr
    assert "left out 1 cannot be read; " in result.stderr
    assert "its skipped.jsonl names the records" in " ".join(result.stderr.split())
    (line,) = (bench.folder / "run" / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line)["where"] == f"{path}:11"
    entry = manifest(bench).dataset
    assert (entry.dropped, entry.conversations) == ({"cannot be read": 1}, 10)


def test_train_keeps_to_the_limit_that_validate_keeps_to(bench: Bench) -> None:
    """Both refuse, in the same words, what leaves too much out; and nothing of the run stays."""
    data = {"train": talks(bench, 1, 100, 1), "max_length": 100}
    for name, limits, code in (("strict", {}, 2), ("lenient", {"dropped": 0.34}, 0)):
        recipe = bench.recipe(name, data=data | {"limits": limits}, train=TRAIN | {"steps": 1})
        judged, trained = bench.finetune("validate", recipe), bench.finetune("train", recipe)
        assert (judged.returncode, trained.returncode) == (code, code), trained.stderr
        for said in (judged.stdout, trained.stderr) if code else ():
            assert (
                "33.3% of what could be learned is left out (1 longer than 100 tokens), and"
                " data.limits.dropped allows 10.0%; raise data.max_length (the longest row has"
            ) in " ".join(said.split())
    assert not (bench.folder / "strict").exists() and not (bench.folder / "strict.unfinished").exists()
