"""A repository folder that others can use: unchanged files, a true card, an upload where there is a token."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from data import digest
from data.bases import reference_to
from data.errors import UserError
from data.manifest import BaseManifest, adapter_digest, read_base
from finetune.base import catalogue
from finetune.leave.command import leave
from finetune.leave.hub_card import origin_of
from tests.finetune.leave.conftest import Home
from tests.finetune.leave.hub import Hub, hub
from tests.waiting import HUNG

FILES = ("README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json")


def version(adapter: Path) -> str:
    """As a registry counts: over all files that `serve push` sends."""
    names = [name for name in FILES if (adapter / name).is_file()]
    return adapter_digest({name: digest.of_file(adapter / name) for name in names})


def report(path: Path, of: str, name: str = "support") -> Path:
    """A report on the version `of` and the base, as `finetune eval` writes it."""
    metric = {"task": "orders", "measure": "accuracy", "low": 0.71, "high": 0.9, "n": 50, "unscored": 0}
    content = {
        "suite": {"name": "shop", "digest": "sha256:" + "5" * 64, "config": {}, "files": {}},
        "endpoint": "http://127.0.0.1:8321",
        "models": [
            {"name": "base", "model": "tiny-awq", "base": "tiny-awq"},
            {"name": name, "model": name, "adapter": {"name": name, "version": 3, "digest": of}},
        ],
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
        "reused": 0,
        "versions": {},
        "metrics": [metric | {"model": "base", "value": 0.1234}, metric | {"model": name, "value": 0.8125}],
        "differences": [
            {"model": name, "against": "base", "task": "orders", "measure": "accuracy", "n": 50}
            | {"value": 0.689, "low": 0.5, "high": 0.8}
        ],
        "samples": [],
    }
    path.write_text(json.dumps(content))
    return path


def test_the_folder_has_the_adapters_files_and_a_card(home: Home, tmp_path: Path) -> None:
    adapter, out = home.adapter("plain"), tmp_path / "out"
    leave(adapter, "hub", out)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    for name in FILES[1:]:
        assert (out / name).read_bytes() == (adapter / name).read_bytes()
    card = ModelCard.load(out / "README.md")
    assert card.data.library_name == "peft"
    assert card.data.eval_results is None and card.data.license is None
    assert "license is not recorded" in card.text and "has not been evaluated" in card.text
    assert "--max-lora-rank 8" in card.text  # rank 4, and the next that vLLM takes
    assert "serve push . --name grafted" in card.text
    assert str(home.folder) not in card.content


def test_the_card_shows_what_a_report_says_of_this_adapter(home: Home, tmp_path: Path) -> None:
    adapter = home.adapter("plain")
    leave(adapter, "hub", tmp_path / "out", report=report(tmp_path / "report.json", version(adapter)))
    card = ModelCard.load(tmp_path / "out" / "README.md")
    [result] = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_type) == ("accuracy", 0.8125, "shop")
    assert "| orders | accuracy | 0.812 | 0.710 to 0.900 | 50 |" in card.text
    assert "Against base on orders: 0.689 (better)." in card.text
    assert "0.123" not in card.text  # the base's own


def test_a_report_on_another_adapter_is_refused(home: Home, tmp_path: Path) -> None:
    other = report(tmp_path / "report.json", "sha256:" + "9" * 64, "elsewhere")
    with pytest.raises(UserError, match=r"report.json is on base, elsewhere, and not on the adapter in"):
        leave(home.adapter("plain"), "hub", tmp_path / "out", report=other)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("to", "options", "said"),
    [
        (
            "gguf",
            {},
            "did you mean gguf-lora? there are merged (a float16 model of its own), gguf-lora",
        ),
        ("GGUF", {}, "--to GGUF is no format; did you mean gguf-lora"),
        ("safetensors", {}, "--to safetensors is no format; there are merged"),
        ("merge", {}, "did you mean merged?"),
        ("merged", {"push": "me/mine"}, "--push is for --to hub, and --to merged was given"),
        ("gguf-lora", {"report": Path("report.json")}, "--report is for --to hub"),
        ("hub", {"push": "mine"}, "--push mine is no repository; give owner/name"),
        ("hub", {"push": "me/my adapter"}, "is no repository"),
        ("hub", {"report": Path("none.json")}, "none.json cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    home: Home, tmp_path: Path, to: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        leave(home.adapter("plain"), to, tmp_path / "out", **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def export(home: Home, out: Path, hub: Hub, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line against that hub; no token but one that is given."""
    command = [sys.executable, "-m", "finetune", "export", str(home.adapter("plain"))]
    command += ["--to", "hub", "--out", str(out), "--push", "me/mine"]
    known = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    known |= {"ENXERTO_HOME": str(home.folder), "HF_ENDPOINT": hub.url, "HF_HOME": str(out.parent / "hf")}
    return subprocess.run(
        command, env=known | environment, capture_output=True, text=True, timeout=HUNG, check=False
    )


def test_an_upload_puts_the_folder_into_a_private_repository(home: Home, tmp_path: Path) -> None:
    with hub() as made:
        done = export(home, tmp_path / "out", made, HF_TOKEN="hf_writes")
    assert done.returncode == 0, done.stderr
    assert made.repositories["me/mine"]["visibility"] == "private"
    assert {name: made.files[name] for name in FILES} == {
        name: (tmp_path / "out" / name).read_bytes() for name in FILES
    }
    assert b"serve push hf:me/mine --name grafted" in made.files["README.md"]
    assert f"{made.url}/me/mine/commit/" in done.stderr


@pytest.mark.parametrize(
    ("environment", "said", "written"),
    [
        ({}, "--push me/mine needs a token of the hub that may write; set HF_TOKEN", False),
        ({"HF_TOKEN": "hf_reads"}, "is written, and could not be uploaded to me/mine (", True),
        ({"HF_TOKEN": "hf_writes", "HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set; unset it", False),
    ],
)
def test_an_upload_that_cannot_be_is_one_sentence(
    home: Home, tmp_path: Path, environment: dict[str, str], said: str, written: bool
) -> None:
    with hub() as made:
        done = export(home, tmp_path / "out", made, **environment)
    assert done.returncode == 2
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: ") and said in error
    assert "Traceback" not in done.stderr
    assert made.files == {}
    assert (tmp_path / "out" / "README.md").is_file() == written
    if not written:
        assert made.asked == []


def test_the_card_of_each_kind_of_base(home: Home, tmp_path: Path) -> None:
    """Built here, from a hub with a card of its own, and out of a folder."""
    base = read_base(home.base)
    built = base.model_copy(update={"name": "smollm2-135m-instruct-awq", "source": {"package": "x==1"}})
    origin = origin_of(built, tmp_path)
    assert (origin.repo, origin.license) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    assert origin.weights == "path/to/base"
    (tmp_path / "README.md").write_text("---\nlicense: llama3.1\n---\n# x\n")
    downloaded = base.model_copy(update={"name": "a/b", "source": {"repo": "a/b", "revision": "c" * 40}})
    origin = origin_of(downloaded, tmp_path)
    assert (origin.repo, origin.weights, origin.license) == ("a/b", "a/b", "llama3.1")
    linked: BaseManifest = base.model_copy(update={"source": {"folder": "/home/me/secret"}})
    assert origin_of(linked, home.base).repo is None
    assert reference_to(linked) == "/home/me/secret"
    assert all(entry.license for entry in catalogue.load().values())
