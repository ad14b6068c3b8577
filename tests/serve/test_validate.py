"""What may enter the registry: one good adapter, and one bad one for each guard."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from data import digest
from data.errors import UserError
from data.manifest import RendererId
from serve.registry import base_modules, header
from tests.serve import tiny
from tests.serve.tiny import Base

Q_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
Q_B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
DOWN_A = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"


@pytest.fixture
def adapter(tmp_path: Path, base: Base) -> Path:
    return tiny.make_adapter(tmp_path / "adapter", base)


def test_a_valid_adapter_passes(adapter: Path, base: Base) -> None:
    checked = tiny.check_adapter(adapter, base)
    assert (checked.rank, checked.base_fingerprint) == (tiny.RANK, base.manifest.fingerprint)
    assert checked.digests == {path.name: digest.of_file(path) for path in adapter.iterdir()}


def test_the_base_shows_its_linear_layers_alone(base: Base) -> None:
    assert base_modules.read(base.folder) == tiny.MODULES


def test_a_layer_that_is_not_quantised_counts_too(tmp_path: Path) -> None:
    save_file({"model.layers.0.gate.weight": np.zeros((3, 5), np.float16)}, tmp_path / "a.safetensors")
    assert base_modules.read(tmp_path) == {"model.layers.0.gate": (5, 3)}


def refused(adapter: Path, base: Base, why: str, **settings: int) -> None:
    with pytest.raises(UserError, match=why) as caught:
        tiny.check_adapter(adapter, base, **settings)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("extra", ["tokenizer.json", "adapter_model.bin", ".hidden"])
def test_a_further_file_is_refused(adapter: Path, base: Base, extra: str) -> None:
    (adapter / extra).write_text("{}")
    refused(adapter, base, "An adapter is adapter_config.json, adapter_model.safetensors, manifest.json")


def test_a_folder_within_is_refused(adapter: Path, base: Base) -> None:
    (adapter / "README.md").mkdir()
    refused(adapter, base, "a folder of plain files")


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors", "manifest.json"])
def test_a_missing_file_is_refused(adapter: Path, base: Base, missing: str) -> None:
    (adapter / missing).unlink()
    refused(adapter, base, "An adapter is adapter_config.json")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"peft_type": "IA3"}, "peft_type"),
        ({"r": 0}, "r: "),
        ({"r": "4"}, "r: "),
        ({"r": True}, "r: "),
        ({"r": 4.0}, "r: "),
        ({"lora_alpha": 0}, "lora_alpha"),
        ({"lora_alpha": -8}, "lora_alpha"),
        ({"lora_alpha": 1e308}, "lora_alpha"),
        ({"lora_alpha": float("nan")}, "NaN"),
        ({"lora_alpha": float("inf")}, "Infinity"),
        ({"target_modules": []}, "target_modules"),
        ({"target_modules": "(a+)+b"}, "target_modules"),
        ({"target_modules": ["(a+)+b"]}, "target_modules"),
        ({"bias": "all"}, "bias"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"(a+)+b": 8}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern"),
        ({"layers_to_transform": [0]}, "layers_to_transform"),
        ({"layers_to_transform": 0}, "layers_to_transform"),
        ({"lora_bias": True}, "lora_bias"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"auto_mapping": {"base_model_class": "Evil", "parent_library": "evil"}}, "auto_mapping"),
        ({"vllm_lora_scaling_factor": 9.0}, "vllm_lora_scaling_factor"),
        ({"something_new": 0}, "something_new"),
        ({"something_new": ""}, "something_new"),
        ({"exclude_modules": ["q_proj"]}, "exclude_modules names 'q_proj'"),
        ({"exclude_modules": ["layers.0.mlp.down_proj"]}, "exclude_modules names"),
        ({"exclude_modules": ".*q_proj"}, "exclude_modules is set to a pattern"),
        ({"runtime_config": {"ephemeral_gpu_offload": False, "hook": "x"}}, "runtime_config.hook"),
        ({"runtime_config": "x"}, "runtime_config"),
        ({"enable_lora": [True, False, True]}, "enable_lora"),
        ({"merge_weights": "yes"}, "merge_weights"),
        ({"init_lora_weights": "olora"}, "init_lora_weights"),
        ({"init_lora_weights": "loftq"}, "init_lora_weights"),
    ],
)
def test_a_config_beyond_plain_lora_is_refused(
    adapter: Path, base: Base, changes: dict[str, Any], why: str
) -> None:
    tiny.change_config(adapter, **changes)
    tiny.sign(adapter, base)
    refused(adapter, base, why)


@pytest.mark.parametrize(
    "says_nothing",
    [
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "orthogonal"},
        {"init_lora_weights": None},
        {"init_lora_weights": False},
        {"exclude_modules": ["lm_head"]},
        {"exclude_modules": ["embed_tokens", "v_proj"]},
        {"exclude_modules": []},
        {"enable_lora": None, "merge_weights": False},
        {"runtime_config": {"ephemeral_gpu_offload": True}},
        {"runtime_config": {}},
        {"runtime_config": None},
        {"alora_invocation_tokens": None, "arrow_config": None, "use_qalora": False, "qalora_group_size": 16},
        {"use_rslora": None, "bias": None, "lora_dropout": None, "inference_mode": None},
        {"a_key_of_2027": None, "another": [], "a_third": {}, "a_fourth": False},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_config_that_says_nothing_more_passes(
    adapter: Path, base: Base, says_nothing: dict[str, Any]
) -> None:
    plain = tiny.check_adapter(adapter, base).config
    tiny.change_config(adapter, **says_nothing)
    tiny.sign(adapter, base)
    assert tiny.check_adapter(adapter, base).config == plain, "the engine sees none of it"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"peft_type": "LORA", "peft_type": "LORA"}', "twice"),
        ("[]", "must hold `key: value` pairs"),
        ("[" * 10_000, "nested too deeply"),
        ("not json", "Expecting value"),
        ('{"r": ' + "9" * 5000 + "}", "digits"),
    ],
)
def test_a_config_that_is_not_one_json_object_is_refused(
    adapter: Path, base: Base, text: str, why: str
) -> None:
    (adapter / tiny.CONFIG).write_text(text)
    refused(adapter, base, why)


def test_the_config_that_peft_writes_passes(adapter: Path, base: Base) -> None:
    peft = pytest.importorskip("peft")
    written = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"
    )
    written.save_pretrained(adapter)
    tiny.sign(adapter, base)
    assert tiny.check_adapter(adapter, base).rank == 4


def test_a_rank_beyond_the_server_is_refused(adapter: Path, base: Base) -> None:
    refused(adapter, base, "rank 4; this server holds ranks up to 2", max_rank=2)


def test_another_base_of_the_same_shapes_is_refused(tmp_path: Path, base: Base) -> None:
    other = tiny.make_base(tmp_path / "other", salt="other")
    refused(tiny.make_adapter(tmp_path / "theirs", other), base, "was trained on base 'tiny-awq'")


def test_another_renderer_is_refused(adapter: Path, base: Base) -> None:
    tiny.sign(adapter, base, RendererId(name="template", version=2, digest=tiny.RENDERER.digest))
    refused(adapter, base, "chat format template 2")


@pytest.mark.parametrize("file", [tiny.CONFIG, tiny.WEIGHTS])
def test_files_that_the_manifest_does_not_know_are_refused(adapter: Path, base: Base, file: str) -> None:
    if file == tiny.CONFIG:
        tiny.change_config(adapter, lora_dropout=0.5)
    else:
        tiny.change_weights(adapter, lambda tensors: tensors[Q_A].fill(1))
    refused(adapter, base, f"does not describe this {file}")


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"schema_version": 1, "schema_version": 1}'])
def test_a_manifest_that_is_none_is_refused(adapter: Path, base: Base, text: str) -> None:
    (adapter / "manifest.json").write_text(text)
    refused(adapter, base, "manifest.json is no adapter manifest")


BAD_WEIGHTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "transposed": (lambda t: t.update({Q_A: t[Q_A].T}), r"shape \[16, 4\]"),
    "other rank": (lambda t: t.update({Q_A: t[Q_A][:2]}), r"shape \[2, 16\]"),
    "unpaired": (lambda t: t.pop(Q_B), "1 of 4 tensors are absent"),
    "a layer missing": (lambda t: (t.pop(Q_A), t.pop(Q_B)), "2 of 4 tensors are absent"),
    "no tensor": (lambda t: t.clear(), "4 of 4 tensors are absent"),
    "unknown layer": (
        lambda t: t.update({Q_A.replace("layers.0", "layers.9"): t[Q_A]}),
        "no layer of this base",
    ),
    "full weights": (lambda t: t.update({"base_model.model.lm_head.weight": t[Q_A]}), "neither lora_A nor"),
    "bias": (lambda t: t.update({Q_A.replace("weight", "bias"): t[Q_A]}), "neither lora_A nor lora_B"),
    "whole numbers": (lambda t: t.update({Q_A: t[Q_A].astype("i4")}), "is I32"),
    "NaN": (lambda t: t[Q_A].put(7, np.nan), "NaN, infinity"),
    "infinity": (lambda t: t[Q_A].put(7, -np.inf), "NaN, infinity"),
    "beyond float16": (lambda t: t[Q_A].put(7, 70_000), "NaN, infinity or a value beyond 65504"),
    "no effect": (lambda t: [t[name].fill(0) for name in t if "lora_B" in name], "changes nothing"),
}


@pytest.mark.parametrize("bad", BAD_WEIGHTS)
def test_bad_weights_are_refused(adapter: Path, base: Base, bad: str) -> None:
    change, why = BAD_WEIGHTS[bad]
    tiny.change_weights(adapter, change)
    tiny.sign(adapter, base)
    refused(adapter, base, why)


def test_a_target_that_the_base_lacks_is_refused(adapter: Path, base: Base) -> None:
    tiny.change_config(adapter, target_modules=["q_proj", "down_proj", "c_attn"])
    tiny.sign(adapter, base)
    refused(adapter, base, "'c_attn', which this base does not have")


def test_a_tensor_that_no_target_names_is_refused(adapter: Path, base: Base) -> None:
    tiny.change_config(adapter, target_modules=["q_proj"])
    tiny.sign(adapter, base)
    refused(adapter, base, "that target_modules names")


def test_a_bad_value_in_the_last_block_is_found(
    adapter: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.registry.values.BLOCK_ITEMS", 10)
    tiny.change_weights(adapter, lambda tensors: tensors[DOWN_A].put(-1, np.nan))
    tiny.sign(adapter, base)
    refused(adapter, base, "NaN")


def write_raw(adapter: Path, base: Base, entries: str | dict[str, Any], data: bytes = b"") -> None:
    header = (entries if isinstance(entries, str) else json.dumps(entries)).encode()
    (adapter / tiny.WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + data)
    tiny.sign(adapter, base)


def as_bfloat16(adapter: Path, base: Base, spoil: int | None = None) -> None:
    """The adapter in bfloat16, which safetensors.numpy cannot write; `spoil` replaces one value's bits."""
    entries, data = {}, b""
    for name, values in tiny.weights().items():
        bits = (values.view(np.uint32) >> 16).astype("<u2")
        if spoil is not None and name == Q_B:
            bits[0, 0] = spoil
        entries[name] = {
            "dtype": "BF16",
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + bits.nbytes],
        }
        data += bits.tobytes()
    write_raw(adapter, base, entries, data)


