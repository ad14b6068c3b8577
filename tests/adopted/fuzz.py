"""The fuzzer of foreign uploads: folders of many layouts, changed, and pushed to a server by the client.

Each change knows what it means: the update stays what it was, becomes another that is known, or is none that
plain LoRA can say. What enters must do exactly the known update; what means nothing right must be refused.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.errors import UserError
from serve.client.push import push
from tests import campaign
from tests.adopted import plain
from tests.serve import tiny
from tests.serve.test_client import listening
from tests.serve.tiny import CONFIG, WEIGHTS, TinyServer

Draw = Callable[[st.SearchStrategy[Any]], Any]
Deltas = dict[str, Any]

NAME = "foreign"
LAYOUTS = ("peft", "state dict", "wrapped", "bare", "mistral-finetune", "mlx")
PATHS = {
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "mlp.down_proj": "feed_forward.w2",
}
HEADS = {"attention.wq": 3, "attention.wk": 1}


@dataclass(repr=False)
class Foreign:
    """A folder as it is pushed: tensors, config, what lies beside; `truth` is its update, None for none."""

    layout: str
    values: dict[str, Any]
    told: dict[str, Any]
    truth: Deltas | None
    beside: dict[str, bytes] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Foreign({'; '.join([self.layout, *self.steps])})"

    @property
    def weights(self) -> str:
        return {"mistral-finetune": "lora.safetensors", "mlx": "adapters.safetensors"}.get(
            self.layout, WEIGHTS
        )

    @property
    def config(self) -> str:
        return "params.json" if self.layout == "mistral-finetune" else CONFIG

    def write(self, folder: Path) -> None:
        folder.mkdir()
        values = {name: np.ascontiguousarray(value) for name, value in self.values.items()}
        save_file(values, folder / self.weights)
        (folder / self.config).write_text(json.dumps(self.told))
        for name, data in self.beside.items():
            (folder / name).write_bytes(data)
        for name in self.gone:
            (folder / name).unlink()


@dataclass
class Tally:
    """How many were taken and rightly so, and refused, by what the last change was."""

    taken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    sentences: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        return self.taken.total() + self.refused.total()


class Watched:
    """An app that remembers every answer of the kind that says the server is wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.failures = app, list[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 500:
                self.failures.append(f"{scope['method']} {scope['path']}: {message['status']}")
            await send(message)

        await self.app(scope, receive, noted)


@dataclass(frozen=True)
class World:
    """A server with a registry, and its URL."""

    server: TinyServer
    watched: Watched
    url: str
    folder: Path

    @classmethod
    @contextmanager
    def made(cls, folder: Path) -> "Iterator[World]":
        base = tiny.make_base(folder / "base", modules=plain.MODULES)
        heads = {"num_attention_heads": 3, "num_key_value_heads": 1}
        (base.folder / "config.json").write_text(json.dumps(heads))
        server = tiny.make_server(folder / "registry", base, probe_seconds=0)
        watched = Watched(server.app)
        with listening(watched) as url:
            yield cls(server, watched, url, folder)


def fuzz(world: World, examples: int, seed: int | None = None) -> Tally:
    """Push so many; AssertionError with the smallest that was taken wrongly, refused badly, or a failure."""
    tally = Tally()
    campaign.run(foreigners(), lambda foreign: attack(world, foreign, tally), examples, seed)
    return tally


def attack(world: World, foreign: Foreign, tally: Tally) -> None:
    """Push one, and look at what became of it."""
    folder = world.folder / "foreign"
    shutil.rmtree(folder, ignore_errors=True)
    foreign.write(folder)
    kind = foreign.steps[-1].partition(":")[0] if foreign.steps else "as it is"
    try:
        pushed = push(folder, NAME, [], world.url)
    except UserError as error:
        told = str(error)
        assert told.isprintable() and told.endswith(".") and len(told) < 900, repr(told)
        assert foreign.steps or foreign.truth is None, f"refused though nothing is wrong: {told}"
        assert foreign.truth is None or "harmless" not in kind or len(foreign.steps) > 1, told
        tally.refused[kind] += 1
        tally.sentences.add(" ".join(word for word in told.split() if word.isalpha()))
    else:
        assert foreign.truth is not None, "taken, though it says no plain LoRA"
        found = deltas(world.server.registry.resolve(f"{NAME}@{pushed['version']}").folder)
        assert found.keys() == foreign.truth.keys(), "other modules are changed"
        for module, expected in foreign.truth.items():
            np.testing.assert_allclose(found[module], expected, rtol=1e-4, atol=1e-5)
        assert any(np.abs(value).max() > 1e-8 for value in found.values()), "inert"
        assert pushed["adopted"]["source"] == "folder foreign"
        tally.taken[kind] += 1
    assert not world.watched.failures, world.watched.failures
    world.server.registry.staging.clear(older_than=-1)


def deltas(folder: Path) -> Deltas:
    """What an adapter in our layout adds to each module."""
    told, values = json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS)
    scale = told["lora_alpha"] / told["r"]
    found = {}
    for name, a in values.items():
        if name.endswith("lora_A.weight"):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            found[module] = scale * values[name.replace("lora_A", "lora_B")].astype("f8") @ a.astype("f8")
    return found


