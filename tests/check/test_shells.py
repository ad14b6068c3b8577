"""The command lines in shells as they are: odd terminals, full disks, settings of proxies and keys."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

SHORT = 200


TO_FULL = ("sh", "-c", 'exec "$@" >/dev/full', "sh")


def run(*arguments: str | Path, before: tuple[str, ...] = (), **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command with these changes to its environment."""
    done = subprocess.run(
        [*before, sys.executable, "-m", *map(str, arguments)],
        capture_output=True, timeout=PATIENCE, env=os.environ | environment,
    )  # fmt: skip
    return (
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_an_arrow_shows_a_question_mark(encoding: str, tmp_path: Path) -> None:
    absent = tmp_path / "zu → mir.jsonl"
    for command in ("validate", "preview"):
        code, out, err = run(
            "finetune", command, absent, PYTHONIOENCODING=encoding, ENXERTO_HOME=str(tmp_path)
        )
        assert code == 2 and "zu ? mir.jsonl" in out + err
        assert "Traceback" not in err


@pytest.mark.parametrize("columns", ["0", "1", "9", "20"])
def test_something_is_said_at_every_width(columns: str) -> None:
    code, out, _ = run("finetune", "--help", COLUMNS=columns)
    assert code == 0 and len("".join(out.split())) > SHORT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "command", [("finetune", "validate", "absent"), ("finetune", "--help"), ("serve", "--help")]
)
def test_a_full_disk_is_one_sentence(command: tuple[str, ...]) -> None:
    code, _, err = run(*command, before=TO_FULL)
    assert code == 2
    assert "no room is left" in err and "Traceback" not in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"ALL_PROXY": "junk://x"}, "unset HTTP_PROXY"),
        ({"HTTP_PROXY": "http://[::1"}, "unset HTTP_PROXY"),
        ({"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE"),
        ({"ENXERTO_API_KEY": "clé"}, "characters that no key has"),
        ({"ENXERTO_API_KEY": "a\nb"}, "characters that no key has"),
    ],
)
def test_a_shells_settings_are_named(environment: dict[str, str], why: str) -> None:
    code, _, err = run("serve", "ls", "--url", "https://127.0.0.1:9", **environment)
    assert code == 2 and why in err
    assert len(err.splitlines()) == 1
