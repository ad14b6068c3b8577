"""Entity values for generated conversations: every pool has a training half and a held-out half.

A value of one half never occurs in the other, so a held-out answer can only be copied from its question.
`pools.yaml` holds the plain lists, `wider.yaml` what training sees beside them; names, dates, codes and the
like are combined here.
"""

import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import yaml

Split = Literal["train", "heldout"]


@dataclass(frozen=True)
class Pool:
    train: tuple[str, ...]
    heldout: tuple[str, ...]

    def of(self, split: Split) -> tuple[str, ...]:
        return self.train if split == "train" else self.heldout


def number_split(value: float) -> Split:
    """Numbers are divided by their text, so that 7 is held out for every tool or for none."""
    return "heldout" if zlib.crc32(f"n{value}".encode()) % 4 == 0 else "train"


def _pool(train: str, heldout: str) -> Pool:
    return Pool(tuple(train.split("; ")), tuple(heldout.split("; ")) if heldout else ())


def _combined(form: str, *parts: Pool) -> Pool:
    """All combinations of the parts in `form`, half by half."""
    return Pool(
        tuple(form.format(*words) for words in product(*(part.train for part in parts))),
        tuple(form.format(*words) for words in product(*(part.heldout for part in parts))),
    )


def _lower(pool: Pool) -> Pool:
    return Pool(tuple(map(str.lower, pool.train)), tuple(map(str.lower, pool.heldout)))


_FIRST = _pool(
    "Ana; Ben; Carla; David; Elena; Frank; Grace; Hugo; Ines; Jack; Karen; Leo; Maria; Noah; Olga; Paul; "
    "Rita; Sam; Tina; Victor; Wendy; Yusuf; Zoe; Amir; Bruno; Chloe; Diego; Emma; Felix; Hana; Ahmed; "
    "Beatriz; Callum; Dmitri; Esther; Fatima; Gabriel; Helga; Ivan; Joana; Kofi; Lars; Miriam; Nadia; Otto; "
    "Pilar; Quentin; Ravi; Selma; Teodor; Umberto; Vera; Willem; Xenia; Yara; Zoltan",
    "Priya; Oscar; Lucia; Marco; Naomi; Gustav; Ivy; Kenji; Sofia; Tariq; Ursula; Wes; Mei; Anton",
)
_LAST = _pool(
    "Smith; Costa; Brown; Garcia; Miller; Silva; Wilson; Khan; Rossi; Becker; Novak; Lopez; Abramov; Bauer; "
    "Castellano; Dubois; Eriksen; Ferreira; Grimaldi; Haddad; Ionescu; Jansen; Kowalski; Lindqvist; Mbeki; "
    "Nakamura; Oduya; Petrov; Quiroga; Rahman; Schuster; Takahashi",
    "Tanaka; Duarte; Olsen; Mendes; Fischer; Okafor; Walsh; Moreau",
)
_MAIL = _pool(
    "acme.com; mail.org; northwind.io; example.com; bluebank.pt; torvik.se; kelmont.co; dunmore.net",
    "fabrikam.net; posthaste.eu; corvid.dev",
)
_DAY_NAMED = _combined(
    "{} {}",
    _pool("January; February; March; April; May; June; July", "September; October; November; December"),
    _pool("2; 4; 5; 8; 9; 12; 14; 17; 18; 21; 23; 26; 27", "3; 6; 7; 11; 13; 16; 19; 22; 24; 28"),
)
_DAY_NUMBERED = _combined(
    "{}-{}",
    _pool("2025-01; 2025-02; 2025-03; 2025-05; 2026-06; 2026-07", "2025-09; 2025-11; 2026-10"),
    _pool("02; 05; 08; 10; 14; 17; 21; 25", "03; 06; 11; 16; 19; 22; 27"),
)
_STREET = _pool(
    "Oak Street; Maple Avenue; River Road; Hill Lane; Station Road; Park Avenue; King Street; Abbey Row; "
    "Birch Close; Castle Hill; Dock Street; Elm Grove; Foundry Lane; Garden Walk; Hazel Way",
    "Cedar Drive; Willow Court; Mill Lane; Harbour Street; Chapel Road",
)
_CODE_NUMBER = _pool(
    "1042; 1773; 2504; 3235; 3966; 4697; 5428; 6159; 7083; 7821; 8290; 8846; 9017; 9355; 9902",
    "1049; 1780; 2511; 3242; 3973; 4704; 5435; 6166",
)
_FLIGHT_NUMBER = _pool("204; 321; 438; 555; 672; 789; 96; 1130", "211; 328; 445; 562; 679; 796")

_COMBINED: dict[str, Pool] = {
    "name": _FIRST,
    "person": _combined("{} {}", _FIRST, _LAST),
    "email": _combined("{}@{}", _lower(_FIRST), _MAIL),
    "date": Pool(_DAY_NAMED.train + _DAY_NUMBERED.train, _DAY_NAMED.heldout + _DAY_NUMBERED.heldout),
    "time": _combined(
        "{}:{}",
        _pool("07; 08; 09; 10; 11; 13; 14; 16; 17; 18; 19; 21", "06; 12; 15; 20; 22"),
        _pool("00; 15; 30; 45", "05; 10; 20; 35; 50"),
    ),
    "street": _combined("{} {}", _pool("12; 24; 38; 41; 56; 70; 85; 102", "19; 33; 67; 93; 118"), _STREET),
    "flight": _combined("{}{}", _pool("BA; TP; LH; AF; UA; IB; EK", "KL; SK; AY"), _FLIGHT_NUMBER),
    "order": _combined("{}-{}", _pool("A; B; C; D; E; F; ZK; QV", "R; S; T; W"), _CODE_NUMBER),
}


def _file(name: str) -> Any:
    return yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _listed() -> dict[str, Pool]:
    return {name: _pool(halves["train"], halves["heldout"]) for name, halves in _file("pools.yaml").items()}


def _wider() -> dict[str, tuple[str, ...]]:
    """More values for the training half of a pool, by pool."""
    wider = _file("wider.yaml")
    parts = {name: _pool(values, "").train for name, values in wider["parts"].items()}

    def combined(form: str) -> tuple[str, ...]:
        named = [field for _, field, _, _ in Formatter().parse(form) if field]
        choices = product(*(parts[name] for name in named))
        return tuple(form.format(**dict(zip(named, choice, strict=True))) for choice in choices)

    return {name: combined(form) for name, form in wider["pools"].items()}


def _all() -> dict[str, Pool]:
    pools = _listed() | _COMBINED
    return pools | {
        name: Pool(pools[name].train + more, pools[name].heldout) for name, more in _wider().items()
    }


POOLS: dict[str, Pool] = _all()
