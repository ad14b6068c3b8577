"""A base and adapters of a few hundred values, for everything that looks at files and never computes."""

import json
import math
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from fastapi import FastAPI
from safetensors.numpy import load_file, save_file

from data import digest
from data.manifest import (
    AdapterBase,
    AdapterManifest,
    BaseIdentity,
    BaseManifest,
    DatasetEntry,
    FileEntry,
    RendererId,
)
from serve.app import create_app
from serve.engine.protocol import Answer, EngineUnavailable, served_name
from serve.errors import ApiError
from serve.lifecycle import Bounds, Lifecycle
from serve.probing import Prober
from serve.registry import base_modules, validate
from serve.registry.database import Database, sqlite_url
from serve.registry.records import Version
from serve.registry.registry import Registry
from serve.registry.storage import Storage
from serve.registry.validate import Checked
from serve.settings import Settings

RANK = 4
MAX_RANK = 8
Modules = dict[str, tuple[int, int]]

MODULES: Modules = {"model.layers.0.self_attn.q_proj": (16, 24), "model.layers.0.mlp.down_proj": (32, 16)}
"""Module to (in, out) features, none square and none alike, so that a transposed shape shows."""

RENDERER = RendererId(name="template", version=1, digest=digest.of_bytes(b"template"))
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Base:
    folder: Path
    manifest: BaseManifest
    modules: Modules = field(default_factory=lambda: MODULES)


