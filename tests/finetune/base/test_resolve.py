"""Bases by name, by folder and by repository; what is none is refused in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import UserError
from data.home import base_folder
from data.manifest import read_base
from finetune.base import build
from finetune.base.resolve import find, resolve, write_manifest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def say(_: str) -> None: ...


def test_a_local_awq_folder_becomes_a_base_without_a_copy(base: Path, home: Path, tmp_path: Path) -> None:
    model = tmp_path / "my-awq"
    model.mkdir()
    for path in base.iterdir():
        if path.name != "base.json":
            (model / path.name).symlink_to(path)
    folder = resolve(str(model), say)
    assert folder.parent == home / "bases" and folder.name.startswith("my-awq--")
    assert (folder / "model.safetensors").is_symlink()
    assert read_base(folder).fingerprint == read_base(base).fingerprint
    assert resolve(str(model), say) == find(str(model)) == folder


def test_the_fingerprint_sees_weights_template_and_tokenizer(base: Path, home: Path, tmp_path: Path) -> None:
    seen = {read_base(base).fingerprint}
    for name in ("chat_template.jinja", "tokenizer.json", "config.json"):
        model = tmp_path / f"changed-{name.partition('.')[0]}"
        shutil.copytree(base, model, ignore=shutil.ignore_patterns("base.json"))
        if name == "config.json":
            content = json.loads((model / name).read_text()) | {"rms_norm_eps": 1e-3}
            (model / name).write_text(json.dumps(content))
        else:
            (model / name).write_text((model / name).read_text() + "\n")
        seen.add(read_base(resolve(str(model), say)).fingerprint)
    assert len(seen) == 4


@pytest.mark.parametrize("get", [find, lambda name: resolve(name, say)])
def test_a_base_of_an_older_renderer_is_described_anew(
    base: Path, home: Path, get: Callable[[str], Path]
) -> None:
    """A cached base outlives the version that made it: what it says of itself must not be out of date."""
    folder = home / "bases" / "kept"
    folder.mkdir(parents=True)
    for path in base.iterdir():
        (folder / path.name).symlink_to(path)
    today = read_base(base)
    old = today.identity.model_copy(
        update={"renderer": today.identity.renderer.model_copy(update={"version": 1})}
    )
    (folder / "base.json").unlink()
    write_manifest(folder, today.model_copy(update={"identity": old, "fingerprint": "sha256:old"}))
    assert read_base(get("kept")) == today
    assert not list(folder.glob(".base.json*"))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "it has no config.json"),
        ({}, "is not an AWQ base: its quantisation is none"),
        ({"quantization_config": {"quant_method": "gptq"}}, "its quantisation is gptq"),
        ({"quantization_config": {"quant_method": "awq", "bits": 8, "version": "gemm"}}, "8 bit"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4, "version": "gemv"}}, "gemv layout"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4, "version": "gemm"}}, "no .safetensors"),
    ],
)
def test_what_is_no_awq_base_is_refused(
    config: dict[str, object] | None, said: str, home: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    if config is not None:
        (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError) as caught:
        resolve(str(model), say)
    assert said in str(caught.value)
    assert list((home / "bases").iterdir()) == []


def test_an_unknown_name_gets_the_nearest(home: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'smollm2-135m-instruct-awq'"):
        resolve("smollm2-135m-awq", say)
    with pytest.raises(UserError, match="finetune base smollm2-135m-instruct-awq"):
        find("smollm2-135m-instruct-awq")


def test_a_hub_that_cannot_be_reached_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="could not be had from the hub"):
        resolve("someone/a-model@v1", say)


def test_a_base_that_quantisation_broke_is_refused(base: Path) -> None:
    """The guard compares with what the dense model reached."""
    renderer_rows = build.TemplateRenderer.from_folder(base)
    rows = [
        row
        for chat in build.read(Path("data/samples/heldout_chat.jsonl"))
        for row in renderer_rows.samples(chat)
    ]
    good = read_base(base).quality["dense_perplexity"]
    assert build._guard("x", base, rows[:3], before=good * 10, limit=1.25) > 1
    with pytest.raises(UserError, match="was broken by quantisation"):
        build._guard("x", base, rows[:3], before=1.5, limit=1.25)


def test_the_built_base_is_within_its_bound() -> None:
    quality = read_base(base_folder("smollm2-135m-instruct-awq")).quality
    assert quality["awq_perplexity"] <= 1.25 * quality["dense_perplexity"]
