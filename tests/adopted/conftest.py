"""The tiny base with its dense model, and the corpus on it, made once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data.manifest import read_base
from serve.adopt.layout import BaseLayout
from serve.routes.base import layout_of
from serve.settings import Settings
from tests.adopted.corpus import Maker, Sample, make
from tests.finetune import tiny_awq
from tests.serve.conftest import s3, s3_url

__all__ = ["s3", "s3_url"]

SIZE = 0.1


@dataclass(frozen=True)
class Grafts:
    """A home with one tiny AWQ base, its dense model, what a server says of it, and the corpus on it."""

    home: Path
    base: Path
    model: Any
    layout: BaseLayout
    samples: dict[str, Sample]


@pytest.fixture(scope="session")
def grafts(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Grafts:
    home = tmp_path_factory.mktemp("adopted")
    folder = home / "bases" / tiny_awq.BASE
    folder.parent.mkdir()
    model = tiny_awq.make_base(folder, base)
    layout = layout_of(Settings(base=read_base(folder), folder=folder, max_lora_rank=64))
    samples = make(Maker(home / "corpus", folder, model, SIZE))
    # As a client gets it.
    layout = BaseLayout.model_validate_json(layout.model_dump_json())
    return Grafts(home, folder, model, layout, {sample.name: sample for sample in samples})
