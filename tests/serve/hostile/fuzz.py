"""The fuzzer: valid adapters with one to three things wrong, sent to a real server, none of them taken."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests import campaign
from tests.serve.hostile.attack import MOST_SECONDS, NAME, Files, World, announcement, push, sentence, sign
from tests.serve.hostile.mutations import JSON, JUNK, OF_CONFIG, OF_MANIFEST, WORDS, Draw, other
from tests.serve.hostile.weight_mutations import OF_WEIGHTS
from tests.serve.tiny import CONFIG
from tests.waiting import spent


@dataclass
class Mutant:
    """An adapter as it is sent, and what was done to it; `body` is what it is announced with."""

    files: Files
    name: str = NAME
    body: Any = None
    steps: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return "Mutant(" + "; ".join(self.steps) + ")"


@dataclass
class Tally:
    """How many mutants were refused where, and how long the slowest one took."""

    refused: Counter[str] = field(default_factory=Counter)
    sentences: set[str] = field(default_factory=set)
    slowest: float = 0.0

    @property
    def total(self) -> int:
        return self.refused.total()


def fuzz(world: World, examples: int, seed: int | None = None) -> Tally:
    """Send so many mutants; AssertionError with the smallest one that was taken, or refused badly."""
    tally = Tally()
    campaign.run(mutants(world.files), lambda mutant: attack(world, mutant, tally), examples, seed)
    world.assert_untouched()
    return tally


def attack(world: World, mutant: Mutant, tally: Tally) -> None:
    """Send one mutant, and look at how it was refused."""
    with spent() as took:
        response = push(world.http, mutant.files, mutant.body, mutant.name)
    assert not response.is_success, f"taken: {response.text}"
    why = sentence(response)
    assert took.own < MOST_SECONDS, f"refused after {took.own:.1f} s: {why}"
    world.server.registry.staging.clear(older_than=-1)
    path = response.request.url.path
    where = "committed" if path.endswith("/commit") else "sent" if "/v1/uploads/" in path else "announced"
    tally.refused[where] += 1
    # Without names and numbers: about one for each guard.
    tally.sentences.add(" ".join(word for word in why.split() if word.isalpha()))
    tally.slowest = max(tally.slowest, took.own)


@st.composite
def mutants(draw: Draw, valid: Files) -> Mutant:
    """One to three parts of a valid adapter made wrong; in three of four, the manifest fits the others again.

    Signed ones reach the guards behind the digests.
    """
    announced_wrongly = draw(st.sampled_from([False, False, False, True]))
    least, most = (0, 2) if announced_wrongly else (1, 3)
    parts = draw(st.lists(st.sampled_from(list(OF_FILES)), min_size=least, max_size=most, unique=True))
    mutant = Mutant(dict(valid))
    for part in ("weights", "config"):
        if part in parts:
            mutant.steps.append(draw(st.sampled_from(OF_FILES[part]))(draw, mutant.files))
    if draw(st.sampled_from([True, True, True, False])):
        sign(mutant.files)
        mutant.steps.append("signed")
    if "manifest" in parts:
        mutant.steps.append(draw(st.sampled_from(OF_FILES["manifest"]))(draw, mutant.files))
    mutant.body = announcement(mutant.files)
    if announced_wrongly:
        mutant.steps.append(draw(st.sampled_from(OF_ANNOUNCEMENT))(draw, mutant))
    return mutant


def adapter_name(draw: Draw, mutant: Mutant) -> str:
    name = draw(_BAD_NAMES | st.sampled_from(["tiny-awq", "a:b", "a@1", "-a", "A", "a" * 64]))
    # A client would take bare dots out of the path by itself.
    mutant.name = quote(name, safe="").replace(".", "%2E")
    return f"pushed as {name!r}"


def alias(draw: Draw, mutant: Mutant) -> str:
    bad = _BAD_NAMES | other("x", JUNK)
    mutant.body["aliases"] = draw(other([], JUNK) | st.lists(bad, min_size=1, max_size=20))
    return f"aliases are {mutant.body['aliases']!r}"


def entry(draw: Draw, mutant: Mutant) -> str:
    """Size or digest of a file that are not its own, or no entry at all."""
    files = mutant.body["files"]
    name = draw(st.sampled_from(sorted(files)))
    how = draw(st.sampled_from(["size", "sha256", "further", "whole", "gone"]))
    if how == "gone":
        del files[name]
        return f"{name} is not announced"
    strategy = {
        # Between these a size is right for weights, and the disk may be too small for it.
        "size": st.integers(-(2**70), 10**6) | st.integers(2**33, 2**70) | st.sampled_from([None, "x", 1.5]),
        "sha256": WORDS | JUNK | st.just("sha256:" + "0" * 64) | st.just("sha256:" + "A" * 64),
        "further": JSON,
        "whole": JUNK,
    }[how]
    value = draw(other(files[name].get(how), strategy))
    files[name] = value if how == "whole" else files[name] | {how: value}
    return f"{name} is announced with {how}: {value!r}"


def further_file(draw: Draw, mutant: Mutant) -> str:
    name = draw(WORDS | st.sampled_from(["adapter_model.bin", "modeling.py", f"../{CONFIG}", CONFIG.upper()]))
    mutant.body["files"][name] = draw(st.just(mutant.body["files"][CONFIG]) | JUNK)
    return f"{name!r} is announced too"


def other_bytes(draw: Draw, mutant: Mutant) -> str:
    """What comes is not what was announced; most often a single bit."""
    name = draw(st.sampled_from(sorted(mutant.files)))
    data = mutant.files[name]
    how = draw(st.sampled_from(["bit", "short", "long"] if data else ["long"]))
    if how == "bit":
        place, bit = draw(st.integers(0, len(data) - 1)), draw(st.integers(0, 7))
        mutant.files[name] = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        return f"bit {bit} of byte {place} of {name} comes turned"
    mutant.files[name] = data[: draw(st.integers(0, len(data) - 1))] if how == "short" else data + b"\n"
    return f"{name} comes as {len(mutant.files[name])} of {len(data)} bytes"


def body(draw: Draw, mutant: Mutant) -> str:
    """No announcement at all."""
    text = json.dumps(mutant.body).encode()
    mutant.body = draw(
        st.binary(max_size=64)
        | JSON.map(lambda value: json.dumps(value).encode())
        | st.integers(0, len(text) - 1).map(lambda keep: text[:keep])
        | st.just(text[:-1] + b', "hook": 1}')
    )
    return f"announced with {mutant.body[:100]!r}"


_BAD_NAMES = WORDS.filter(lambda name: re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name) is None)
OF_ANNOUNCEMENT = [adapter_name, alias, entry, further_file, other_bytes, body]
OF_FILES = {"weights": OF_WEIGHTS, "config": OF_CONFIG, "manifest": OF_MANIFEST}
