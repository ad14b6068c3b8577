"""Names, scales and settings from elsewhere: mapped to the same update of the same module, or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data.errors import UserError
from data.manifest import AdoptedManifest
from serve.adopt import matching
from serve.adopt.adopt import adopt
from serve.adopt.folder import look
from tests.adopted.plain import LAYOUT, MODULES, config, tensors, write
from tests.serve.tiny import CONFIG, WEIGHTS


def mapped(folder: Path, out: Path) -> AdoptedManifest:
    return adopt(look(folder), LAYOUT, out, "folder x", "x")


def updates(folder: Path) -> dict[str, Any]:
    """What an adapter in our layout adds to each module's weights."""
    told, values = json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS)
    assert told["bias"] == "none" and "use_rslora" not in told
    found = {}
    for name in values:
        module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        if name.endswith("lora_A.weight"):
            b = values[name.replace("lora_A", "lora_B")].astype("f8")
            found[module] = told["lora_alpha"] / told["r"] * b @ values[name].astype("f8")
    return found


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    assert found.keys() == expected.keys()
    for module, value in expected.items():
        np.testing.assert_allclose(found[module], value, rtol=1e-5, atol=1e-6)
    return True


def plain(scale: Callable[[str], float] = lambda module: 2.0, **ranks: int) -> dict[str, Any]:
    """The updates that `tensors` stand for, by hand."""
    values = tensors(**ranks)
    return {
        module: scale(module)
        * values[f"base_model.model.{module}.lora_B.weight"].astype("f8")
        @ values[f"base_model.model.{module}.lora_A.weight"].astype("f8")
        for module in MODULES
    }


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("base_model.model.", ".weight"),
        ("", ".weight"),
        ("base_model.model.", ".default.weight"),
        ("base_model.model.", ".my_adapter.weight"),
        ("base_model.model.", ""),
        ("module.base_model.model.", ".default.weight"),
        ("base_model.model._orig_mod.", ".weight"),
        ("base_model.model._fsdp_wrapped_module.", ".weight"),
        ("base_model.model.language_model.", ".weight"),
        ("language_model.", ".weight"),
    ],
)
def test_names_of_many_trainers_mean_the_same(begin: str, end: str, tmp_path: Path) -> None:
    manifest = mapped(write(tmp_path / "in", tensors(begin=begin, end=end)), tmp_path / "out")
    same(updates(tmp_path / "out"), plain())
    assert manifest.adopted.layout == "peft"


@pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model.", "model.text_model."])
def test_a_text_model_within_another_is_the_text_model(prefix: str, tmp_path: Path) -> None:
    renamed = {
        name.replace("model.model.model.", f"model.model.{prefix}"): value
        for name, value in tensors().items()
    }
    mapped(write(tmp_path / "in", renamed), tmp_path / "out")
    same(updates(tmp_path / "out"), plain())


def test_ranks_and_alphas_by_name_are_folded_in(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        tensors(q_proj=2, down_proj=8),
        rank_pattern={"q_proj": 2, "mlp.down_proj": 8},
        alpha_pattern={"model.layers.1.mlp.down_proj": 4, "^model.layers.0.self_attn.q_proj": 6},
    )
    mapped(folder, tmp_path / "out")
    scales = {
        "model.layers.0.self_attn.q_proj": 6 / 2,
        "model.layers.1.self_attn.q_proj": 8 / 2,
        "model.layers.0.mlp.down_proj": 8 / 8,
        "model.layers.1.mlp.down_proj": 4 / 8,
    }
    same(updates(tmp_path / "out"), plain(lambda module: scales.get(module, 2.0), q_proj=2, down_proj=8))


def test_scaling_by_the_root_of_the_rank_is_kept(tmp_path: Path) -> None:
    mapped(write(tmp_path / "in", use_rslora=True), tmp_path / "out")
    same(updates(tmp_path / "out"), plain(lambda module: 8 / 2))


@pytest.mark.parametrize("kind", ["f2", "f8"])
def test_other_types_of_numbers_are_kept_or_read(kind: str, tmp_path: Path) -> None:
    values = {name: value.astype(kind) for name, value in tensors().items()}
    mapped(write(tmp_path / "in", values), tmp_path / "out")
    stored = {value.dtype.str for value in load_file(tmp_path / "out" / WEIGHTS).values()}
    assert stored == {"<f2" if kind == "f2" else "<f4"}
    for module, value in plain().items():
        np.testing.assert_allclose(updates(tmp_path / "out")[module], value, rtol=0.05, atol=0.05)


