"""`kill -9` at every step of every change: nothing acknowledged is lost, and nothing is there by half."""

import re
import secrets
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from serve.client import connection
from serve.client.push import push
from serve.failpoints import POINTS
from tests.serve.crash.life import Life
from tests.serve.crash.servers import Disks, Servers

SOURCES = Path(__file__).parents[3] / "serve"

HERE = [point for point in POINTS if not point.startswith("remote.")]
"""With the blobs in a folder."""

AWAY = [point for point in POINTS if not point.startswith("blobs.")]
"""With the blobs in an object store."""

_PUSH = ("staging.", "blobs.", "folders.", "discard.", "index.add", "aliases.", "uploads.")
OF_A_PUSH = [
    *(point for point in HERE if point.startswith(_PUSH)),
    *(f"registry.{step}" for step in ("blobs", "folder", "added", "moved")),
]
"""What a push comes by."""

SOME_OF_A_PUSH = ["staging.block:2", "staging.flushed", "discard.hidden", "uploads.kept"]
"""One of each kind that it has to find its way from: half a file, all of it, no upload but a version."""

TIMES = 20
LATEST = 4
"""The turn of a failpoint at which a server dies, at most."""


@pytest.fixture
def seed() -> int:
    """Of what the clients do; printed where a test fails."""
    chosen = secrets.randbelow(2**32)
    print(f"seed {chosen}")
    return chosen


@pytest.fixture(params=["sqlite and a folder", "postgresql and s3"])
def disks(request: pytest.FixtureRequest, tmp_path: Path) -> Disks:
    if request.param == "sqlite and a folder":
        return Disks(tmp_path)
    return Disks(
        tmp_path,
        {"database": request.getfixturevalue("postgres_url"), "blobs": request.getfixturevalue("s3_url")},
    )


@pytest.fixture
def life(disks: Disks, seed: int) -> Iterator[Life]:
    lived = Life(disks, Random(seed))
    yield lived
    lived.close()


here = pytest.mark.parametrize("disks", ["sqlite and a folder"], indirect=True)
away = pytest.mark.parametrize("disks", ["postgresql and s3"], indirect=True)


def test_every_failpoint_is_one_line_of_the_source() -> None:
    source = "".join(path.read_text() for path in SOURCES.rglob("*.py"))
    assert sorted(re.findall(r'\breach\("([^"]*)"\)', source)) == sorted(POINTS)


@here
def test_a_server_killed_at_each_step_loses_nothing(life: Life) -> None:
    for point in HERE:
        life.until_death(point)
    life.rest()


@away
def test_a_server_killed_at_each_step_of_a_remote_blob_loses_nothing(life: Life) -> None:
    for point in set(AWAY) - set(HERE):
        life.until_death(point)
    life.rest()


@pytest.mark.slow
@here
@pytest.mark.parametrize("point", HERE)
def test_a_server_killed_often_at_one_step_loses_nothing(life: Life, point: str, seed: int) -> None:
    _kill_often(life, point, seed)


@pytest.mark.slow
@away
@pytest.mark.parametrize("point", AWAY)
def test_a_server_with_remote_disks_killed_often_at_one_step_loses_nothing(
    life: Life, point: str, seed: int
) -> None:
    _kill_often(life, point, seed)


@pytest.mark.slow
def test_a_server_killed_at_any_moment_loses_nothing(life: Life, seed: int) -> None:
    random = Random(seed)
    for _ in range(5 * TIMES):
        life.until_death("", seconds=random.uniform(0.05, 1.5))
    life.rest()


@here
@pytest.mark.parametrize("points", [SOME_OF_A_PUSH, pytest.param(OF_A_PUSH, marks=pytest.mark.slow)])
def test_a_push_outlives_its_server(disks: Disks, points: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command itself, whose server dies and is started again: it goes on by itself."""
    monkeypatch.setattr(connection, "ATTEMPTS", 12)
    servers = Servers(disks)
    try:
        for number, point in enumerate(points, 1):
            http = servers.start(point)
            key = http.headers["authorization"].removeprefix("Bearer ")
            monkeypatch.setenv("ENXERTO_API_KEY", key)
            pushing = (disks.adapter(number), "support", ["default", "canary"], str(http.base_url))
            with ThreadPoolExecutor() as pool:
                answer = pool.submit(push, *pushing)
                assert servers.wait() == -signal.SIGKILL, point
                servers.start()
                assert answer.result()["version"] == number, point
            servers.kill()
            servers.wait()
    finally:
        servers.close()


def _kill_often(life: Life, point: str, seed: int) -> None:
    random = Random(seed)
    for _ in range(TIMES):
        life.until_death(f"{point}:{random.randint(1, LATEST)}")
    life.rest()
