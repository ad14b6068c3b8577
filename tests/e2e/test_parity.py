"""What the trainer's model said decides whether an adapter is let in, whatever else about it is in order."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from safetensors.numpy import load_file, save_file

from finetune.base.resolve import resolve
from tests.conftest import Server
from tests.e2e import faults, quince
from tests.e2e.quince import run
from tests.waiting import PATIENCE

pytestmark = pytest.mark.e2e


def push(server: Server, folder: Path, name: str) -> Any:
    return run("serve", "push", folder, "--name", name, "--url", server.url)


def shown(server: Server, name: str) -> Any:
    return httpx.get(f"{server.url}/v1/adapters/{name}", headers=server.headers, timeout=PATIENCE).json()


def test_an_adapter_as_it_was_trained_is_let_in_with_its_figures(server: Server, trained: Path) -> None:
    assert push(server, trained, "as-trained").returncode == 0
    (version,) = shown(server, "as-trained")["versions"]
    (verdict,) = version["parity"]
    assert verdict["why"] is None
    assert verdict["engine"].startswith("vllm ")
    assert verdict["found"]["effect"] == pytest.approx(verdict["found"]["trained_effect"], rel=0.1)
    assert verdict["found"]["adapter"]["top1"] >= 0.9


@pytest.fixture(scope="module")
def by_heart(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that learnt so much that it magnifies rounding, and each of its layers matters."""
    return quince.train(server.base.name, tmp_path_factory.mktemp("by-heart"), steps=20)


def test_one_that_magnifies_rounding_is_let_in(server: Server, by_heart: Path) -> None:
    pushed = push(server, by_heart, "by-heart")
    assert pushed.returncode == 0, pushed.stderr


@pytest.mark.parametrize("what", faults.FAULTS)
def test_a_broken_one_is_not(server: Server, by_heart: Path, tmp_path: Path, what: str) -> None:
    broken = tmp_path / "adapter"
    shutil.copytree(by_heart, broken)
    faults.FAULTS[what](broken)
    faults.sign(broken)
    name = "broken-" + what.replace(" ", "-").lower()
    _refused(server, broken, name, "with the adapter the engine answers otherwise than in training")


def test_one_that_was_trained_on_another_base_of_the_same_shape_is_not(
    server: Server, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest says this base, as where somebody wrote it by hand: then the base's own words tell."""
    other = tmp_path / "other"
    shutil.copytree(base, other, ignore=shutil.ignore_patterns("base.json"))
    (weights,) = other.glob("*.safetensors")
    tensors = load_file(weights)
    tensors["model.norm.weight"] *= 1.3
    save_file(tensors, weights, {"format": "pt"})
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    resolve(str(other), say=lambda _: None)
    adapter = quince.train("other", tmp_path / "quince", steps=4)
    manifest = json.loads((adapter / faults.MANIFEST).read_text())
    assert manifest["base"]["fingerprint"] != server.base.fingerprint
    assert "was trained on base" in push(server, adapter, "other-base").stderr
    faults.sign(adapter, name=server.base.name, fingerprint=server.base.fingerprint)
    config = json.loads((adapter / faults.CONFIG).read_text())
    (adapter / faults.CONFIG).write_text(json.dumps(config | {"base_model_name_or_path": server.base.name}))
    faults.sign(adapter)
    _refused(server, adapter, "other-base", "the base itself answers otherwise here than in training")


def _refused(server: Server, folder: Path, name: str, why: str) -> None:
    pushed = push(server, folder, name)
    assert pushed.returncode == 2, pushed.stdout
    assert why in pushed.stderr
    assert pushed.stderr.count("\n") == 1
    found = shown(server, name)
    assert found["aliases"] == {}
    (version,) = found["versions"]
    assert version["state"] == "failed"
    assert why in version["parity"][0]["why"]
