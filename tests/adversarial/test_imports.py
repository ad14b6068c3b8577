"""Exports and servers of strangers: no file outside of where it belongs, nothing that a push would not be."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from data import digest
from data.errors import UserError
from data.manifest import adapter_digest
from serve.client import registry as client
from serve.registry import transfer
from serve.registry.fsck import fsck
from serve.registry.records import NotServable, Reference
from serve.registry.registry import Registry
from serve.registry.storage import Storage
from tests.adversarial.pushed import World, world
from tests.serve import tiny
from tests.serve.test_adapter_routes import push
from tests.serve.test_client import listening
from tests.serve.tiny import CONFIG, WEIGHTS

Rows = dict[str, list[dict[str, Any]]]
Spoil = Callable[[Rows, Path], None]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With `out`, the export of a registry with a version, a removed one, an alias, a policy and a report."""
    with world(tmp_path_factory.mktemp("export")) as there:
        for seed in (1, 2):
            there.push("mine", seed)
        there.http.put("/v1/adapters/mine/aliases/default", json={"version": 1})
        policy = {"suites": [{"name": "quickstart"}]}
        there.http.put("/v1/adapters/mine/aliases/default/policy", json=policy)
        sent = there.http.post("/v1/adapters/mine/versions/1/reports", json=there.evidence("mine", 0, 1))
        assert sent.status_code == 201
        there.http.delete("/v1/adapters/mine/versions/2")
        transfer.export(there.server.registry.storage, there.folder / "out")
        yield there


def taken_in(exported: World, folder: Path, spoil: Spoil = lambda rows, blobs: None) -> Storage:
    """A new registry from the export, after somebody was at it."""
    out = folder / "out"
    (out / "blobs").mkdir(parents=True)
    for path in (exported.folder / "out" / "blobs").iterdir():
        (out / "blobs" / path.name).write_bytes(path.read_bytes())
    content = json.loads((exported.folder / "out" / "registry.json").read_bytes())
    spoil(content["tables"], out / "blobs")
    (out / "registry.json").write_text(json.dumps(content))
    storage = Storage(folder / "new")
    try:
        transfer.restore(storage, out)
    except UserError:
        assert storage.index.names() == []
        assert storage.keys.all() == []
        storage.close()
        raise
    return storage


def test_an_honest_one_comes_in(exported: World, tmp_path: Path) -> None:
    storage = taken_in(exported, tmp_path)
    assert fsck(storage).problems == []
    again = Registry(storage, exported.base.manifest, tiny.MAX_RANK)
    again.make_ready(again.find("mine"))
    assert len(storage.reports.of("mine")[1]) == 1
    storage.close()


def with_file(name: str) -> Spoil:
    """A version with one file more, whose bytes are there and whose digest is right."""

    def spoil(rows: Rows, blobs: Path) -> None:
        data = b"#!/bin/sh\n"
        (blobs / digest.of_bytes(data).removeprefix("sha256:")).write_bytes(data)
        row = rows["versions"][0]
        row["files"][name] = digest.of_bytes(data)
        uploaded = {key: blob for key, blob in row["files"].items() if not key.startswith("engine/")}
        row["digest"] = adapter_digest(uploaded)

    return spoil


OUTSIDE = [
    "../../../../owned.sh",
    "/tmp/enxerto-owned.sh",
    "engine/../../../owned.sh",
    "engine//tmp/enxerto-owned.sh",
    "..",
    "adapter_config.json\x00",
    "modeling.py",
]


