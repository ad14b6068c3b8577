"""/v1/keys: who may ask for what."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from serve.auth import Administering, KeyFirst
from serve.registry.keys import MOST, Key, Limits, Scope
from serve.routes.parameters import example

router = APIRouter(tags=["keys"], route_class=KeyFirst)

_KEY = {
    "name": "shop",
    "scopes": ["chat"],
    "adapters": ["support"],
    "created": "2026-05-04T09:30:00Z",
    "expires": "2027-05-04T09:30:00Z",
}


Most = Annotated[int | None, Field(ge=1, le=MOST)]


class NewLimits(BaseModel):
    """What a key may use from now on; what is left out or null has no limit."""

    model_config = ConfigDict(extra="forbid") | example(tokens_per_day=1_000_000)
    requests_per_minute: Most = None
    tokens_per_minute: Most = None
    tokens_per_day: Most = None

    @property
    def limits(self) -> Limits:
        return Limits(self.requests_per_minute, self.tokens_per_minute, self.tokens_per_day)


class NewKey(NewLimits):
    """`adapters` are those that the key reaches; left out, all of them. Keys of one `group` share a cache."""

    model_config = example(name="shop", scopes=["chat"], adapters=["support"])
    name: str
    scopes: list[Scope] = Field(min_length=1, max_length=3)
    adapters: list[str] | None = Field(default=None, max_length=1000)
    expires: AwareDatetime | None = None
    group: str | None = None


class KeyCard(BaseModel):
    model_config = example(**_KEY)
    name: str
    scopes: tuple[Scope, ...]
    adapters: tuple[str, ...] | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None = None
    group: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None

    @classmethod
    def of(cls, key: Key) -> "KeyCard":
        told = vars(key) | vars(key.limits)
        del told["limits"]
        return cls(**told)


class MadeKey(BaseModel):
    """`secret` is shown this once: only its hash is kept."""

    model_config = example(name="shop", secret="enx_" + "a" * 43)
    name: str
    secret: str


class KeyList(BaseModel):
    model_config = example(object="list", data=[_KEY])
    object: str = "list"
    data: list[KeyCard]


@router.post("/v1/keys", status_code=201)
async def create_key(body: Annotated[NewKey, Body()], request: Request, key: Administering) -> MadeKey:
    """Make a key."""
    keys = request.app.state.registry.storage.keys
    scopes = list(dict.fromkeys(body.scopes))
    secret = await asyncio.to_thread(
        keys.create, body.name, scopes, body.adapters, body.expires, body.group, body.limits
    )
    return MadeKey(name=body.name, secret=secret)


@router.get("/v1/keys")
async def list_keys(request: Request, key: Administering) -> KeyList:
    """Every key, without its secret; revoked and expired ones too."""
    found: list[Key] = await asyncio.to_thread(request.app.state.registry.storage.keys.all)
    return KeyList(data=[KeyCard.of(one) for one in found])


@router.put("/v1/keys/{name}/limits")
async def limit_key(
    name: Annotated[str, Path(description="The key's name.", examples=["shop"])],
    body: Annotated[NewLimits, Body()],
    request: Request,
    key: Administering,
) -> KeyCard:
    """Hold a key to these limits and to no others, on every server of this registry within a second."""
    registry = request.app.state.registry
    await asyncio.to_thread(registry.limit_key, name, body.limits)
    return await _card(registry, name)


@router.delete("/v1/keys/{name}")
async def revoke_key(
    name: Annotated[str, Path(description="The key's name.", examples=["shop"])],
    request: Request,
    key: Administering,
) -> KeyCard:
    """Have a key open nothing any more, on every server of this registry within a second."""
    registry = request.app.state.registry
    await asyncio.to_thread(registry.revoke_key, name)
    return await _card(registry, name)


async def _card(registry: Any, name: str) -> KeyCard:
    found = await asyncio.to_thread(registry.storage.keys.all)
    return next(KeyCard.of(one) for one in found if one.name == name)
