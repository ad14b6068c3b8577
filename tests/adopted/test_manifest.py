"""A manifest that says `adopted`, as a client of one's own may write it: held to what ours is held to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from serve.adopt.adopt import adopt
from serve.adopt.folder import look
from serve.registry.provenance import provenance
from tests.adopted import plain
from tests.serve import tiny
from tests.serve.tiny import Base


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return tiny.make_base(tmp_path / "base", modules=plain.MODULES)


@pytest.fixture
def adapter(tmp_path: Path, base: Base) -> Path:
    layout = plain.LAYOUT.model_copy(update={"fingerprint": base.manifest.fingerprint})
    adopt(look(plain.write(tmp_path / "in")), layout, tmp_path / "out", "folder in", "x")
    return tmp_path / "out"


def test_it_enters_with_what_is_known_of_it(adapter: Path, base: Base) -> None:
    checked = tiny.check_adapter(adapter, base)
    told = provenance(checked, "nobody was there to compute them.")
    assert told["adopted"]["source"] == "folder in"
    assert told["adopted"]["without_probes"] == "nobody was there to compute them."
    assert told["coverage"] == {"changed": 6, "modules": 6}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda told: told["base"].update(fingerprint="sha256:0"), "was mapped to base 'tiny-awq'"),
        (lambda told: told.update(adopted=None), "no adapter manifest"),
        (lambda told: told.update(adopted={}), "adopted.source: missing"),
        (lambda told: told.update(hook="os.system"), "hook: unknown key"),
        (lambda told: told["adopted"].update(trusted=True), "trusted: unknown key"),
        (lambda told: told["adopted"].update(source="a\x1b[2J"), "control character"),
        (lambda told: told["adopted"].update(claimed_base="x" * 2000), "at most 1024 characters"),
        (lambda told: told["adopted"].update(known_base="yes"), "known_base"),
        (lambda told: told.update(renderer={}), "renderer: unknown key"),
        (lambda told: told["files"].clear(), "does not describe this adapter_config.json"),
        (lambda told: told["files"]["adapter_config.json"].update(size=1), "does not describe"),
    ],
)
def test_what_is_not_one_is_refused(
    change: Callable[[dict[str, Any]], object], why: str, adapter: Path, base: Base
) -> None:
    path = adapter / "manifest.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(UserError) as caught:
        tiny.check_adapter(adapter, base)
    assert why in str(caught.value) and "\n" not in str(caught.value)
