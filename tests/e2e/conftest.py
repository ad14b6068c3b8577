"""What several of these tests begin with."""

from pathlib import Path

import pytest

from tests.conftest import Server
from tests.e2e import quince


@pytest.fixture(scope="session")
def trained(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an adapter that knows `quince.SECRET`; look, and copy it to change it."""
    return quince.train(server.base.name, tmp_path_factory.mktemp("quince"))
