"""Names to versions, and what a registry keeps over restarts and for other servers."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from data import digest
from data.errors import UserError
from data.manifest import ADAPTER_FILES, FileEntry
from serve.registry.names import LOOK_AGAIN
from serve.registry.records import (
    NotServable,
    Reference,
    StorageBusy,
    UnknownAdapter,
    UnknownUpload,
)
from serve.registry.registry import Registry
from serve.registry.staging import STALE_SECONDS, Upload
from tests.serve import evaluated, tiny
from tests.serve.tiny import Base, TinyServer


@pytest.fixture
def registry(tmp_path: Path, base: Base) -> Registry:
    return tiny.make_registry(tmp_path / "registry", base)


def add(registry: Registry, base: Base, tmp_path: Path, seed: int = 0, name: str = "support") -> str:
    folder = tmp_path / f"{name}-{seed}"
    if not folder.is_dir():
        tiny.make_adapter(folder, base, seed)
    return registry.add(name, tiny.check_adapter(folder, base)).reference


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("support", Reference("support", alias="default")),
        ("support:canary", Reference("support", alias="canary")),
        ("support@3", Reference("support", number=3)),
        ("a.b_c-1@sha256:" + "a" * 64, Reference("a.b_c-1", digest="sha256:" + "a" * 64)),
    ],
)
def test_a_reference_is_parsed(text: str, parsed: Reference) -> None:
    assert Reference.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    ["", "Support", "../x", "a/b", "a:", "a@", "a@0", "a@-1", "a@1.5", "a:b@1", "a@sha256:ab", "a\n", "a@1\n",
     "a@" + "9" * 10, ".a", "a" * 64, "a\0", "é", "a@٣"],
)  # fmt: skip
def test_what_names_no_adapter_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="names no adapter"):
        Reference.parse(text)


def test_every_form_of_a_name_finds_its_version(registry: Registry, base: Base, tmp_path: Path) -> None:
    assert [add(registry, base, tmp_path, seed) for seed in (0, 1, 0)] == [
        "support@1",
        "support@2",
        "support@1",
    ]
    registry.set_alias("support", "default", 1)
    registry.set_alias("support", "canary", 2)
    second = registry.resolve("support@2").digest
    found = [
        registry.resolve(name).number
        for name in ("support", "support:default", "support:canary", "support@1", f"support@{second}")
    ]
    assert found == [1, 1, 2, 1, 2]
    assert [(route.name, route.version.number) for route in registry.served()] == [
        ("support:canary", 2),
        ("support", 1),
    ]
    assert sorted(path.name for path in registry.resolve("support").folder.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "manifest.json"
    ]  # fmt: skip


def test_an_unknown_name_gets_the_nearest_ones(registry: Registry, base: Base, tmp_path: Path) -> None:
    add(registry, base, tmp_path)
    registry.set_alias("support", "canary", 1)
    for asked, nearest in [
        ("suport", "support"),
        ("support", "support:canary"),
        ("support:cannary", "support:canary"),
        ("support@7", "support@1"),
        ("Support/", "support"),
        ("tiny-awk", "tiny-awq"),
    ]:
        with pytest.raises(UnknownAdapter, match=f"nearest names are [^;]*{nearest}"):
            registry.resolve(asked)
    with pytest.raises(UnknownAdapter, match="no name is near"):
        registry.resolve("gpt-4o")


def test_a_version_for_another_base_or_a_higher_rank_is_kept_but_not_served(
    registry: Registry, base: Base, tmp_path: Path
) -> None:
    add(registry, base, tmp_path)
    registry.set_alias("support", "default", 1)
    for other, why in [
        (
            tiny.make_registry(tmp_path / "registry", base, max_rank=2),
            "has rank 4; this server holds ranks up to 2",
        ),
        (
            tiny.make_registry(tmp_path / "registry", tiny.make_base(tmp_path / "b", salt="b")),
            "was trained on base",
        ),
    ]:
        with pytest.raises(NotServable, match=why):
            other.resolve("support")
        assert other.served() == []
        assert [adapter.name for adapter in other.adapters()] == ["support"]


def test_a_lost_or_damaged_folder_is_made_again_before_it_is_loaded(
    registry: Registry, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.resolve(add(registry, base, tmp_path))
    shutil.rmtree(version.folder)
    registry.make_ready(version)
    config = version.folder / "adapter_config.json"
    written = config.read_bytes()
    config.unlink()  # a file of its own, where the blob must stay what it is
    config.write_bytes(written.replace(b"16", b"32"))
    registry.make_ready(version)
    assert config.read_bytes() == written


def test_lost_or_damaged_blobs_are_said_when_they_are_needed(
    registry: Registry, base: Base, tmp_path: Path
) -> None:
    version = registry.resolve(add(registry, base, tmp_path))
    shutil.rmtree(version.folder)
    blob = (
        tmp_path / "registry" / "blobs" / version.files[tiny.WEIGHTS][7:9] / version.files[tiny.WEIGHTS][7:]
    )
    blob.chmod(0o644)
    blob.write_bytes(b"other")
    with pytest.raises(NotServable, match=r"support@1 cannot be served: the blob .* holds other bytes"):
        registry.make_ready(version)
    shutil.rmtree(tmp_path / "registry" / "blobs")
    again = tiny.make_registry(tmp_path / "registry", base)
    assert len(again.adapters()) == 1
    with pytest.raises(NotServable, match="are not in the blob store"):
        again.make_ready(version)


def test_the_engine_gets_only_what_was_read_of_a_config(
    registry: Registry, base: Base, tmp_path: Path
) -> None:
    folder = tiny.make_adapter(tmp_path / "adapter", base)
    tiny.change_config(folder, base_model_name_or_path="tiny-awq", revision="main", peft_version="9")
    tiny.sign(folder, base)
    version = registry.add("support", tiny.check_adapter(folder, base))
    seen = json.loads((version.folder / tiny.CONFIG).read_bytes())
    assert seen["r"] == tiny.RANK
    assert sorted(seen["target_modules"]) == ["down_proj", "q_proj"]
    assert seen.keys().isdisjoint({"base_model_name_or_path", "revision", "peft_version", "modules_to_save"})
    assert version.files[tiny.CONFIG] == digest.of_file(folder / tiny.CONFIG)


def test_a_version_says_where_it_comes_from(registry: Registry, base: Base, tmp_path: Path) -> None:
    folder = tiny.make_adapter(tmp_path / "adapter", base)
    models = [evaluated.served(name, None, "sha256:0") for name in ("base", "support")]
    scores = {"base": [1, 0, 0, 0, None], "support": [1, 1, 1, 0, 1]}
    report = evaluated.report(models, {"tools": scores})
    (folder / "report.json").write_text(report.model_dump_json())
    version = registry.add("support", tiny.check_adapter(folder, base), by="ana")
    assert (version.pushed_by, version.size) == ("ana", sum(path.stat().st_size for path in folder.iterdir()))
    told = version.provenance
    assert told["coverage"] == {"changed": 2, "modules": 2}
    assert told["dataset"]["digest"] == digest.of_bytes(b"data")
    assert told["report"] == {"base tools accuracy": 0.25, "support tools accuracy": 0.8}
    bare = tiny.make_adapter(tmp_path / "bare", base)
    assert registry.add("support", tiny.check_adapter(bare, base)).number == 2, (
        "another report, another version"
    )


def test_what_one_server_changes_the_other_sees(
    registry: Registry, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny.make_registry(tmp_path / "registry", base)
    add(registry, base, tmp_path, 0), add(registry, base, tmp_path, 1)
    registry.set_alias("support", "default", 1)
    assert other.resolve("support").number == 1
    registry.set_alias("support", "default", 2)
    # A clock of the test's: two servers agree within this time, and need not any sooner.
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + LOOK_AGAIN + 0.01)
    assert other.resolve("support").number == 2


def test_names_are_answered_while_the_index_cannot_be_asked(
    registry: Registry, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(registry, base, tmp_path)
    registry.set_alias("support", "default", 1)
    registry.resolve("support")

    def away() -> int:
        raise StorageBusy("gone")

    monkeypatch.setattr(registry.storage.database, "revision", away)
    monkeypatch.setattr("serve.registry.names.LOOK_AGAIN", 0)
    assert registry.resolve("support").number == 1


def test_a_crash_before_the_index_leaves_no_version(
    registry: Registry, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise OSError("killed")

    monkeypatch.setattr(registry.storage.index, "add", crash)
    with pytest.raises(OSError, match="killed"):
        add(registry, base, tmp_path)
    again = tiny.make_registry(tmp_path / "registry", base)
    assert again.adapters() == []
    assert add(again, base, tmp_path) == "support@1"


ENTRY = FileEntry(sha256=digest.of_bytes(b""), size=0)
UPLOAD = Upload(name="support", files=dict.fromkeys(ADAPTER_FILES, ENTRY), aliases=[])


def test_an_upload_goes_by_its_id_and_by_no_path(registry: Registry) -> None:
    identity, _ = registry.staging.create(UPLOAD)
    for name in (f"../staging/{identity}", f"{identity}/", f"./{identity}", "", ".."):
        with pytest.raises(UnknownUpload):
            registry.staging.receive(name, "manifest.json")


def test_only_old_uploads_are_cleared_at_start(registry: Registry, base: Base, tmp_path: Path) -> None:
    old, fresh = (registry.staging.create(UPLOAD)[0] for _ in range(2))
    folder = tmp_path / "registry" / "staging" / old
    past = folder.stat().st_mtime - STALE_SECONDS - 60
    for path in (folder, *folder.iterdir()):
        os.utime(path, (past, past))
    again = tiny.make_registry(tmp_path / "registry", base)
    with again.staging.receive(fresh, "manifest.json"):
        pass
    with pytest.raises(UnknownUpload):
        again.staging.receive(old, "manifest.json")


@pytest.mark.parametrize("name", ["served", "pinned", "key"])
def test_what_clients_ask_for_meets_nothing_that_the_server_remembers(
    server: TinyServer, base: Base, tmp_path: Path, name: str
) -> None:
    with TestClient(server.app, raise_server_exceptions=False, headers=server.headers) as http:
        body = {"model": name, "messages": [{"role": "user", "content": "hello"}]}
        assert http.get("/v1/models").status_code == 200
        assert http.post("/v1/chat/completions", json=body).status_code == 404
        server.registry.add(name, tiny.check_adapter(tiny.make_adapter(tmp_path / "adapter", base), base))
        server.registry.set_alias(name, "default", 1)
        assert http.post("/v1/chat/completions", json=body).status_code == 200
        assert name in {one["id"] for one in http.get("/v1/models").json()["data"]}
        assert server.registry.pinned() == []