def test_bfloat16_is_read(adapter: Path, base: Base) -> None:
    as_bfloat16(adapter, base)
    assert tiny.check_adapter(adapter, base).rank == tiny.RANK


@pytest.mark.parametrize("bits", [0x7FC0, 0x7F80, 0xFF80, 0x4780])
def test_bfloat16_nan_infinity_and_65536_are_refused(adapter: Path, base: Base, bits: int) -> None:
    as_bfloat16(adapter, base, spoil=bits)
    refused(adapter, base, "NaN, infinity")


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
BAD_HEADERS: dict[str, tuple[str | dict[str, Any], bytes, str]] = {
    "repeated key": (
        f'{{"a": {json.dumps(ONE)}, "a": {json.dumps(ONE)}}}',
        b"abcd",
        "'a' is there twice",
    ),
    "path as name": ({"../../a": ONE}, b"abcd", "no tensor name"),
    "NUL in a name": ({"a\0": ONE}, b"abcd", "no tensor name"),
    "line end in a name": ({"a\n": ONE}, b"abcd", "no tensor name"),
    "no bytes": ({"a": ONE | {"shape": [0, 2**40], "data_offsets": [0, 0]}}, b"", "dimensions of at least 1"),
    "negative": ({"a": ONE | {"shape": [-1, -1]}}, b"abcd", "dimensions of at least 1"),
    "true as a size": ({"a": ONE | {"shape": [True]}}, b"abcd", "dimensions of at least 1"),
    "huge": ({"a": ONE | {"shape": [2**41]}}, b"abcd", "dimensions of at least 1"),
    "five dimensions": ({"a": ONE | {"shape": [1] * 5}}, b"abcd", "1 to 4 dimensions"),
    "unknown dtype": ({"a": ONE | {"dtype": "PICKLE"}}, b"abcd", "unknown dtype"),
    "further field": ({"a": ONE | {"code": "x"}}, b"abcd", "or has more"),
    "no offsets": ({"a": {"dtype": "F32", "shape": [1]}}, b"abcd", "lacks dtype"),
    "shape against bytes": ({"a": ONE | {"shape": [2]}}, b"abcd", "has 4 bytes for shape"),
    "hole": ({"a": ONE | {"data_offsets": [4, 8]}}, b"abcdabcd", "where .* was due"),
    "overlap": ({"a": ONE, "b": ONE}, b"abcd", "where .* was due"),
    "truncated": ({"a": ONE}, b"abc", "tensors end at byte"),
    "trailing bytes": ({"a": ONE}, b"abcdPK", "tensors end at byte"),
    "negative offset": ({"a": ONE | {"data_offsets": [-4, 0]}}, b"abcd", "no byte counts"),
    "metadata": ({"__metadata__": {"a": 1}, "a": ONE}, b"abcd", "__metadata__"),
    "not an object": ("[1]", b"", "brace"),
    "leading blank": (" {}", b"", "brace"),
}


