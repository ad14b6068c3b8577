"""Collecting garbage, examining, exporting and importing: nothing needed goes, nothing wrong stays unseen."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from data.errors import UserError
from serve.registry import transfer
from serve.registry.collect import collect
from serve.registry.fsck import fsck
from serve.registry.records import Aim, UnknownAdapter
from serve.registry.registry import Registry
from serve.registry.staging import Upload
from serve.registry.storage import Storage
from serve.registry.tables import MoveRow
from tests.serve import tiny
from tests.serve.test_registry import UPLOAD
from tests.serve.tiny import Base

NOW = timedelta(0)


@pytest.fixture(params=["sqlite and a folder", "postgresql and s3"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, base: Base) -> Registry:
    urls: dict[str, Any] = {}
    if request.param != "sqlite and a folder":
        urls = {
            "database": request.getfixturevalue("postgres_url"),
            "blobs": request.getfixturevalue("s3_url"),
        }
    return tiny.make_registry(tmp_path / "registry", base, **urls)


def add(registry: Registry, base: Base, folder: Path, seed: int) -> int:
    made = folder / f"adapter-{seed}"
    if not made.is_dir():
        tiny.make_adapter(made, base, seed)
    return registry.add("support", tiny.check_adapter(made, base), by="ana").number


def digests(registry: Registry) -> set[str]:
    return {blob.digest for blob in registry.storage.blobs.all()}


def test_only_what_nothing_needs_is_collected(registry: Registry, base: Base, tmp_path: Path) -> None:
    for seed in (0, 1):
        add(registry, base, tmp_path, seed)
    first, second = (registry.find(f"support@{number}") for number in (1, 2))
    stray = tmp_path / "stray"
    stray.write_bytes(b"of an upload that was given up")
    registry.storage.blobs.put("sha256:" + _sha(stray), stray)
    registry.remove("support", 1)
    kept = collect(registry.storage, timedelta(days=1))
    assert (kept.blobs, kept.folders) == (0, 0), "what is young stays"
    kept = collect(registry.storage, timedelta(days=1), unnamed=NOW)
    assert (kept.blobs, kept.folders) == (1, 0), "what was removed a moment ago can still be had back"
    gone = collect(registry.storage, NOW, unnamed=NOW)
    own = set(first.files.values()) - set(second.files.values())
    assert (gone.blobs, gone.folders) == (len(own), 1)
    assert digests(registry) == set(second.files.values())
    assert not first.folder.exists()
    registry.make_ready(second)
    assert fsck(registry.storage).problems == []
    with pytest.raises(UnknownAdapter):
        registry.resolve("support@1")
    assert add(registry, base, tmp_path, 0) == 1
    registry.make_ready(registry.resolve("support@1"))


def test_what_an_engine_holds_keeps_its_folder(registry: Registry, base: Base, tmp_path: Path) -> None:
    add(registry, base, tmp_path, 0)
    version = registry.find("support@1")
    registry.remove("support", 1)
    registry.storage.servers.alive("one", "http://one", ["support@1"])
    collect(registry.storage, NOW, unnamed=NOW)
    assert version.folder.is_dir()
    registry.storage.servers.gone("one")
    collect(registry.storage, NOW, unnamed=NOW)
    assert not version.folder.exists()


def test_a_version_added_while_garbage_is_collected_keeps_its_bytes(
    registry: Registry, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collection runs between the push's look at the blobs and its line in the index."""
    add_row = registry.storage.index.add

    def slow(*arguments: Any, **options: Any) -> Any:
        collect(registry.storage, NOW, unnamed=timedelta(seconds=-60))
        return add_row(*arguments, **options)

    monkeypatch.setattr(registry.storage.index, "add", slow)
    add(registry, base, tmp_path, 0)
    assert fsck(registry.storage).problems == []


def test_a_whole_registry_has_no_problems(registry: Registry, base: Base, tmp_path: Path) -> None:
    for seed in range(3):
        registry.set_alias("support", "default", add(registry, base, tmp_path, seed))
    registry.roll_back("support", "default")
    registry.set_alias("support", "canary", 3)
    registry.set_alias("support", "canary", None)
    registry.remove("support", 3)
    found = fsck(registry.storage)
    assert (found.versions, found.moves, found.problems) == (2, 6, [])
    assert found.blobs == len(digests(registry)) - 2, "those of the removed version, which shares one"


def _lose(registry: Registry) -> str:
    blob = registry.find("support@1").files["manifest.json"]
    registry.storage.blobs.delete(blob)
    return "support@1"


def _damage(registry: Registry) -> str:
    folder = registry.find("support@2").folder
    (folder / tiny.WEIGHTS).unlink()
    (folder / tiny.WEIGHTS).write_bytes(b"damaged")
    return "support@2"


def _point(registry: Registry) -> str:
    with registry.storage.database.write() as session:
        session.execute(text("UPDATE aliases SET number = 1"))
    return "support:default"


