"""GET /v1/base: what an adapter must fit, for clients that map one that was trained elsewhere."""

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from serve.adopt.layout import BaseLayout, Heads
from serve.auth import Pushing
from serve.registry import base_modules
from serve.routes.parameters import DIGEST, example
from serve.settings import Settings

router = APIRouter(tags=["models"])


class BaseCard(BaseModel):
    """`names` are those that the base is known by, `modules` its linear layers with their (in, out) features,
    `heads` how many its attention has, where its config.json says so."""

    model_config = example(
        name="smollm2-135m-instruct-awq",
        fingerprint=DIGEST,
        names=["smollm2-135m-instruct-awq"],
        modules={"model.layers.0.self_attn.q_proj": [576, 576]},
        heads={"query": 9, "key": 3},
        max_lora_rank=64,
    )
    name: str
    fingerprint: str
    names: list[str]
    modules: dict[str, tuple[int, int]]
    heads: Heads | None
    max_lora_rank: int


@router.get("/v1/base")
async def show_base(request: Request, key: Pushing) -> BaseCard:
    """The base's names, and the layers that an adapter may change."""
    layout = await asyncio.to_thread(layout_of, request.app.state.settings)
    return BaseCard(**layout.model_dump())


def layout_of(settings: Settings) -> BaseLayout:
    """What an adapter must fit on this server."""
    base = settings.base
    names = [base.name, *([str(base.source["repo"])] if "repo" in base.source else [])]
    return BaseLayout(
        name=base.name,
        fingerprint=base.fingerprint,
        names=names,
        modules=base_modules.read(settings.folder),
        heads=_heads(settings),
        max_lora_rank=settings.max_lora_rank,
    )


def _heads(settings: Settings) -> Heads | None:
    path = settings.folder / "config.json"
    if not path.is_file():
        return None
    config: dict[str, Any] = json.loads(path.read_bytes())
    config = config.get("text_config", config)
    query = config.get("num_attention_heads")
    return Heads(query=query, key=config.get("num_key_value_heads") or query) if query else None
