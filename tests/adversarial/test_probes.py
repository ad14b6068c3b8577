"""Finding 13: probes that took over an hour kept every other version out of the engine."""

import asyncio
from pathlib import Path

import pytest

from data.errors import UserError
from data.probes import FILE, MAX_TOKENS, Probe, Probes
from serve.engine.protocol import EngineDied
from serve.lifecycle import Lifecycle, State
from serve.probing import SECONDS, Prober
from serve.registry.records import Version
from tests import virtual_time
from tests.serve import tiny
from tests.serve.test_probing import Scene, probes
from tests.serve.tiny import TinyEngine

Places = list[list[tuple[int, float]]]


def of_lengths(*lengths: int) -> Probes:
    """As an attacker writes them: not through the model's own checks."""
    (one,) = probes().probes
    many = [Probe.model_construct(**{**vars(one), "token_ids": [1] * length}) for length in lengths]
    return Probes.model_construct(schema_version=1, computed="dense float32", rounding=None, probes=many)


@pytest.mark.parametrize(
    "lengths", [[4096] * 64, [4096, 4096, 6], [MAX_TOKENS // 64 + 1] * 64], ids=["all", "few", "short"]
)
def test_more_tokens_than_a_trainer_writes_are_refused_in_a_sentence(
    tmp_path: Path, lengths: list[int]
) -> None:
    base = tiny.make_base(tmp_path / "base")
    adapter = tiny.make_adapter(tmp_path / "adapter", base)
    (adapter / FILE).write_text(of_lengths(*lengths).model_dump_json())
    with pytest.raises(UserError) as refused:
        tiny.check_adapter(adapter, base)
    assert f"they have {sum(lengths)} tokens together, more than {MAX_TOKENS}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_a_trainer_writes_at_most_is_taken(tmp_path: Path) -> None:
    base = tiny.make_base(tmp_path / "base")
    adapter = tiny.make_adapter(tmp_path / "adapter", base)
    (adapter / FILE).write_text(of_lengths(*[512] * 12, *[64] * 4).model_dump_json())
    tiny.check_adapter(adapter, base)


class Slow(TinyEngine):
    """Takes its time for each prompt."""

    async def likeliest(self, token_ids: list[int], places: list[int], version: Version | None) -> Places:
        await asyncio.sleep(0.6 * SECONDS)
        return await super().likeliest(token_ids, places, version)


class Mortal(TinyEngine):
    """Dies of prompts by the base, or of those with an adapter."""

    deaths = 0

    def __init__(self, base_name: str, of_adapters: bool) -> None:
        super().__init__(base_name)
        self.of_adapters = of_adapters

    async def likeliest(self, token_ids: list[int], places: list[int], version: Version | None) -> Places:
        if (version is not None) == self.of_adapters:
            self.deaths += 1
            raise EngineDied
        return await super().likeliest(token_ids, places, version)


def test_a_version_whose_probes_take_too_long_leaves_the_engine_to_others(tmp_path: Path) -> None:
    scene = Scene(tmp_path, probes())
    engine = Slow(scene.engine.base_name, slots=1)
    lifecycle = Lifecycle(engine, agrees=Prober(engine, scene.registry.storage))

    async def load() -> None:
        with pytest.raises(UserError, match="its probes took longer than 300 s; push it with fewer"):
            await lifecycle.ensure_ready(scene.version)
        assert lifecycle.state_of(scene.version) is State.FAILED

    _, seconds = virtual_time.run(virtual_time.took(load()))
    assert SECONDS <= seconds < 1.2 * SECONDS
    assert engine.held == set()
    assert scene.verdict() is None, "nothing is known of it"
    scene.registry.close()


@pytest.mark.parametrize("of_adapters", [True, False])
def test_probes_that_the_engine_dies_of_are_not_asked_a_third_time(tmp_path: Path, of_adapters: bool) -> None:
    scene = Scene(tmp_path, probes())
    engine = Mortal(scene.engine.base_name, of_adapters)
    prober = Prober(engine, scene.registry.storage)
    for _ in range(2):
        with pytest.raises(EngineDied):
            asyncio.run(prober(scene.version))
    with pytest.raises(UserError, match="the engine died 2 times under its probes"):
        asyncio.run(prober(scene.version))
    assert engine.deaths == 2
    scene.registry.close()


def test_one_death_may_be_chance(tmp_path: Path) -> None:
    scene = Scene(tmp_path, probes())
    engine = Mortal(scene.engine.base_name, of_adapters=True)
    prober = Prober(engine, scene.registry.storage)
    with pytest.raises(EngineDied):
        asyncio.run(prober(scene.version))
    engine.of_adapters = None  # type: ignore[assignment]
    asyncio.run(prober(scene.version))
    assert scene.verdict().why is None
    scene.registry.close()