@pytest.mark.parametrize("bad", BAD_HEADERS)
def test_a_bad_header_is_refused(adapter: Path, base: Base, bad: str) -> None:
    entries, data, why = BAD_HEADERS[bad]
    write_raw(adapter, base, entries, data)
    refused(adapter, base, why)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "its header claims 0 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "its header claims"),
        (struct.pack("<Q", 100) + b"{}", "its header claims"),
        (b"\x80\x04\x95", "it is a pickle.*where you trust it"),
        (b"PK\x03\x04" + bytes(40), "it is a zip archive.*write it as safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n", "`git lfs pull`"),
        (b"<!DOCTYPE html><html>Sign in", "a web page.*download the file itself"),
    ],
)
def test_bytes_that_are_no_safetensors_are_refused(
    adapter: Path, base: Base, content: bytes, why: str
) -> None:
    (adapter / tiny.WEIGHTS).write_bytes(content)
    tiny.sign(adapter, base)
    refused(adapter, base, why)


@pytest.mark.parametrize(
    ("limit", "value", "why"),
    [("MAX_HEADER_BYTES", 100, "at most 100 go"), ("MAX_TENSORS", 3, "4 tensors, where at most 3 go")],
)
def test_a_header_beyond_the_limits_is_refused(
    adapter: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, why: str
) -> None:
    monkeypatch.setattr(header, limit, value)
    with pytest.raises(UserError, match=why):
        header.read(adapter / tiny.WEIGHTS)
