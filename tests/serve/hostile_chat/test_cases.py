"""What this server's own layer refuses, before any engine: at once, by the right name, and nobody waits."""

from pathlib import Path

from tests.serve import tiny
from tests.serve.hostile_chat.attack import problems
from tests.serve.hostile_chat.cases import CASES
from tests.serve.test_client import listening


def test_there_are_many() -> None:
    assert len(CASES) >= 100
    assert len({case.name for case in CASES}) == len(CASES)


def test_what_is_refused_is_refused_at_once_and_health_answers_meanwhile(tmp_path: Path) -> None:
    server = tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "base"))
    with listening(server.app) as url:
        assert "\n".join(problems(url, server.headers, refused_only=True)) == ""
