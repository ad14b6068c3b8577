"""Servers to attack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.hostile.attack import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for all attacks of a file: what one of them left behind would show in the next."""
    with World.made(tmp_path_factory.mktemp("hostile"), stall_seconds=5) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    with World.made(tmp_path) as made:
        yield made
