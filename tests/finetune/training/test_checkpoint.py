"""A checkpoint counts when it is whole, and the one before it does when it is not."""

import json
from pathlib import Path

import pytest

from finetune.training import checkpoint

SAID = {"delete": "is missing", "truncate": "has", "empty": "has 0 bytes", "flip": "has changed"}

FILES = ("adapter.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json")


def make(parent: Path, step: int) -> Path:
    folder = checkpoint.stage(parent, step)
    for name in FILES:
        (folder / name).write_bytes(f"{name} of step {step}, and more".encode())
    return checkpoint.seal(folder, step, {"note": step}).folder


def test_the_newest_one_is_found_with_its_notes(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        make(tmp_path, step)
    found, refused = checkpoint.newest(tmp_path)
    assert found is not None
    assert (found.step, found.notes, refused) == (10, {"note": 10}, [])


@pytest.mark.parametrize("name", [*FILES, checkpoint.SEAL])
@pytest.mark.parametrize("damage", list(SAID))
def test_any_damage_to_any_file_makes_the_one_before_count(tmp_path: Path, name: str, damage: str) -> None:
    make(tmp_path, 1)
    path = make(tmp_path, 2) / name
    content = path.read_bytes()
    if damage == "delete":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(content[:-3])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    found, refused = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.step == 1
    (reason,) = refused
    assert reason.startswith("step-00000002 is not used: ")
    # Nothing else can say of a seal what it should be.
    said = "is damaged" if name == checkpoint.SEAL and damage != "delete" else SAID[damage]
    assert f"{name} {said}" in reason
    assert damage != "truncate" or name == checkpoint.SEAL or f"bytes instead of {len(content)}" in reason


def test_nothing_is_found_where_nothing_is_whole(tmp_path: Path) -> None:
    (make(tmp_path, 1) / FILES[0]).unlink()
    checkpoint.stage(tmp_path, 2)
    found, refused = checkpoint.newest(tmp_path)
    assert found is None
    assert len(refused) == 1


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"step": 1}', '{"step": 1, "notes": {}, "files": [1]}', "{"]
)
def test_a_seal_of_another_kind_is_damaged(tmp_path: Path, content: str) -> None:
    folder = make(tmp_path, 1)
    (folder / checkpoint.SEAL).write_text(content)
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.verify(folder)


def test_the_seal_names_every_file(tmp_path: Path) -> None:
    sealed = json.loads((make(tmp_path, 1) / checkpoint.SEAL).read_text())
    assert sorted(sealed["files"]) == sorted(FILES)


def test_pruning_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in range(1, 7):
        make(tmp_path, step)
    checkpoint.stage(tmp_path, 3)
    checkpoint.prune(tmp_path, keep=2, best=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-0000000{step}" for step in (3, 5, 6)]


def test_a_step_that_is_saved_again_replaces_the_damaged_one(tmp_path: Path) -> None:
    (make(tmp_path, 1) / FILES[1]).unlink()
    make(tmp_path, 1)
    found, refused = checkpoint.newest(tmp_path)
    assert found is not None
    assert refused == []