@st.composite
def foreigners(draw: Draw) -> Foreign:
    """One layout with one to three changes."""
    foreign = fresh(draw(st.sampled_from(LAYOUTS)), draw(st.integers(0, 2**31)))
    for change in draw(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3)):
        if foreign.truth is not None:  # what is wrong already may be made right again by chance
            change(draw, foreign)
    return foreign


def fresh(layout: str, seed: int) -> Foreign:
    """A valid adapter in a layout, of scale 2."""
    values = plain.tensors(seed)
    truth = {}
    for module in plain.MODULES:
        a, b = (values[f"base_model.model.{module}.lora_{side}.weight"].astype("f8") for side in "AB")
        truth[module] = 2.0 * b @ a
    told = plain.config()
    if layout == "mistral-finetune":
        told = {"n_heads": 3, "n_kv_heads": 1, "lora": {"enable": True, "rank": 4, "scaling": 2.0}}
    if layout == "mlx":
        told = {"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": {"rank": 4, "scale": 2.0}}
    return Foreign(layout, dict(renamed(layout, *item) for item in values.items()), told, truth)


def renamed(layout: str, name: str, value: Any) -> tuple[str, Any]:
    """A tensor of PEFT's as another layout has it."""
    if layout == "peft":
        return name, value
    if layout == "state dict":
        return name.replace(".weight", ".default.weight"), value
    if layout == "wrapped":
        return name.replace("model.model.model.", "model.model.model.language_model."), value
    if layout == "bare":
        return name.removeprefix("base_model.model."), value
    bare = name.removeprefix("base_model.model.model.")
    if layout == "mlx":
        return f"model.{bare}".replace("lora_A.weight", "lora_a").replace("lora_B.weight", "lora_b"), value.T
    _, layer, rest = bare.split(".", 2)
    path, _, side = rest.partition(".lora_")
    theirs = PATHS[path]
    if side.startswith("B") and theirs in HEADS:
        size = len(value) // HEADS[theirs]
        order = [at + half * (size // 2) for at in range(size // 2) for half in (0, 1)]
        value = value.reshape(-1, size, value.shape[1])[:, order].reshape(value.shape)
    return f"layers.{layer}.{theirs}.lora_{side}", value


# --- changes: each says what it did, and what the update is then ---


def harmless_setting(draw: Draw, foreign: Foreign) -> None:
    said = {
        "enable_lora": None, "merge_weights": False, "runtime_config": {"ephemeral_gpu_offload": False},
        "exclude_modules": ["lm_head"], "init_lora_weights": "gaussian", "lora_dropout": 0.1, "revision": "x",
        "lora_dtype": None, "auto_mapping": {"unsloth_fixed": True}, "use_qalora": False,
        "rank_pattern": {}, "layers_pattern": None, "some_key_of_2027": None,
        "other_key_of_2027": [], "peft_version": "0.30.0",
        "base_model_name_or_path": "somebody/something",
    }  # fmt: skip
    key = draw(st.sampled_from(sorted(said)))
    foreign.told[key] = said[key]
    foreign.steps.append(f"harmless setting: {key}")


def harmful_setting(draw: Draw, foreign: Foreign) -> None:
    if foreign.layout in ("mistral-finetune", "mlx"):
        _spoil_scale(draw, foreign)
        return
    said = {
        "use_dora": True, "modules_to_save": ["lm_head"], "bias": "all", "fan_in_fan_out": True,
        "alora_invocation_tokens": [1], "trainable_token_indices": [3], "layer_replication": [[0, 1]],
        "target_parameters": ["x"], "lora_bias": True, "use_qalora": True, "init_lora_weights": "pissa",
        "peft_type": "IA3", "task_type": "SEQ_CLS", "r": 5, "lora_alpha": "8", "unknown_key_of_2027": 0.5,
        "rank_pattern": {"q_.*": 4}, "target_modules": ["q_proj"], "exclude_modules": ["q_proj"],
        "layers_to_transform": [1], "use_rslora": "yes", "monteclora_config": {"a": 1},
    }  # fmt: skip
    key = draw(st.sampled_from(sorted(said)))
    foreign.told[key], foreign.truth = said[key], None
    foreign.steps.append(f"harmful setting: {key}")


def _spoil_scale(draw: Draw, foreign: Foreign) -> None:
    key = "lora" if foreign.layout == "mistral-finetune" else "lora_parameters"
    value = draw(st.sampled_from([None, {}, [], "x", {"rank": 4}, {"rank": 5, "scaling": 2.0, "scale": 2.0}]))
    foreign.told[key], foreign.truth = value, None
    foreign.steps.append(f"harmful setting: {key} {value!r}")


def scaled(draw: Draw, foreign: Foreign) -> None:
    """Another alpha, or all of it by the root: another update, and a known one."""
    if "alpha_pattern" in foreign.told:
        return
    factor = draw(st.sampled_from([0.25, 0.5, 1.5, 3.0]))
    assert foreign.truth is not None
    if foreign.layout == "mistral-finetune":
        foreign.told["lora"]["scaling"] *= factor
    elif foreign.layout == "mlx":
        foreign.told["lora_parameters"]["scale"] *= factor
    else:
        foreign.told["lora_alpha"] *= factor
    foreign.truth = {module: factor * value for module, value in foreign.truth.items()}
    foreign.steps.append(f"scale: times {factor}")


def one_alpha(draw: Draw, foreign: Foreign) -> None:
    """An alpha of its own for one kind of module."""
    if foreign.layout in ("mistral-finetune", "mlx") or "alpha_pattern" in foreign.told:
        return
    kind = draw(st.sampled_from(["q_proj", "self_attn.k_proj", "down_proj"]))
    own = foreign.told["lora_alpha"] * 2
    foreign.told["alpha_pattern"] = {kind: own}
    assert foreign.truth is not None
    foreign.truth = {
        module: 2 * value if module.endswith(f".{kind}") else value for module, value in foreign.truth.items()
    }
    foreign.steps.append(f"alpha of its own: {kind}")


def dropped(draw: Draw, foreign: Foreign) -> None:
    for name in draw(st.lists(st.sampled_from(sorted(foreign.values)), min_size=1, max_size=3, unique=True)):
        del foreign.values[name]
    foreign.truth = None
    foreign.steps.append("matrices dropped: some")


def beside(draw: Draw, foreign: Foreign) -> None:
    """Something that is no matrix of the layers."""
    shapes = {
        "base_model.model.lm_head.weight": (10, 16), "base_model.model.model.embed_tokens.weight": (10, 16),
        "lm_head.lora_A.weight": (4, 16), "model.layers.0.input_layernorm.weight": (16,),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias": (24,),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector": (24,),
        "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": (4, 16),
        "model.vision_tower.layers.0.self_attn.q_proj.lora_A.weight": (4, 16),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.second.weight": (4, 16),
        "model.layers.0.self_attn.rotary.inv_freq": (8,),
    }  # fmt: skip
    name = draw(st.sampled_from(sorted(shapes)))
    foreign.values[name], foreign.truth = np.ones(shapes[name], "f4"), None
    foreign.steps.append(f"beside: {name}")


def reshaped(draw: Draw, foreign: Foreign) -> None:
    name = draw(st.sampled_from(sorted(foreign.values)))
    value = foreign.values[name]
    how = draw(st.sampled_from(["turned", "shorter", "narrower", "flat", "deeper"]))
    foreign.values[name] = {
        "turned": value.T,
        "shorter": value[:-1],
        "narrower": value[:, :-1],
        "flat": value.reshape(-1),
        "deeper": value[None],
    }[how]
    foreign.truth = None
    foreign.steps.append(f"shape: {name} {how}")


def spoiled(draw: Draw, foreign: Foreign) -> None:
    name = draw(st.sampled_from(sorted(foreign.values)))
    value = foreign.values[name].astype("f4").copy()
    value.flat[0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e9]))
    foreign.values[name], foreign.truth = value, None
    foreign.steps.append(f"value: {name} {value.flat[0]}")