def _bury(registry: Registry) -> str:
    with registry.storage.database.write() as session:
        session.execute(
            text("INSERT INTO tombstones (adapter, number, time) VALUES ('support', 2, '2026-01-01')")
        )
    return "support:default"


def _forget(registry: Registry) -> str:
    with registry.storage.database.write() as session:
        session.execute(text("DELETE FROM aliases"))
    return "support:default"


def _split(registry: Registry) -> str:
    with registry.storage.database.write() as session:
        session.execute(text("UPDATE aliases SET canary = 1, weight = 10"))
    return "support:default"


def _split_by_nothing(registry: Registry) -> str:
    now = {"adapter": "support", "alias": "default", "number": 2, "canary": 1, "weight": None}
    with registry.storage.database.write() as session:
        session.execute(text("UPDATE aliases SET canary = 1"))
        session.add(MoveRow(**now, previous=2, time=datetime.now(UTC)))
    return "support:default"


@pytest.mark.parametrize("spoil", [_lose, _damage, _point, _bury, _forget, _split, _split_by_nothing])
def test_what_is_wrong_is_found(
    registry: Registry, base: Base, tmp_path: Path, spoil: Callable[[Registry], str]
) -> None:
    for seed in (0, 1):
        registry.set_alias("support", "default", add(registry, base, tmp_path, seed))
    assert fsck(registry.storage).problems == []
    what = spoil(registry)
    assert what in {problem.what for problem in fsck(registry.storage).problems}
    if spoil is _damage:
        assert fsck(registry.storage).problems == [], "the folder is made again when it is needed"


def test_a_registry_goes_out_and_comes_in(
    registry: Registry, base: Base, tmp_path: Path, new_postgres: Callable[[], str]
) -> None:
    for seed in range(3):
        registry.set_alias("support", "default", add(registry, base, tmp_path, seed))
    registry.remove("support", 1)
    registry.pin("support", 2, True)
    registry.split("support", "default", 2, 30)
    out = tmp_path / "out"
    assert transfer.export(registry.storage, out) == 2
    with pytest.raises(UserError, match="exists"):
        transfer.export(registry.storage, out)
    for name, database in (("again", None), ("elsewhere", new_postgres())):
        storage = Storage(tmp_path / name, database)
        assert transfer.restore(storage, out) == 2
        assert fsck(storage).problems == []
        again = Registry(storage, base.manifest, tiny.MAX_RANK)
        assert again.find("support") == registry_version(registry, again, "support")
        assert again.alias("support", "default") == Aim(3, 2, 30)
        assert again.history("support") == registry.history("support")
        assert [one.pinned for one in again.show("support").versions] == [False, True, False]
        again.make_ready(again.find("support"))
        again.set_alias("support", "default", 2)
        assert again.history("support")[-1].sequence == 5
        with pytest.raises(UserError, match="holds adapters already"):
            transfer.restore(storage, out)
        again.close()


def registry_version(registry: Registry, other: Registry, reference: str) -> Any:
    """The version as `other` has it in its own folder."""
    version = registry.find(reference)
    return type(version)(**vars(version) | {"folder": other.storage.folders.path(version.digest)})


def test_an_export_of_the_days_before_canaries_comes_in(
    registry: Registry, base: Base, tmp_path: Path
) -> None:
    registry.set_alias("support", "default", add(registry, base, tmp_path, 0))
    transfer.export(registry.storage, tmp_path / "out")
    path = tmp_path / "out" / "registry.json"
    content = json.loads(path.read_bytes())
    for row in (*content["tables"]["aliases"], *content["tables"]["alias_history"]):
        assert (row.pop("canary"), row.pop("weight")) == (None, None)
    path.write_text(json.dumps(content | {"format": 1}))
    storage = Storage(tmp_path / "again")
    assert transfer.restore(storage, tmp_path / "out") == 1
    assert fsck(storage).problems == []


def test_an_export_with_a_changed_blob_is_not_taken_in(
    registry: Registry, base: Base, tmp_path: Path
) -> None:
    add(registry, base, tmp_path, 0)
    transfer.export(registry.storage, tmp_path / "out")
    changed = next((tmp_path / "out" / "blobs").iterdir())
    changed.chmod(0o644)
    shutil.copy(changed, tmp_path / "copy")
    changed.unlink()
    changed.write_bytes(b"changed")
    storage = Storage(tmp_path / "again")
    with pytest.raises(
        UserError,
        match="support@1 of the export",
    ):
        transfer.restore(storage, tmp_path / "out")
    assert storage.index.names() == []
    with pytest.raises(UserError, match=r"holds no registry\.json"):
        transfer.restore(storage, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_uploads_that_are_left_are_collected(registry: Registry) -> None:
    registry.staging.create(Upload(**UPLOAD.model_dump()))
    assert collect(registry.storage).uploads == 0
    assert collect(registry.storage, unfinished=timedelta(seconds=-1)).uploads == 1


def _sha(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
