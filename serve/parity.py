"""Whether this server's engine says what the trainer's model said: likeliest token, and divergence.

The trainer kept the 20 likeliest tokens of each distribution, and the engine gives as many. Divergence is
KL(trainer || engine) over the trainer's tokens and one more outcome for all others; a token that the engine
did not name counts as likely as the least likely that it named, so what is reported is a lower bound.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.probes import Rounding

TOP1 = 0.9
"""Places with the same likeliest token at least, near-ties left out. Measured: all (`make bench-parity`)."""

BASE_KL = 0.02
"""Mean divergence of the base at most, in nats. Measured: 0.001 where both compute in bfloat16."""

EFFECT = 0.01
"""Nats by which an adapter changed the base in training, from which on an engine must show a tenth of it."""

TINY = 1e-6
CLOSE = 0.1
"""Nats between the two likeliest tokens within which either may come first in another precision."""

Named = Sequence[tuple[int, float]]
"""Tokens with their log probabilities, the likeliest first."""


@dataclass(frozen=True)
class Agreement:
    """`top1`: share of places with the same likeliest token, near-ties left out; the divergences in nats."""

    places: int
    top1: float
    mean_kl: float
    max_kl: float

    def as_json(self) -> dict[str, Any]:
        return {key: round(value, 6) for key, value in asdict(self).items()}


def agreement(pairs: Iterable[tuple[Named, Named]]) -> Agreement:
    """Of pairs (trainer, engine), at least one."""
    pairs = list(pairs)
    divergences = [divergence(trainer, dict(engine)) for trainer, engine in pairs]
    clear = [pair for pair in pairs if not _near_tie(pair[0])]
    same = sum(trainer[0][0] == engine[0][0] for trainer, engine in clear)
    return Agreement(
        places=len(pairs),
        top1=same / len(clear) if clear else 1.0,
        mean_kl=sum(divergences) / len(divergences),
        max_kl=max(divergences),
    )


def divergence(trainer: Named, engine: dict[int, float]) -> float:
    """Nats; 0 where both say the same."""
    floor = min(engine.values())
    p = [math.exp(value) for _, value in trainer]
    q = [math.exp(engine.get(token, floor)) for token, _ in trainer]
    p.append(max(TINY, 1 - sum(p)))
    q.append(max(TINY, 1 - sum(q)))
    whole = sum(p), sum(q)
    kl = sum(a / whole[0] * math.log((a / whole[0]) / (b / whole[1])) for a, b in zip(p, q, strict=True))
    return max(0.0, kl)


def adapter_bound(base: Agreement, rounding: Rounding | None = None, effect: float = 0.0) -> float:
    """Mean divergence of an adapter at most: what rounding does to the base here, and a third more.

    `effect` is the adapter's mean divergence from the base, in nats: what it adds is rounded as well, also
    where the base's own products are not. Measured on a CPU without AVX-512, whose engine computes these in
    float32: 0.0006 for an effect of 1.4 nats, beside a base's 0.0001.

    An adapter that changes much magnifies the last bit, and the trainer measured by how much. A few places
    decide that mean, as they decide the base's, so what comes on top counts three times. Measured
    (`make bench-parity`): good adapters 0.5 to 1.1 times the base's, one layer lost, 1.6 to 8; learnt by
    heart (that of `tests/e2e/test_parity.py`), 4.7 and 64 where the trainer measured 3.1.
    """
    on_top = max(0.0, rounding.adapter / rounding.base - 1) if rounding and rounding.base else 0.0
    return min(BASE_KL, (1.3 + 3 * on_top) * base.mean_kl + 0.0003 * (1 + effect))


def _near_tie(named: Named) -> bool:
    return len(named) > 1 and named[0][1] - named[1][1] < CLOSE
