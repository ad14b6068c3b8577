"""Before a version is ready its probes are replayed: the engine must say what the trainer's model said."""

import asyncio
import math
from collections import Counter
from typing import Any

from data.errors import UserError
from data.probes import FILE, Probes, Rounding
from serve import parity
from serve.engine.protocol import Engine, EngineDied
from serve.engine.supervisor import MOST_DEADLY
from serve.parity import Agreement, Named
from serve.registry.folders import COMPUTED
from serve.registry.records import Version
from serve.registry.storage import Storage
from serve.registry.verdicts import Verdict

SECONDS = 300
"""For the probes of one version, while the next one waits. Where nothing else runs they take some."""

ANY_TOKENS = list(range(16))
"""A prompt of no meaning: every vocabulary has these tokens, and an adapter too large drowns any."""

NO_NUMBERS = (
    "with it the engine computes no numbers (NaN or infinity) in its precision; retrain with a "
    "lower learning rate or lora.alpha."
)


class Prober:
    """Replays probes once for an adapter's bytes and an engine; the registry keeps the verdict."""

    def __init__(self, engine: Engine, storage: Storage, seconds: float = SECONDS) -> None:
        self._engine, self._storage, self._seconds = engine, storage, seconds
        self._deadly: Counter[str] = Counter()

    async def __call__(self, version: Version) -> None:
        """For a version in the engine; UserError with what disagrees. One without probes must compute."""
        blob, verdicts = probes_of(version.files), self._storage.verdicts
        verdict = await asyncio.to_thread(verdicts.find, version.digest, self._engine.identity)
        if verdict is None:
            if blob is None:
                await self._ask_anything(version)
                return
            verdict = await self._replayed(await asyncio.to_thread(self._probes, blob), version)
            await asyncio.to_thread(verdicts.keep, version.digest, verdict)
        if verdict.why:
            raise UserError(verdict.why)

    async def remember(self, version: Version, why: str) -> None:
        """It was let loose, and must not be again."""
        verdicts, engine = self._storage.verdicts, self._engine.identity
        known = await asyncio.to_thread(verdicts.find, version.digest, engine)
        verdict = Verdict(engine, why, known.found if known else {})
        await asyncio.to_thread(verdicts.keep, version.digest, verdict)

    async def _ask_anything(self, version: Version) -> None:
        said = await self._engine.likeliest(ANY_TOKENS, list(range(1, len(ANY_TOKENS))), version)
        if not finite(said):
            raise UserError(NO_NUMBERS)

    async def _replayed(self, probes: Probes, version: Version) -> Verdict:
        """The verdict, in time; probes that an engine dies of are not asked again and again."""
        deaths = self._deadly[version.digest]
        if deaths >= MOST_DEADLY:
            raise UserError(f"parity: the engine died {deaths} times under its probes; push it without them.")
        try:
            async with asyncio.timeout(self._seconds):
                verdict = await replay(self._engine, probes, version)
        except TimeoutError:
            raise UserError(
                f"parity: its probes took longer than {self._seconds:g} s; push it with fewer, or when the "
                "server has less to do."
            ) from None
        except EngineDied:
            self._deadly[version.digest] += 1
            raise
        self._deadly.pop(version.digest, None)
        return verdict

    def _probes(self, blob: str) -> Probes:
        return Probes.model_validate_json(b"".join(self._storage.blobs.read(blob)))


def finite(said: list[list[tuple[int, float]]]) -> bool:
    """Whether an engine named tokens in every place, with numbers. A probability of zero is a number."""
    return all(place and not any(math.isnan(number) for _, number in place) for place in said)


def probes_of(files: dict[str, str]) -> str | None:
    """The digest of a version's probes: those that came with it, else those that a server computed."""
    return files.get(FILE) or files.get(COMPUTED)


async def replay(engine: Engine, probes: Probes, version: Version) -> Verdict:
    """The verdict on a version that is in the engine."""
    computes = True
    base: list[tuple[Named, Named]] = []
    adapter: list[tuple[Named, Named]] = []
    effects: list[tuple[Named, Named]] = []
    for probe in probes.probes:
        places = [place.at for place in probe.places]
        bases = await engine.likeliest(probe.token_ids, places, None)
        adapters = await engine.likeliest(probe.token_ids, places, version)
        computes = computes and finite(adapters)
        base += [(place.base, said) for place, said in zip(probe.places, bases, strict=True)]
        adapter += [(place.adapter, said) for place, said in zip(probe.places, adapters, strict=True)]
        effects += zip(bases, adapters, strict=True)
    if not computes:
        return Verdict(engine.identity, NO_NUMBERS, {})
    found = {"base": parity.agreement(base), "adapter": parity.agreement(adapter)}
    effect = parity.agreement(effects)
    trained = parity.agreement([(place.base, place.adapter) for one in probes.probes for place in one.places])
    why = judge(found["base"], found["adapter"], trained.mean_kl, effect.mean_kl, probes.rounding)
    numbers: dict[str, Any] = {name: one.as_json() for name, one in found.items()}
    numbers |= {"effect": round(effect.mean_kl, 6), "trained_effect": round(trained.mean_kl, 6)}
    return Verdict(engine.identity, why, numbers)


def judge(
    base: Agreement, adapter: Agreement, trained: float, effect: float, rounding: Rounding | None = None
) -> str | None:
    """Why an adapter is not served; `trained` and `effect` are its mean divergence from the base, in nats, by
    the trainer and by the engine."""
    if base.mean_kl > parity.BASE_KL or base.top1 < parity.TOP1:
        return (
            "parity: the base itself answers otherwise here than in training "
            f"({_said(base, parity.BASE_KL)}); the adapter was trained on another base, or this engine runs "
            "its base wrongly."
        )
    if trained > parity.EFFECT and effect < trained / 10:
        return (
            f"parity: the adapter changes next to nothing here ({effect:.5f} nats, {trained:.3f} in "
            "training); the engine does not apply it."
        )
    bound = parity.adapter_bound(base, rounding, trained)
    if adapter.mean_kl > bound or adapter.top1 < parity.TOP1:
        return (
            "parity: with the adapter the engine answers otherwise than in training "
            f"({_said(adapter, bound)}), while the base agrees; its files are not what was trained."
        )
    return None


def _said(found: Agreement, bound: float) -> str:
    return (
        f"mean divergence {found.mean_kl:.4f} nats, at most {bound:.4f}; likeliest token the same in "
        f"{found.top1:.0%} of the places"
    )