def make_base(folder: Path, salt: str = "", modules: Modules = MODULES) -> Base:
    """A base folder with AWQ headers; another salt is another base of the same shapes."""
    folder.mkdir(parents=True)
    tensors: dict[str, Any] = {
        "model.embed_tokens.weight": np.zeros((10, 16), np.float16),
        "lm_head.weight": np.zeros((10, 16), np.float16),
        "model.norm.weight": np.zeros(16, np.float16),
    }
    for module, (inputs, outputs) in modules.items():
        tensors[f"{module}.qweight"] = np.zeros((inputs, outputs // 8), np.int32)
        tensors[f"{module}.qzeros"] = np.zeros((1, outputs // 8), np.int32)
        tensors[f"{module}.scales"] = np.zeros((1, outputs), np.float16)
    save_file(tensors, folder / "model.safetensors")
    identity = BaseIdentity(
        config=digest.of_bytes(b"config" + salt.encode()),
        quantization={"bits": 4},
        weights={"model.safetensors": digest.of_file(folder / "model.safetensors")},
        tokenizer=digest.of_bytes(b"tokenizer"),
        renderer=RENDERER,
    )
    manifest = BaseManifest(
        name="tiny-awq", source={}, identity=identity, fingerprint=BaseManifest.fingerprint_of(identity)
    )
    (folder / "base.json").write_text(manifest.model_dump_json())
    return Base(folder, manifest, modules)


def weights(seed: int = 0, modules: Modules = MODULES) -> dict[str, Any]:
    """A pair of matrices for every module, by PEFT's names: A [rank, in] and B [out, rank], float32."""
    random = np.random.default_rng(seed)
    tensors: dict[str, Any] = {}
    for module, (inputs, outputs) in modules.items():
        for side, shape in (("A", (RANK, inputs)), ("B", (outputs, RANK))):
            tensors[f"base_model.model.{module}.lora_{side}.weight"] = random.normal(size=shape).astype("f4")
    return tensors


def make_adapter(folder: Path, base: Base, seed: int = 0) -> Path:
    """A valid adapter; another seed is another adapter."""
    folder.mkdir(parents=True)
    save_file(weights(seed, base.modules), folder / WEIGHTS, {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "down_proj"],
        "bias": "none",
        "task_type": "CAUSAL_LM",
        "modules_to_save": None,
        "rank_pattern": {},
        "use_dora": False,
    }
    (folder / CONFIG).write_text(json.dumps(config))
    sign(folder, base)
    return folder


def sign(folder: Path, base: Base, renderer: RendererId = RENDERER) -> None:
    """Write the manifest of the files as they are now."""
    dataset = DatasetEntry(
        digest=digest.of_bytes(b"data"), sources=[], conversations=1, targets=1, tokens=1, learnt_tokens=1
    )
    manifest = AdapterManifest(
        name="tiny",
        base=AdapterBase(name=base.manifest.name, fingerprint=base.manifest.fingerprint),
        renderer=renderer,
        dataset=dataset,
        recipe={},
        recipe_digest=digest.of_json({}),
        training={},
        code={},
        created="2026-01-01T00:00:00Z",
        files={
            name: FileEntry(sha256=digest.of_file(folder / name), size=(folder / name).stat().st_size)
            for name in (CONFIG, WEIGHTS)
        },
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def change_config(folder: Path, **changes: Any) -> None:
    """Set keys of the adapter's config; the manifest is left as it was."""
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite the weights after `change` has been at the dictionary of them."""
    tensors = dict(load_file(folder / WEIGHTS))
    change(tensors)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / WEIGHTS)


def check_adapter(folder: Path, base: Base, max_rank: int = MAX_RANK) -> Checked:
    return validate.check(folder, base.manifest, base_modules.read(base.folder), max_rank)


def make_registry(
    folder: Path,
    base: Base,
    max_rank: int = MAX_RANK,
    database: str | None = None,
    blobs: str | None = None,
) -> Registry:
    index = folder / "index.sqlite"
    if database in (None, sqlite_url(index)) and not index.exists():
        # Its migrations take longer than most tests do, and have tests of their own.
        folder.mkdir(parents=True, exist_ok=True)
        index.write_bytes(empty_index())
    return Registry(Storage(folder, database, blobs), base.manifest, max_rank)


@cache
def empty_index() -> bytes:
    """The file of an index without a row, as a first start leaves it."""
    with TemporaryDirectory() as folder:
        index = Path(folder) / "index.sqlite"
        Database(sqlite_url(index)).close()
        return index.read_bytes()


class TinyEngine:
    """Obeys the engine's protocol with slots and no model: an answer says who gave it."""

    trouble: EngineUnavailable | None = None
    identity = "tiny 1"
    sequences = 1000

    def __init__(self, base_name: str, slots: int = 4) -> None:
        self.base_name = base_name
        self.slots = slots
        self.held: set[str] = set()
        self.refuses = False
        self.says = 1
        """How far from the base's token the adapters' is."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def add(self, version: Version) -> None:
        if self.refuses:
            raise ApiError("the engine is full of sand.")
        self.held.add(served_name(version))

    async def remove(self, version: Version) -> None:
        self.held.remove(served_name(version))

    async def likeliest(
        self, token_ids: list[int], places: list[int], version: Version | None
    ) -> list[list[tuple[int, float]]]:
        """Half of the probability on one token: the place's number, and one more for each adapter."""
        more = self.says if version else 0
        return [[(place + more, math.log(0.5)), (0, math.log(0.25))] for place in places]

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        match body["messages"][-1].get("content"):
            case str(heard):
                pass
            case items:
                heard = "".join(item.get("text", "") for item in items or ())
        name = served_name(version) if version else self.base_name
        said = f"{version.reference if version else self.base_name} heard {heard}"
        call = {"name": "lookup", "arguments": '{"id": 7}'}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": said}}
            made = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1}
            return made | {"model": name, "choices": [choice]}
        deltas: list[dict[str, Any]] = [{"content": said[:5]}, {"content": said[5:]}]
        if heard == "call":
            deltas = [
                {"tool_calls": [{"index": 0, "function": {"name": call["name"], "arguments": ""}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": call["arguments"]}}]},
            ]
        return self._events(name, deltas)

    async def _events(self, name: str, deltas: list[dict[str, Any]]) -> AsyncIterator[str]:
        for delta in deltas:
            choices = [{"index": 0, "delta": delta}]
            yield f'data: {{"model":{json.dumps(name)},"choices":{json.dumps(choices)}}}\n\n'
        yield "data: [DONE]\n\n"


@dataclass(frozen=True)
class TinyServer:
    app: FastAPI
    engine: TinyEngine
    registry: Registry
    key: str
    """An API key that may do everything."""

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


def make_server(
    folder: Path, base: Base, database: str | None = None, blobs: str | None = None, **changes: Any
) -> TinyServer:
    """The real app, lifecycle and registry, around an engine without a model."""
    settings = Settings(base=base.manifest, folder=base.folder, max_lora_rank=MAX_RANK, **changes)
    engine = TinyEngine(base.manifest.name)
    registry = make_registry(folder, base, database=database, blobs=blobs)
    lifecycle = Lifecycle(
        engine, registry.make_ready, Bounds.of(settings), agrees=Prober(engine, registry.storage)
    )
    app = create_app(settings, registry, engine, lifecycle)
    key = registry.storage.keys.create(f"test-{secrets.token_hex(4)}", ["admin"])
    return TinyServer(app, engine, registry, key)
