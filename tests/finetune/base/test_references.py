"""A base is found by owner, name and revision: two sources never stand for each other."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data.bases import find_base, reference_to, with_fingerprint
from data.errors import UserError
from data.manifest import read_base
from finetune.base import catalogue
from finetune.base.resolve import find, resolve
from tests.finetune import tiny_awq

MISTRAL = "mistral-small-24b-instruct-2501-awq"


@pytest.fixture(scope="module")
def sources(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of one shape whose weights differ."""
    folder = tmp_path_factory.mktemp("sources")
    tiny_awq.make_base(folder / "one", base)
    made = {"one": folder / "one", "other": folder / "other"}
    made["other"].mkdir()
    for path in made["one"].iterdir():
        (made["other"] / path.name).write_bytes(path.read_bytes())
    config = json.loads((made["other"] / "config.json").read_text()) | {"rms_norm_eps": 1e-3}
    (made["other"] / "config.json").write_text(json.dumps(config))
    for path in made.values():
        (path / "base.json").unlink()
    return made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def say(_: str) -> None: ...


def copied(source: Path, to: Path) -> Path:
    to.mkdir(parents=True)
    for path in source.iterdir():
        (to / path.name).symlink_to(path)
    return to


def in_the_cache(cache: Path, repo: str, source: Path, revisions: dict[str, str]) -> None:
    """The hub's cache as a download of these revisions (name to commit) leaves it."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    for name, commit in revisions.items():
        if not (folder / "snapshots" / commit).is_dir():
            copied(source, folder / "snapshots" / commit)
        ref = folder / "refs" / name
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)


@pytest.fixture
def hub(sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """alice and bob both have a `foo-awq`; alice's has another revision beside `main`."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    in_the_cache(cache, "alice/foo-awq", sources["one"], {"main": "a" * 40})
    in_the_cache(cache, "bob/foo-awq", sources["other"], {"main": "b" * 40})
    in_the_cache(cache, "alice/foo-awq", sources["other"], {"v2": "c" * 40, "refs/pr/1": "d" * 40})
    return cache


def test_repositories_of_one_name_and_revisions_of_one_repository_are_bases_of_their_own(
    home: Path, hub: Path
) -> None:
    places = {}
    for reference in ("alice/foo-awq", "bob/foo-awq", "alice/foo-awq@v2", "alice/foo-awq@refs/pr/1"):
        with pytest.raises(UserError, match="not on this machine yet"):
            find(reference)
        assert find_base(reference) is None
        places[reference] = resolve(reference, say)
        assert find(reference) == find_base(reference) == resolve(reference, say) == places[reference]
    assert [place.name for place in places.values()] == [
        "alice--foo-awq@main",
        "bob--foo-awq@main",
        "alice--foo-awq@v2",
        "alice--foo-awq@refs%2Fpr%2F1",
    ]
    assert read_base(places["alice/foo-awq"]).source == {"repo": "alice/foo-awq", "revision": "a" * 40}
    prints = [read_base(place).fingerprint for place in places.values()]
    assert prints[0] != prints[1] == prints[2]
    # Every form that a recipe or `serve up --base` may give: with `main` or not, in another case, by key.
    same = [find_base(one) for one in ("alice/foo-awq@main", "Alice/Foo-AWQ", "alice--foo-awq@main")]
    assert same == [places["alice/foo-awq"]] * 3
    assert reference_to(read_base(places["alice/foo-awq@v2"])) == f"alice/foo-awq@{'c' * 40}"
    with pytest.raises(UserError, match=r"several bases go by the name 'foo-awq'.*bob--foo-awq@main"):
        find("foo-awq")


