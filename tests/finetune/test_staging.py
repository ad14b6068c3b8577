"""A staged folder is whole or absent."""

import subprocess
import sys
from pathlib import Path

import pytest

from data.errors import UserError
from finetune.staging import staging

HOLD = """
import sys, time
from pathlib import Path
from finetune.staging import staging
with staging(Path(sys.argv[1])) as stage:
    (stage / "half").touch()
    print("holding", flush=True)
    time.sleep(60)
"""


def test_a_mistake_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staging(tmp_path / "base") as stage:
        (stage / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_running_one_is_left_alone_and_a_killed_one_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holding\n"
        with pytest.raises(UserError, match="another run is making"), staging(folder):
            pass
        assert len(list(tmp_path.glob(".base.*/half"))) == 1
        other.kill()
    with staging(folder) as stage:
        (stage / "whole").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
    assert [path.name for path in folder.iterdir()] == ["whole"]
