"""A server's garbage collection walks through little, since no chat goes on meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import free_port
from tests.serve.tiny import make_base

UNTIL_THE_FIRST_ENGINE = """
import gc, sys, types
from pathlib import Path
from data.errors import UserError

class VllmEngine:
    def __init__(self, settings):
        Path(sys.argv[3]).write_text(f"{gc.get_freeze_count()} {len(gc.get_objects())}")
        raise UserError("That is enough.")

# vLLM takes ten seconds to import, and would only make the difference larger.
sys.modules["serve.engine.vllm"] = types.SimpleNamespace(VllmEngine=VllmEngine)
from serve.launch import up
up(base=sys.argv[1], port=int(sys.argv[2]))
"""


def test_what_was_imported_is_not_walked_through_again(tmp_path: Path) -> None:
    """5 s beside two busy neighbors were seen, when an engine died and its remains were collected."""
    base, counted = make_base(tmp_path / "base"), tmp_path / "counted"
    ended = subprocess.run(
        [sys.executable, "-c", UNTIL_THE_FIRST_ENGINE, str(base.folder), str(free_port()), str(counted)],
        env=os.environ | {"ENXERTO_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert "That is enough." in ended.stderr, ended.stderr
    left_out, walked_through = map(int, counted.read_text().split())
    assert left_out > 50_000
    assert walked_through < left_out / 20
