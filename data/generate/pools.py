"""Entity values for generated conversations: every pool has a training half and a held-out half.

A value of one half never occurs in the other, so a held-out answer can only be copied from its question.
`pools.yaml` holds the plain lists; names, dates, codes and the like are combined here.
"""

import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

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
    return Pool(tuple(train.split("; ")), tuple(heldout.split("; ")))


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
    "Rita; Sam; Tina; Victor; Wendy; Yusuf; Zoe; Amir; Bruno; Chloe; Diego; Emma; Felix; Hana",
    "Priya; Oscar; Lucia; Marco; Naomi; Gustav; Ivy; Kenji; Sofia; Tariq; Ursula; Wes; Mei; Anton",
)
_LAST = _pool(
    "Smith; Costa; Brown; Garcia; Miller; Silva; Wilson; Khan; Rossi; Becker; Novak; Lopez",
    "Tanaka; Duarte; Olsen; Mendes; Fischer; Okafor; Walsh; Moreau",
)
_MAIL = _pool("acme.com; mail.org; northwind.io; example.com", "fabrikam.net; posthaste.eu; corvid.dev")
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
    "Oak Street; Maple Avenue; River Road; Hill Lane; Station Road; Park Avenue; King Street",
    "Cedar Drive; Willow Court; Mill Lane; Harbour Street; Chapel Road",
)
_FILE = _pool(
    "report; budget; notes; slides; contract; photo; logo; thesis; minutes; roadmap",
    "survey; ledger; brochure; manuscript; blueprint; invoice-copy",
)
_CODE_NUMBER = _pool(
    "1042; 1773; 2504; 3235; 3966; 4697; 5428; 6159", "1049; 1780; 2511; 3242; 3973; 4704; 5435; 6166"
)
_FLIGHT_NUMBER = _pool("204; 321; 438; 555; 672; 789", "211; 328; 445; 562; 679; 796")

_COMBINED: dict[str, Pool] = {
    "name": _FIRST,
    "person": _combined("{} {}", _FIRST, _LAST),
    "doctor": _combined("Dr. {}", _LAST),
    "email": _combined("{}@{}", _lower(_FIRST), _MAIL),
    "username": _combined("{}{}", _lower(_FIRST), _pool("12; 25; 38; 51; 64; 77", "19; 32; 45; 58; 71; 84")),
    "phone": _combined(
        "{}-0{}",
        _pool("555; 212; 310", "718; 442"),
        _pool("114; 148; 182; 216; 250; 284", "131; 165; 199; 233"),
    ),
    "date": Pool(_DAY_NAMED.train + _DAY_NUMBERED.train, _DAY_NAMED.heldout + _DAY_NUMBERED.heldout),
    "time": _combined(
        "{}:{}",
        _pool("07; 08; 09; 10; 11; 13; 14; 16; 17; 18; 19; 21", "06; 12; 15; 20; 22"),
        _pool("00; 15; 30; 45", "05; 10; 20; 35; 50"),
    ),
    "street": _combined("{} {}", _pool("12; 24; 38; 41; 56; 70; 85; 102", "19; 33; 67; 93; 118"), _STREET),
    "flight": _combined("{}{}", _pool("BA; TP; LH; AF; UA", "KL; SK; AY"), _FLIGHT_NUMBER),
    "order": _combined("{}-{}", _pool("A; B; C; D; E; F", "R; S; T; W"), _CODE_NUMBER),
    "file": _combined("{}.{}", _FILE, _pool("pdf; docx; png; txt", "xlsx; md; jpg; odt")),
    "image": _combined(
        "{}.{}",
        _pool("beach; family; logo; map; portrait", "sunset; diagram; wedding"),
        _pool("png; gif", "jpg; webp"),
    ),
    "host": _combined(
        "{}.{}", _pool("10.0.0; 192.168.1; 10.1.5", "172.16.0; 10.9.8"), _pool("4; 12; 25; 80", "7; 33; 61")
    ),
}


def _listed() -> dict[str, Pool]:
    lists = yaml.safe_load((Path(__file__).parent / "pools.yaml").read_text(encoding="utf-8"))
    return {name: _pool(halves["train"], halves["heldout"]) for name, halves in lists.items()}


POOLS: dict[str, Pool] = _listed() | _COMBINED
