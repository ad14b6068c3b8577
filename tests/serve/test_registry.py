"""Names to versions, and what a registry keeps over restarts and for other servers."""

import os
import shutil
from pathlib import Path

import pytest

from data import digest
from data.errors import UserError
from data.manifest import ADAPTER_FILES, FileEntry
from serve.registry.records import NotServable, Reference, UnknownAdapter, UnknownUpload
from serve.registry.registry import Registry
from serve.registry.staging import STALE_SECONDS, Upload
from tests.serve import tiny
from tests.serve.tiny import Base


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return tiny.make_base(tmp_path / "base")


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
    assert [(name, version.number) for name, version in registry.served()] == [
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


def test_a_lost_version_folder_is_made_again_at_start(registry: Registry, base: Base, tmp_path: Path) -> None:
    folder = registry.resolve(add(registry, base, tmp_path)).folder
    shutil.rmtree(folder)
    again = tiny.make_registry(tmp_path / "registry", base)
    assert (again.resolve("support@1").folder / "manifest.json").is_file()


def test_lost_blobs_do_not_keep_the_server_from_starting(
    registry: Registry, base: Base, tmp_path: Path
) -> None:
    shutil.rmtree(registry.resolve(add(registry, base, tmp_path)).folder)
    shutil.rmtree(tmp_path / "registry" / "blobs")
    assert len(tiny.make_registry(tmp_path / "registry", base).adapters()) == 1


def test_a_crash_before_the_index_leaves_no_version(
    registry: Registry, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError("killed")

    monkeypatch.setattr(registry._index, "add", crash)
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
    os.utime(folder, (past, past))
    again = tiny.make_registry(tmp_path / "registry", base)
    with again.staging.receive(fresh, "manifest.json"):
        pass
    with pytest.raises(UnknownUpload):
        again.staging.receive(old, "manifest.json")
