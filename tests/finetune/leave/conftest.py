"""The tiny base and adapters of these tests, made once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.finetune import tiny_awq as tiny


@dataclass(frozen=True)
class Home:
    """A home of the toolkit with one tiny AWQ base; `model` is the same base, dense, in float32."""

    base: Path
    model: Any
    folder: Path

    def adapter(self, name: str, **settings: Any) -> Path:
        """The adapter of that name, made on first use."""
        folder = self.folder / name
        if not folder.exists():
            tiny.make_adapter(folder, self.base, self.model, **settings)
        return folder


@pytest.fixture(scope="session")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("leave")
    awq = folder / "bases" / tiny.BASE
    awq.parent.mkdir()
    model = tiny.make_base(awq, base)
    return Home(awq, model, folder)


@pytest.fixture
def home(made: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The tiny home as `$ENXERTO_HOME`."""
    monkeypatch.setenv("ENXERTO_HOME", str(made.folder))
    return made