def inert(draw: Draw, foreign: Foreign) -> None:
    side = draw(st.sampled_from(["lora_A", "lora_B"]))
    for name, value in foreign.values.items():
        if side.lower() in name.lower():
            foreign.values[name] = value * 0
    foreign.truth = None
    foreign.steps.append(f"inert: {side} is zero")


def other_type(draw: Draw, foreign: Foreign) -> None:
    """As wider or whole numbers: the first say the same."""
    kind = draw(st.sampled_from(["f8", "i8", "i4", "u1"]))
    foreign.values = {name: value.astype(kind) for name, value in foreign.values.items()}
    if kind != "f8":
        foreign.truth = None
    foreign.steps.append(f"type: {kind}")


def misnamed(draw: Draw, foreign: Foreign) -> None:
    name = draw(st.sampled_from(sorted(foreign.values)))
    part = draw(st.sampled_from(["layers.0", "layers.1", "lora_", "q_proj", "wq", "down_proj", "attn"]))
    other = draw(
        st.sampled_from(["layers.7", "layer.0", "loha_", "c_attn", "experts.0.x", "../x", "(a+)+$", ""])
    )
    changed = name.replace(part, other)
    if changed == name or changed in foreign.values:
        return
    foreign.values[changed] = foreign.values.pop(name)
    foreign.truth = None
    foreign.steps.append(f"name: {changed!r}")


