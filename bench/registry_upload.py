"""How fast an adapter of 64 MB is uploaded, beside the least there is to do: hash it, write it, flush it."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench.registry_server import ok, served
from bench.results import Goal
from data import digest
from data.manifest import ADAPTER_FILES
from tests.serve import tiny

BLOCK_BYTES = 2**18
ROUNDS = 3
LEAST = 0.5

WIDE = {
    f"model.layers.{layer}.{module}": (16, 2**20)
    for layer in range(2)
    for module in ("self_attn.q_proj", "mlp.down_proj")
}
"""Layers for which an adapter of rank 4 in float32 has 64 MB, and the base as little."""


def measured(folder: Path) -> list[dict[str, Any]]:
    base = tiny.make_base(folder / "wide", modules=WIDE)
    best: dict[str, float] = {}
    with served(folder / "uploads", base) as client:
        for seed in range(ROUNDS):
            adapter = tiny.make_adapter(folder / f"wide-{seed}", base, seed)
            for what, seconds in (("hash, write and flush", _plain(adapter)), *_push(client, adapter)):
                best[what] = min(best.get(what, seconds), seconds)
        size = (adapter / tiny.WEIGHTS).stat().st_size
    return [
        {"what": what, "megabytes": round(size / 1e6, 1), "megabytes_per_second": round(size / 1e6 / seconds)}
        for what, seconds in best.items()
    ]


def _plain(adapter: Path) -> float:
    """Seconds to hash, write and flush the weights, on the same disk."""
    started = time.perf_counter()
    hashed = hashlib.sha256()
    with (adapter.parent / "copy").open("wb") as file:
        for block in _blocks(adapter / tiny.WEIGHTS):
            hashed.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - started


def _push(client: httpx.Client, adapter: Path) -> Iterator[tuple[str, float]]:
    """Seconds to send the weights, and those of the whole push."""
    files = {
        name: {"sha256": digest.of_file(adapter / name), "size": (adapter / name).stat().st_size}
        for name in ADAPTER_FILES
    }
    started = time.perf_counter()
    upload = ok(client.post("/v1/adapters/wide/uploads", json={"files": files})).json()["upload"]
    for name in ADAPTER_FILES:
        before = time.perf_counter()
        ok(client.put(f"/v1/uploads/{upload}/{name}", content=_blocks(adapter / name)))
        if name == tiny.WEIGHTS:
            yield "upload over HTTP", time.perf_counter() - before
    ok(client.post(f"/v1/uploads/{upload}/commit"))
    yield "whole push: upload, checks, store, load", time.perf_counter() - started


def goal(rows: list[dict[str, Any]]) -> Goal:
    speed = {row["what"]: row.get("megabytes_per_second", 0) for row in rows}
    ratio = speed["upload over HTTP"] / speed["hash, write and flush"]
    measured = f"{ratio:.2f} x, {speed['upload over HTTP']} MB/s"
    return Goal("upload of 64 MB", f">= {LEAST} x hash, write and flush", measured, ratio >= LEAST)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block
