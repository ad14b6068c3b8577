"""Adapters that pass every check of their files, and with which the engine computes no numbers."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.registry.records import Version
from tests.adversarial.pushed import World, world
from tests.serve.test_adapter_routes import error, push


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def answers(there: World, monkeypatch: pytest.MonkeyPatch, *numbers: float) -> None:
    """Have the engine say these log probabilities, in every place, with any adapter."""

    async def likeliest(token_ids: list[int], places: list[int], version: Version | None) -> Any:
        said = numbers if version else (math.log(0.5), math.log(0.25))
        return [list(enumerate(said, start=7)) for _ in places]

    monkeypatch.setattr(there.server.engine, "likeliest", likeliest)


@pytest.mark.parametrize("numbers", [(math.nan, math.nan), (math.log(0.5), math.nan), ()], ids=str)
def test_what_computes_no_numbers_is_not_let_loose(
    there: World, monkeypatch: pytest.MonkeyPatch, numbers: tuple[float, ...]
) -> None:
    """It came without probes, so nothing else would look."""
    answers(there, monkeypatch, *numbers)
    why = error(push(there.http, there.adapter(1), ["default"], "mine"), 422, "adapter_failed")
    assert why.startswith("adapter mine@1 could not be loaded: with it the engine computes no numbers")
    assert there.server.engine.held == set(), "it is taken out again"
    chat = {"model": "mine@1", "messages": [{"role": "user", "content": "hi"}]}
    error(there.http.post("/v1/chat/completions", json=chat), 503, "adapter_failed")
    assert there.http.get("/v1/adapters/mine").json()["aliases"] == {}


@pytest.mark.parametrize("numbers", [(math.log(0.5), math.log(0.25)), (0.0, -math.inf)], ids=str)
def test_what_computes_is(there: World, monkeypatch: pytest.MonkeyPatch, numbers: tuple[float, ...]) -> None:
    """All of the probability on one token too."""
    answers(there, monkeypatch, *numbers)
    assert push(there.http, there.adapter(1), ["default"], "mine").status_code == 200