def more_files(draw: Draw, foreign: Foreign) -> None:
    names = st.sampled_from(
        ["optimizer.pt", "training_args.bin", "tokenizer.json", "adapter_model.bin", "config.json",
         "args.json", "model.py", "notes.txt"]
    )  # fmt: skip
    for name in draw(st.lists(names, min_size=1, max_size=3)):
        foreign.beside[name] = b"\x80\x04]\x94."
    foreign.steps.append("harmless files: more")


def missing_file(draw: Draw, foreign: Foreign) -> None:
    foreign.gone.add(draw(st.sampled_from([foreign.weights, foreign.config])))
    foreign.truth = None
    foreign.steps.append(f"file gone: {foreign.gone}")


def broken_file(draw: Draw, foreign: Foreign) -> None:
    """Bytes that are no JSON, or no safetensors."""
    name = draw(st.sampled_from([foreign.weights, foreign.config]))
    foreign.beside[name] = draw(
        st.binary(max_size=40) | st.sampled_from([b"[]", b"{}", b"null", b'{"r": 1e999}', b"PK\3\4"])
    )
    foreign.truth = None
    foreign.steps.append(f"file broken: {name} {foreign.beside[name]!r}")


CHANGES = [
    harmless_setting, harmful_setting, scaled, one_alpha, dropped, beside, reshaped, spoiled, inert,
    other_type, misnamed, more_files, missing_file, broken_file,
]  # fmt: skip