@pytest.mark.parametrize("name", OUTSIDE, ids=ascii)
def test_a_file_that_leads_elsewhere_is_refused(exported: World, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(UserError, match="an adapter has no file"):
        taken_in(exported, tmp_path, with_file(name))
    assert sorted(tmp_path.parent.iterdir()) == before
    assert not list(tmp_path.rglob("*owned*"))
    assert not Path("/tmp/enxerto-owned.sh").exists()


def change(table: str, **values: Any) -> Spoil:
    def spoil(rows: Rows, blobs: Path) -> None:
        for row in rows[table]:
            row.update(values)

    return spoil


ROWS: dict[str, Spoil] = {
    "a digest that is a path": change("versions", digest="sha256:../../../owned"),
    "a blob that is a path": change("versions", files={CONFIG: "sha256:../../x"}),
    "files that are a list": change("versions", files=["../../x"]),
    "no files": change("versions", files={}),
    "an adapter's name that is a path": change("adapters", name="../../x"),
    "an alias that steers the terminal": change("aliases", alias="\x1b[2J"),
    "an alias to a version that is not there": change("aliases", number=7),
    "a canary of 900 percent": change("aliases", canary=1, weight=900),
    "a number that no database has": change("versions", number=2**70),
    "a time that has none in UTC": change("versions", created="9999-12-31T23:59:59-14:00"),
    "a time that is a number": change("adapters", created=7),
    "an override that steers the terminal": change("alias_history", override="\x9b2J"),
    "a policy that is none": change("policies", policy={"suites": 7}),
    "a report that is none": change("reports", evidence={"report": "x"}),
    "a column that is none": change("adapters", hook="x"),
    "a table of keys": lambda rows, blobs: rows.update(keys=[{"name": "me", "scopes": ["admin"]}]),
    "rows that are text": lambda rows, blobs: rows.update(adapters=["x"]),
    "a table that is text": lambda rows, blobs: rows.update(adapters="x"),  # type: ignore[arg-type]
    "the same row twice": lambda rows, blobs: rows["adapters"].append(rows["adapters"][0]),
}


@pytest.mark.parametrize("spoil", ROWS.values(), ids=ROWS)
def test_rows_that_no_registry_writes_are_refused(exported: World, tmp_path: Path, spoil: Spoil) -> None:
    with pytest.raises(UserError) as refused:
        taken_in(exported, tmp_path, spoil)
    said = str(refused.value)
    assert said.isprintable()
    assert said.endswith(".")


def swapped(file: str, data: bytes) -> Spoil:
    """A version with other bytes for a file, whose digests fit each other again."""

    def spoil(rows: Rows, blobs: Path) -> None:
        (blobs / digest.of_bytes(data).removeprefix("sha256:")).write_bytes(data)
        row = rows["versions"][0]
        row["files"][file] = digest.of_bytes(data)
        uploaded = {key: blob for key, blob in row["files"].items() if not key.startswith("engine/")}
        row["digest"] = adapter_digest(uploaded)

    return spoil


@pytest.mark.parametrize(
    ("file", "data"), [(CONFIG, b"{}"), (WEIGHTS, b"x"), ("manifest.json", b"{}"), ("probes.json", b"[]")]
)
def test_what_a_push_would_not_take_is_refused(
    exported: World, tmp_path: Path, file: str, data: bytes
) -> None:
    with pytest.raises(UserError, match="would not be taken by a push"):
        taken_in(exported, tmp_path, swapped(file, data))


def test_the_engine_gets_its_config_from_the_checks(exported: World, tmp_path: Path) -> None:
    hostile = json.dumps({"r": 10**6, "auto_mapping": {"parent_library": "os"}}).encode()
    storage = taken_in(exported, tmp_path, swapped("engine/adapter_config.json", hostile))
    registry = Registry(storage, exported.base.manifest, tiny.MAX_RANK)
    version = registry.find("mine")
    registry.make_ready(version)
    assert json.loads((version.folder / CONFIG).read_bytes())["r"] == tiny.RANK
    assert version.rank == tiny.RANK
    storage.close()


def test_a_removed_version_does_not_come_back_as_something_else(exported: World, tmp_path: Path) -> None:
    """An export has no bytes of it, but says what the engine would get."""

    def spoil(rows: Rows, blobs: Path) -> None:
        rows["versions"][1]["files"]["engine/adapter_config.json"] = rows["versions"][0]["files"][WEIGHTS]
        rows["versions"][1]["provenance"] = {"coverage": "\x1b[2J"}

    storage = taken_in(exported, tmp_path, spoil)
    registry = Registry(storage, exported.base.manifest, tiny.MAX_RANK)
    checked = tiny.check_adapter(exported.adapter(2), exported.base)
    with pytest.raises(NotServable, match="push them under another name"):
        registry.add("mine", checked)
    assert registry.add("other", checked).number == 1
    assert "\x1b" not in json.dumps(registry.show("mine").versions[1].provenance)
    storage.close()


def test_an_honest_one_does(exported: World, tmp_path: Path) -> None:
    storage = taken_in(exported, tmp_path)
    registry = Registry(storage, exported.base.manifest, tiny.MAX_RANK)
    version = registry.add("mine", tiny.check_adapter(exported.adapter(2), exported.base))
    registry.make_ready(version)
    assert version.number == 2
    storage.close()


def test_a_blob_that_is_a_link_is_not_followed(exported: World, tmp_path: Path) -> None:
    def spoil(rows: Rows, blobs: Path) -> None:
        blob = blobs / rows["versions"][0]["files"][WEIGHTS].removeprefix("sha256:")
        blob.rename(tmp_path / "elsewhere")
        blob.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UserError, match="among the blobs of the export"):
        taken_in(exported, tmp_path, spoil)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": 3, "format": 3}', '{"format": 3}', "\ud83d", "{}", "7"], ids=ascii
)
def test_what_is_no_export_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "registry.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    storage = Storage(tmp_path / "new")
    with pytest.raises(UserError):
        transfer.restore(storage, tmp_path)
    storage.close()


HOSTILE_NAMES = ["../../outside", "/tmp/enxerto-pulled", "a/b", "README.md\x00", "modeling.py"]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_pull_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    """Whatever the server says: it writes all files or none."""
    server, data = FastAPI(), b"owned"
    names = [CONFIG, WEIGHTS, "manifest.json", name]
    files = dict.fromkeys(names, digest.of_bytes(data))
    server.add_api_route("/v1/adapters/mine/versions/1", lambda: JSONResponse({"files": files}))
    server.add_api_route(
        "/v1/adapters/mine/versions/1/files/{file:path}", lambda file: Response(data), response_model=None
    )
    with listening(server) as url, pytest.raises(UserError, match="An adapter is"):
        client.download(Reference.parse("mine@1"), tmp_path / "a" / "b", url)
    assert list(tmp_path.iterdir()) == []


def test_a_pull_takes_no_more_than_an_adapter_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.registry.staging.SIZE_LIMITS", dict.fromkeys([CONFIG], 2**20))
    server, data = FastAPI(), bytes(4 * 2**20)
    names = [CONFIG, WEIGHTS, "manifest.json"]
    files = dict.fromkeys(names, digest.of_bytes(data))
    server.add_api_route("/v1/adapters/mine/versions/1", lambda: JSONResponse({"files": files}))
    server.add_api_route(
        "/v1/adapters/mine/versions/1/files/{file}", lambda file: Response(data), response_model=None
    )
    with listening(server) as url, pytest.raises(UserError, match="other bytes than the server says"):
        client.download(Reference.parse("mine@1"), tmp_path / "pulled", url)
    assert list((tmp_path / "pulled").iterdir()) == []


def test_an_honest_pull_can_be_pushed_again(
    exported: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENXERTO_API_KEY", exported.server.key)
    with listening(exported.server.app) as url:
        assert len(client.download(Reference.parse("mine@1"), tmp_path / "pulled", url)) == 3
    assert push(exported.http, tmp_path / "pulled", [], "mine").json()["version"] == 1
