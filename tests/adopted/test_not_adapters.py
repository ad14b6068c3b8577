"""What people push by mistake: each is named for what it is, with the step that helps."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import UserError
from serve.adopt import sources
from serve.adopt.folder import CONFIG, WEIGHTS, look
from tests.adopted import plain
from tests.adopted.test_mapping import refused


def _renamed(name: str, other: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).rename(folder / other)


def _sharded(folder: Path) -> None:
    for number in (1, 2):
        (folder / WEIGHTS).with_name(f"adapter_model-0000{number}-of-00002.safetensors").write_bytes(b"")
    (folder / WEIGHTS).unlink()


def _whole(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        for name in names:
            (folder / name).write_bytes(b"{}")

    return change


def _pruned(folder: Path) -> None:
    """As a hub's cache leaves it, once its blobs were deleted."""
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("../../blobs/0f0f")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_sharded, "in 2 parts.*max_shard_size"),
        (_renamed(CONFIG, "Adapter_Config.json"), f"Adapter_Config.json is not called {CONFIG}.*rename"),
        (_renamed(CONFIG, "adapter_config.json.txt"), "adapter_config.json.txt is not called.*rename"),
        (_renamed(CONFIG, "adapter_config (1).json"), r"adapter_config \(1\).json is not called.*rename"),
        (_renamed(WEIGHTS, "adapter_model copy.safetensors"), "copy.safetensors is not called.*rename"),
        (_whole("model.safetensors", "config.json"), "a whole model"),
        (_whole("model-00001-of-00002.safetensors"), "a whole model"),
        (_whole("pytorch_model.bin"), "a whole model"),
        (_whole("model_card.md"), f"no {WEIGHTS}"),
        (_whole("lora.gguf"), "GGUF"),
        (_pruned, "a link to a file that is not there"),
    ],
)
def test_what_is_there_instead_is_said(change: Callable[[Path], object], why: str, tmp_path: Path) -> None:
    folder = plain.write(tmp_path / "in")
    change(folder)
    with pytest.raises(UserError, match=why):
        look(folder)


FULL = {
    "model.embed_tokens.weight": np.zeros((10, 16), "f2"),
    "model.layers.0.self_attn.q_proj.weight": np.zeros((24, 16), "f2"),
}


@pytest.mark.parametrize("begin", ["", "base_model.model.", "module."])
def test_a_whole_model_under_an_adapters_name_is_said(begin: str, tmp_path: Path) -> None:
    folder = plain.write(tmp_path / "in", {begin + name: value for name, value in FULL.items()})
    refused(folder, tmp_path, "weights of a whole model")


@pytest.mark.parametrize("names", [("default", "other"), ("a", "b"), ("", "reward")])
def test_two_adapters_in_a_file_are_named(names: tuple[str, str], tmp_path: Path) -> None:
    values: dict[str, Any] = {}
    for name in names:
        values |= plain.tensors(end=f".{name}.weight" if name else ".weight")
    wanted = ", ".join(name or "(without a name)" for name in names)
    refused(plain.write(tmp_path / "in", values), tmp_path, f"holds the adapters {wanted}; save one")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "source is empty.*nobody set"),
        ("  ", "source is empty.*nobody set"),
        ("~no-such-user/outputs", "home of a user who is not here"),
    ],
)
def test_a_source_that_names_nothing_is_refused(given: str, why: str) -> None:
    with pytest.raises(UserError, match=why), sources.fetched(given):
        pass


@pytest.mark.parametrize("given", [".", "outputs", "../outputs"])
def test_a_shell_in_a_deleted_folder_is_told(given: str, tmp_path: Path) -> None:
    here, gone = Path.cwd(), tmp_path / "gone"
    gone.mkdir()
    try:
        os.chdir(gone)
        gone.rmdir()
        with pytest.raises(UserError, match="own folder was deleted"), sources.fetched(given):
            pass
    finally:
        os.chdir(here)


def test_amazons_own_buckets_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint; the proxy is nobody, so that no packet leaves this machine."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "HTTPS_PROXY": "http://127.0.0.1:9",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    for given in ("s3://bucket/x", "s3://bucket", "s3://bucket/x?region=eu-west-1"):
        with pytest.raises(UserError, match=r"could not be read.*AWS_ACCESS_KEY_ID"), sources.fetched(given):
            pass


@pytest.mark.parametrize(
    "written",
    [
        lambda config: b"\xef\xbb\xbf" + json.dumps(config).encode(),
        lambda config: json.dumps(config, indent=2).replace("\n", "\r\n").encode(),
        lambda config: b"\xef\xbb\xbf" + json.dumps(config, indent=2).replace("\n", "\r\n").encode(),
    ],
)
def test_a_config_that_an_editor_of_windows_wrote_is_read(
    written: Callable[[dict[str, Any]], bytes], tmp_path: Path
) -> None:
    from serve.adopt import settings

    assert settings.read(written(plain.config())) == settings.read(json.dumps(plain.config()).encode())


def test_a_config_that_is_no_text_is_said_in_plain_words(tmp_path: Path) -> None:
    for content, why in (
        (b"", "it is empty"),
        (json.dumps(plain.config()).encode("utf-16"), "it is not in UTF-8, from byte 0 on"),
        (b"r: 4\nlora_alpha: 8\n", "it is no JSON from line 1"),
    ):
        folder = plain.write(tmp_path / str(len(content)))
        (folder / CONFIG).write_bytes(content)
        refused(folder, tmp_path, why)
