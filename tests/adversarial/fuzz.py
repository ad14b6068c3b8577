"""The fuzzers of what pushers send beside adapters: reports, probes, exports, with a few values changed."""

import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from data import digest
from data.errors import UserError
from serve.registry import transfer
from serve.registry.fsck import fsck
from serve.registry.registry import Registry
from serve.registry.storage import Storage
from tests import campaign
from tests.adversarial.pushed import World
from tests.serve import tiny
from tests.serve.hostile.attack import sentence
from tests.serve.hostile.mutations import JSON, JUNK, WORDS
from tests.serve.test_adapter_routes import push
from tests.serve.test_probing import probes

ALIAS = "/v1/adapters/mine/aliases/default"
REPORTS = "/v1/adapters/mine/versions/2/reports"
AS_JSON = {"content-type": "application/json"}
SPECIAL = st.sampled_from(
    [
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "sha256:" + "0" * 64,
        "../../../out",
        1e308,
        -1,
    ]
)


@dataclass
class Tally:
    """What became of what was sent, and the kinds of sentence that refused it."""

    ends: Counter[str] = field(default_factory=Counter)
    sentences: set[str] = field(default_factory=set)

    def add(self, end: str, why: str = "") -> None:
        self.ends[end] += 1
        if why:
            self.sentences.add(" ".join(word for word in why.split() if word.isalpha()))


@st.composite
def changed(draw: Any, valid: Any) -> Any:
    """A document with one to three of its values taken away, doubled, or put in the place of junk."""
    document = copy.deepcopy(valid)  # as is what is drawn: a later change may be within it
    for _ in range(draw(st.integers(1, 3))):
        within = document
        while True:
            keys = list(within) if isinstance(within, dict) else list(range(len(within)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(within[key], dict | list) and within[key] and draw(st.integers(0, 3)):
                within = within[key]
                continue
            match draw(st.sampled_from(["value", "value", "gone", "added", "doubled"])):
                case "gone":
                    del within[key]
                case "added" if isinstance(within, dict):
                    within[draw(WORDS)] = copy.deepcopy(draw(JUNK))
                case "doubled" if isinstance(within, list):
                    within.append(copy.deepcopy(within[key]))
                case _:
                    within[key] = copy.deepcopy(draw(JUNK | WORDS | SPECIAL | JSON))
            break
    return document


def fuzz_reports(world: World, count: int, seed: int | None = None) -> Tally:
    """Send so many reports and probes; AssertionError where one is a crash, or closes the gate for good."""
    tally = Tally()
    for number in (1, 2):
        world.push("mine", number)
    world.http.put(ALIAS, json={"version": 1})
    world.http.put(f"{ALIAS}/policy", json={"suites": [{"name": "quickstart"}]})
    honest = world.evidence("mine", 1, 2)
    sent = st.tuples(st.just("report"), changed(honest)) | st.tuples(
        st.just("probes"), changed(probes().model_dump(mode="json"))
    )

    def attack(example: tuple[str, Any]) -> None:
        kind, document = example
        if kind == "probes":
            _push_probes(world, document, tally)
            return
        answer = world.http.post(REPORTS, content=_text(document), headers=AS_JSON)
        taken = answer.status_code == 201
        tally.add("report taken" if taken else "report refused", "" if taken else sentence(answer))
        moved = world.http.put(ALIAS, json={"version": 2})
        if moved.status_code != 200:
            sentence(moved)
            moved = world.http.put(ALIAS, json={"version": 2, "override": "it has to move"})
        assert moved.status_code == 200, f"the alias does not move: {moved.text[:300]}"
        assert world.http.get("/v1/adapters/mine").status_code == 200
        assert world.http.post(f"{ALIAS}/rollback").status_code == 200

    campaign.run(sent, attack, count, seed)
    return tally


def fuzz_exports(world: World, count: int, seed: int | None = None) -> Tally:
    """Import so many; AssertionError where one is a crash, writes elsewhere, or leaves a registry unsound."""
    tally = Tally()
    for number in (1, 2):
        world.push("mine", number)
    world.http.put(ALIAS, json={"version": 1})
    world.http.put(f"{ALIAS}/policy", json={"suites": [{"name": "quickstart"}]})
    world.http.post(REPORTS, json=world.evidence("mine", 1, 2))
    world.http.delete("/v1/adapters/mine/versions/2")
    out = world.folder / "out"
    transfer.export(world.server.registry.storage, out)
    valid = json.loads((out / "registry.json").read_bytes())

    def attack(document: Any) -> None:
        with TemporaryDirectory(prefix="enxerto-fuzz-import-") as box:
            tally.add(*_imported(world, Path(box), out / "blobs", document))

    campaign.run(changed(valid), attack, count, seed)
    return tally


def _push_probes(world: World, document: Any, tally: Tally) -> None:
    folder = world.adapter(9)
    (folder / "probes.json").write_bytes(_text(document))
    answer = push(world.http, folder, [], "probed", also=["probes.json"])
    taken = answer.status_code == 200
    tally.add("probes taken" if taken else "probes refused", "" if taken else sentence(answer))


def _imported(world: World, box: Path, blobs: Path, document: Any) -> tuple[str, str]:
    export, folder = box / "export", box / "in" / "registry"
    export.mkdir()
    (export / "blobs").symlink_to(blobs)
    (export / "registry.json").write_bytes(_text(document))
    folder.mkdir(parents=True)
    (folder / "index.sqlite").write_bytes(tiny.empty_index())
    storage = Storage(folder)
    try:
        transfer.restore(storage, export)
        registry = Registry(storage, world.base.manifest, tiny.MAX_RANK)
        for name in storage.index.names():
            for version in registry.show(name).versions:
                if version.removed is None:
                    registry.make_ready(version)
        assert fsck(storage).problems == []
        end = "export taken", ""
    except UserError as error:
        assert str(error).isprintable() and len(str(error)) < 1000, ascii(str(error))
        assert storage.index.names() == [], "half of it came in"
        end = "export refused", str(error)
    finally:
        storage.close()
    assert sorted(path.name for path in box.iterdir()) == ["export", "in"]
    assert [path.name for path in (box / "in").iterdir()] == ["registry"]
    named = {path.name for path in folder.iterdir()}
    assert named <= {"index.sqlite", "blobs", "staging", "versions"}, named
    for path in (folder / "blobs").glob("*/*"):
        assert digest.of_file(path) == f"sha256:{path.name}"
    return end


def _text(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")
