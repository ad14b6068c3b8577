"""Never a wrong answer and never a lost one: 12 adapters of 3 versions on 4 slots under constant change.

`tests/e2e/canaries.py` says why one token of another version shows, `tests/e2e/storm.py` what goes on.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.flock import Flock, aviary, connect
from tests.e2e.storm import Storm, Tally

pytestmark = pytest.mark.e2e

SEED = 6


@pytest.fixture(scope="module")
def flock(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flock]:
    with aviary(tmp_path_factory.mktemp("aviary"), tokenizer=base) as server:
        yield Flock(server, tmp_path_factory.mktemp("canaries"))


@pytest.mark.parametrize(
    "requests",
    [200, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_every_answer_is_its_versions_own(flock: Flock, requests: int) -> None:
    print(f"seed {SEED}")

    async def scene() -> Tally:
        async with connect(flock.server) as client:
            await flock.listen(client)
            return await Storm(flock, requests, SEED).run(client)

    tally = asyncio.run(scene())
    said = "\n".join(tally.failures[:20])
    assert not tally.failures, f"{len(tally.failures)} of {tally.answers}:\n{said}"
    assert tally.answers == requests
    assert len(tally.by) == 6, f"not every kind of request was made: {tally.by}"
    assert tally.moves.keys() >= {"promote", "roll_back", "pin", "bury"}, tally.moves