def test_folders_of_one_name_are_bases_of_their_own(
    home: Path, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = copied(sources["one"], tmp_path / "mine" / "foo-awq")
    theirs = copied(sources["other"], tmp_path / "theirs" / "foo-awq")
    first = resolve(str(mine), say)
    assert find_base("foo-awq") == first  # the only one of that name
    second = resolve(str(theirs), say)
    assert first != second
    assert read_base(first).fingerprint != read_base(second).fingerprint
    with pytest.raises(UserError, match="several bases go by the name 'foo-awq'"):
        find("foo-awq")
    monkeypatch.chdir(tmp_path / "mine")
    assert find_base("./foo-awq") == find_base(str(mine)) == first
    with pytest.raises(UserError, match=r"name the one you mean: \./foo-awq, foo-awq--"):
        find_base("foo-awq")
    assert find_base(first.name) == first
    assert reference_to(read_base(second)) == str(theirs)
    assert with_fingerprint(read_base(second).fingerprint) == second


def test_a_folder_in_the_working_folder_needs_no_slash(
    home: Path, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(sources["one"], tmp_path / "foo-awq")
    monkeypatch.chdir(tmp_path)
    assert resolve("foo-awq", say) == find_base(str(folder)) == find_base("foo-awq")


def older(home: Path, key: str, source: Path, facts: dict[str, Any]) -> Path:
    """A base as versions left it that knew it by the last part of its name."""
    from finetune.base.resolve import _link

    place = home / "bases" / key
    place.mkdir(parents=True)
    _link(source, place, key, facts, say)
    return place


def test_bases_that_are_already_built_keep_working(
    home: Path, hub: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(sources["one"], tmp_path / "Bar-AWQ")
    facts = {"repo": "alice/foo-awq", "revision": "a" * 40}
    main = older(home, "foo-awq", sources["one"], facts)
    tagged = older(home, "foo-awq--v2", sources["other"], facts | {"revision": "c" * 40})
    linked = older(home, "bar-awq", sources["one"], {"folder": str(folder)})
    assert find("alice/foo-awq") == resolve("alice/foo-awq", say) == find("foo-awq") == main
    assert find("alice/foo-awq@v2") == tagged
    assert find(str(folder)) == resolve(str(folder), say) == linked
    # Bob's is another: it is not there, and gets a folder of its own.
    assert find_base("bob/foo-awq") is None
    assert resolve("bob/foo-awq", say).name == "bob--foo-awq@main"
    # So is another folder of the same name.
    elsewhere = copied(sources["other"], tmp_path / "elsewhere" / "bar-awq")
    assert find_base(str(elsewhere)) is None
    assert resolve(str(elsewhere), say) != linked


def test_a_name_that_holds_another_source_is_refused(home: Path, sources: dict[str, Path]) -> None:
    """Other weights under a catalogue's name: an older version did that to repositories of the same name."""
    entry = catalogue.load()[MISTRAL].hub
    assert entry is not None
    older(home, MISTRAL, sources["one"], {"repo": "stelterlab/Mistral-Small-24B-Instruct-2501-AWQ"})
    for get in (find, lambda name: resolve(name, say)):
        with pytest.raises(UserError, match=f"holds stelterlab/.*, and {MISTRAL} is {entry.repo}; remove"):
            get(MISTRAL)
    older(home, "alice--foo-awq@main", sources["one"], {"repo": "mallory/foo-awq"})
    with pytest.raises(UserError, match="holds mallory/foo-awq, and alice/foo-awq is alice/foo-awq; remove"):
        find_base("alice/foo-awq")


def test_a_broken_base_stands_in_no_others_way(home: Path, sources: dict[str, Path]) -> None:
    broken = older(home, "broken", sources["one"], {})
    (broken / "base.json").write_text("{")
    good = older(home, "alice--foo-awq@main", sources["one"], {"repo": "alice/foo-awq"})
    assert find_base("alice--foo-awq@main") == good
    assert find_base("nothing") is None
    with pytest.raises(UserError, match="not a base manifest"):
        find("broken")


@pytest.mark.parametrize("reference", ["alice/foo-awq", "alice--foo-awq@main", "./foo-awq", "."])
def test_trainer_server_and_doctor_find_the_same(
    reference: str, home: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve up` opens the folder that `finetune` finds, or says in the same words how to get it."""
    from serve import launch

    place = resolve("alice/foo-awq", say)
    monkeypatch.chdir(place if reference == "." else tmp_path)
    (tmp_path / "foo-awq").symlink_to(place)
    seen = []

    def settings(**given: Any) -> None:
        seen.append(given["folder"])
        raise UserError("far enough")

    monkeypatch.setattr(launch, "Settings", settings)
    with pytest.raises(UserError, match="far enough"):
        launch.up(base=reference)
    assert seen == [find(reference).resolve()] == [place.resolve()]
    with pytest.raises(UserError, match="get it with `finetune base bob/foo-awq`"):
        launch.up(base="bob/foo-awq")


def test_a_hub_base_by_the_command_line_outside_the_checkout(home: Path, hub: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "finetune", "base", "bob/foo-awq"]
    environment = os.environ | {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(command, env=environment, cwd=empty, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert find_base("bob/foo-awq") == home / "bases" / "bob--foo-awq@main"