def test_what_is_as_it_should_be_is_copied_byte_for_byte(tmp_path: Path) -> None:
    mapped(write(tmp_path / "in"), tmp_path / "out")
    before, after = load_file(tmp_path / "in" / WEIGHTS), load_file(tmp_path / "out" / WEIGHTS)
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def test_mistral_finetune_has_other_names_another_scale_and_other_rows(tmp_path: Path) -> None:
    names = {
        "self_attn.q_proj": "attention.wq",
        "self_attn.k_proj": "attention.wk",
        "mlp.down_proj": "feed_forward.w2",
    }
    theirs, heads = {}, {"attention.wq": 3, "attention.wk": 1}
    for name, value in tensors().items():
        _, _, rest = name.partition("layers.")
        layer, _, rest = rest.partition(".")
        path, _, side = rest.partition(".lora_")
        if side.startswith("B") and names[path] in heads:
            # Row 2i of a head there is row i here, and 2i + 1 is i + half.
            size = len(value) // heads[names[path]]
            order = [at + half * (size // 2) for at in range(size // 2) for half in (0, 1)]
            value = value.reshape(-1, size, value.shape[1])[:, order].reshape(value.shape)
        theirs[f"layers.{layer}.{names[path]}.lora_{side}"] = np.ascontiguousarray(value)
    folder = tmp_path / "in"
    folder.mkdir()
    save_file(theirs, folder / "lora.safetensors")
    params = {"n_heads": 3, "n_kv_heads": 1, "n_layers": 2, "dim": 16, "lora": {"rank": 4, "scaling": 5.0}}
    (folder / "params.json").write_text(json.dumps(params))
    manifest = mapped(folder, tmp_path / "out")
    same(updates(tmp_path / "out"), plain(lambda module: 5.0))
    assert (manifest.adopted.layout, manifest.adopted.claimed_base) == ("mistral-finetune", None)

    for spoiled, why in (
        (params | {"n_heads": 32}, "n_heads 32"),
        (params | {"lora": {"enable": False, "rank": 4, "scaling": 5.0}}, "not enabled"),
        (params | {"lora": {"rank": 4}}, "lora.scaling"),
        (params | {"lora": {"rank": 8, "scaling": 5.0}}, "where rank and base"),
    ):
        (folder / "params.json").write_text(json.dumps(spoiled))
        refused(folder, tmp_path, why)
    (folder / "params.json").unlink()
    refused(folder, tmp_path, "without params.json, which holds its scale")


def test_mlx_has_its_matrices_the_other_way_round(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    values = {
        name.removeprefix("base_model.model.")
        .replace("lora_A.weight", "lora_a")
        .replace("lora_B.weight", "lora_b"): (np.ascontiguousarray(value.T))
        for name, value in tensors().items()
        if ".layers.1." in name
    }
    save_file(values, folder / "adapters.safetensors")
    told = {"fine_tune_type": "lora", "num_layers": 1, "lora_parameters": {"rank": 4, "scale": 20.0}}
    (folder / CONFIG).write_text(json.dumps(told | {"model": "mlx-community/Tiny-4bit"}))
    manifest = mapped(folder, tmp_path / "out")
    expected = {name: value for name, value in plain(lambda module: 20.0).items() if ".layers.1." in name}
    same(updates(tmp_path / "out"), expected)
    assert manifest.adopted.known_base
    (folder / CONFIG).write_text(json.dumps(told | {"fine_tune_type": "dora"}))
    refused(folder, tmp_path, "fine_tune_type 'dora'")
    (folder / CONFIG).write_text(json.dumps(told | {"num_layers": 2}))
    refused(folder, tmp_path, "3 of 6 modules have no matrices")


@pytest.mark.parametrize(
    "says_nothing",
    [
        {"enable_lora": None, "merge_weights": False},
        {"runtime_config": {"ephemeral_gpu_offload": True}},
        {"exclude_modules": ["lm_head"]},
        {"exclude_modules": ".*vision.*"},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "orthogonal"},
        {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}},
        {"init_lora_weights": False},
        {"lora_dropout": 0.3, "inference_mode": False, "peft_version": "0.99.0"},
        {"lora_dtype": "bf16", "lorap_lr_ratio": 16.0, "lorap_emb_lr": 1e-6},
        {"auto_mapping": {"base_model_class": "X", "unsloth_fixed": True}},
        {"qalora_group_size": 16, "use_qalora": False, "megatron_core": "megatron.core"},
        {"some_extension_of_2027": None, "another": {}, "a_third": False, "a_fourth": []},
        {"modules_to_save": [], "layer_replication": None, "trainable_token_indices": None},
        {"target_modules": "all-linear"},
        {"target_modules": r".*\.(q_proj|k_proj|down_proj)"},
        {"target_modules": ["q_proj", "k_proj", "down_proj", "w1", "c_attn"]},
        {"target_modules": None},
    ],
    ids=lambda given: next(iter(given)),
)
def test_settings_that_say_nothing_of_the_matrices_pass(says_nothing: dict[str, Any], tmp_path: Path) -> None:
    mapped(write(tmp_path / "in", **says_nothing), tmp_path / "out")
    same(updates(tmp_path / "out"), plain())


@pytest.mark.parametrize(
    ("harmful", "why"),
    [
        ({"use_dora": True}, "use_dora is set: DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is set"),
        ({"bias": "lora_only"}, "bias is 'lora_only'"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is set"),
        ({"alora_invocation_tokens": [1, 2]}, "aLoRA"),
        ({"trainable_token_indices": [5]}, "trainable_token_indices is set"),
        ({"layer_replication": [[0, 2]]}, "layer_replication is set"),
        ({"target_parameters": ["experts.gate"]}, "target_parameters is set"),
        ({"lora_bias": True}, "lora_bias is set"),
        ({"use_qalora": True}, "QALoRA"),
        ({"use_bdlora": {"nblocks": 2}}, "use_bdlora is set"),
        ({"monteclora_config": {"a": 1}}, "monteclora_config is set"),
        ({"kasa_config": {"a": 1}}, "kasa_config is set"),
        ({"enable_lora": [True, False, True]}, "enable_lora is set"),
        ({"some_extension_of_2027": 3}, "some_extension_of_2027 is set: this version does not know it"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', which changed the base"),
        ({"init_lora_weights": "pissa_niter_16"}, "which changed the base"),
        ({"init_lora_weights": "olora"}, "which changed the base"),
        ({"init_lora_weights": "corda"}, "which changed the base"),
        ({"init_lora_weights": "loftq"}, "which changed the base"),
        ({"init_lora_weights": "lora_ga"}, "which changed the base"),
        ({"init_lora_weights": "newest"}, "an unknown start"),
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'"),
        ({"peft_type": None}, "it has no peft_type"),
        ({"task_type": "SEQ_CLS"}, "task_type is 'SEQ_CLS'"),
        ({"r": 0}, "r is 0"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": None}, "lora_alpha is None"),
        ({"lora_alpha": 1e9}, "at most 65504"),
        ({"rank_pattern": {"(a+)+$": 2}}, "the regular expression"),
        ({"alpha_pattern": {"q.*": 2}}, "the regular expression"),
        ({"rank_pattern": {"q_proj": 2}}, "where rank and base"),
        ({"r": 8}, "another rank than its config says"),
        ({"target_modules": "(q_proj|"}, "is no regular expression"),
        ({"target_modules": ["q_proj", "k_proj"]}, "target_modules and exclusions do not mean"),
        ({"exclude_modules": ["down_proj"]}, "target_modules and exclusions do not mean"),
        ({"layers_to_transform": [0]}, "target_modules and exclusions do not mean"),
        ({"layers_to_transform": "all"}, "layers_to_transform"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_settings_that_change_what_is_right_are_refused_by_name(
    harmful: dict[str, Any], why: str, tmp_path: Path
) -> None:
    refused(write(tmp_path / "in", **harmful), tmp_path, why)


JUNK = [
    None,
    True,
    False,
    -1,
    0,
    1.5,
    2**70,
    "x",
    "",
    [],
    {},
    [1],
    [None],
    [[]],
    {"a": 1},
    {"a": None},
    {"": 2},
    ["q_proj", 3],
]
KEYS = [
    "peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "bias",
    "exclude_modules", "layers_to_transform", "layers_pattern", "init_lora_weights", "task_type", "use_dora",
    "base_model_name_or_path", "modules_to_save", "runtime_config", "eva_config", "lora_dropout", "newest",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_whatever_a_key_holds_there_is_an_update_or_a_sentence(key: str, tmp_path: Path) -> None:
    for number, value in enumerate(JUNK):
        folder = write(tmp_path / f"in{number}", **{key: value})
        try:
            mapped(folder, tmp_path / f"out{number}")
        except UserError as error:
            assert str(error).endswith(".") and str(error).isprintable() and len(str(error)) < 600
        else:
            # The two that scale the update are looked at elsewhere.
            assert key in ("lora_alpha", "use_rslora") or same(updates(tmp_path / f"out{number}"), plain())


@pytest.mark.parametrize("value", JUNK)
def test_whatever_params_json_holds_there_is_a_sentence(value: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save_file({"layers.0.attention.wq.lora_A.weight": np.ones((4, 16), "f4")}, folder / "lora.safetensors")
    for told in (value, {"lora": value}, {"lora": {"rank": value, "scaling": 2.0}}):
        (folder / "params.json").write_text(json.dumps(told))
        with pytest.raises(UserError):
            mapped(folder, tmp_path / "out")
    (folder / "lora.safetensors").rename(folder / "adapters.safetensors")
    for told in (value, {"lora_parameters": value}, {"lora_parameters": {"rank": 4, "scale": value}}):
        (folder / CONFIG).write_text(json.dumps(told))
        with pytest.raises(UserError):
            mapped(folder, tmp_path / "out")


def refused(folder: Path, tmp_path: Path, why: str) -> None:
    with pytest.raises(UserError) as caught:
        mapped(folder, tmp_path / "refused")
    told = str(caught.value)
    assert why in told
    assert "\n" not in told and len(told) < 600 and told.endswith(".")
    assert not (tmp_path / "refused").exists()


def test_a_slow_pattern_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MATCH_SECONDS", 1)
    refused(write(tmp_path / "in", target_modules=r"([a-z0-9_.]+)+\d!"), tmp_path, "took more than 1 s")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("base_model.model.lm_head.weight", "is the output head"),
        ("base_model.model.lm_head.lora_A.weight", "is the output head"),
        ("lm_head.modules_to_save.default.weight", "whole trained modules"),
        ("base_model.model.model.embed_tokens.weight", "is the embedding"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "LoRA of the embeddings"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "DoRA"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", "trained bias"),
        (
            "base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight",
            "a weight of the model itself",
        ),
        ("model.layers.0.input_layernorm.weight", "a weight of the model itself"),
        ("base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta", "trained rows"),
        ("base_model.model.visual.layers.0.attn.q_proj.lora_A.weight", "no part of a language model"),
        (
            "base_model.model.vision_tower.model.layers.0.self_attn.q_proj.lora_A.weight",
            "no part of a language",
        ),
        ("lora_unet_down.layers.0.lora_down.weight", "kohya"),
        ("base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight", "is of layer 2"),
        ("base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight", "changes self_attn.qkv_proj"),
        (
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.other.weight",
            "holds the adapters (without a name), other",
        ),
        ("model.layers.0.self_attn.q_proj.lora_a", "named in another way"),
    ],
)
def test_what_lies_beside_the_matrices_is_refused_by_name(name: str, why: str, tmp_path: Path) -> None:
    values = tensors() | {name: np.ones((4, 16), "f4")}
    refused(write(tmp_path / "in", values), tmp_path, why)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda values: values.pop(next(iter(values))), "beside it"),
        (
            lambda values: [values.pop(name) for name in list(values) if ".layers.1.mlp" in name],
            "have no matrices",
        ),
        (lambda values: values.clear(), "holds no tensors"),
        (
            lambda values: values.update(
                {name: value[:, :-1] for name, value in values.items() if "lora_A" in name}
            ),
            "it was trained on another model (it claims 'grafters/Tiny')",
        ),
        (
            lambda values: values.update({name: value.astype("i4") for name, value in values.items()}),
            "save the adapter in F32, F16 or BF16",
        ),
        (
            lambda values: values.update(
                {name.replace(".weight", ".a.weight"): values.pop(name) for name in list(values)[:2]}
                | {name.replace(".weight", ".b.weight"): values.pop(name) for name in list(values)[2:]}
            ),
            "holds the adapters",
        ),
    ],
)
def test_what_is_not_whole_is_refused(
    change: Callable[[dict[str, Any]], object], why: str, tmp_path: Path
) -> None:
    values = tensors()
    change(values)
    folder = write(tmp_path / "in")
    save_file({name: np.ascontiguousarray(value) for name, value in values.items()}, folder / WEIGHTS)
    refused(folder, tmp_path, why)


def test_the_rank_is_within_the_servers(tmp_path: Path) -> None:
    values = tensors(q_proj=32)
    refused(write(tmp_path / "in", values, rank_pattern={"q_proj": 32}), tmp_path, "ranks up to 16")


@pytest.mark.parametrize(
    ("claimed", "known"),
    [
        ("grafters/Tiny", True),
        ("unsloth/tiny-unsloth-bnb-4bit", True),
        ("/home/me/models/tiny-AWQ/", True),
        ("meta-llama/Llama-3.1-8B", False),
        (None, False),
        ("", False),
    ],
)
def test_the_base_that_it_names_is_a_claim(claimed: str | None, known: bool, tmp_path: Path) -> None:
    manifest = mapped(write(tmp_path / "in", base_model_name_or_path=claimed), tmp_path / "out")
    assert (manifest.adopted.claimed_base, manifest.adopted.known_base) == (claimed or None, known)


def test_the_same_files_are_mapped_to_the_same_bytes(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", use_rslora=True)
    for out in ("one", "two"):
        mapped(folder, tmp_path / out)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_setting_out_of_a_terminal_is_shown_harmless(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    (folder / CONFIG).write_text(json.dumps(config(**{"\x1b[2J\u202e": 1})))
    with pytest.raises(UserError) as caught:
        mapped(folder, tmp_path / "out")
    assert str(caught.value).isprintable()
