"""A version whose probes disagree with the engine is not ready; the verdict is kept."""

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from data.probes import FILE, Place, Probe, Probes, Rounding
from serve.parity import BASE_KL, Agreement
from serve.probing import Prober, judge
from serve.registry.records import Version
from tests.serve import tiny
from tests.serve.tiny import TinyEngine

PLACES = [3, 4, 5]


def said(token: int) -> list[tuple[int, float]]:
    return [(token, math.log(0.5)), (0, math.log(0.25))]


def probes(says: int = 1) -> Probes:
    """What a trainer wrote whose model is the tiny engine's, with the adapter's tokens `says` further on."""
    places = [Place(at=at, base=said(at), adapter=said(at + says)) for at in PLACES]
    return Probes(
        computed="dense float32", probes=[Probe(source="heldout", token_ids=[1] * 6, places=places)]
    )


class Scene:
    """A registry with one version whose adapter brought `brought`."""

    def __init__(self, folder: Path, brought: Probes | None) -> None:
        base = tiny.make_base(folder / "base")
        adapter = tiny.make_adapter(folder / "adapter", base)
        if brought:
            (adapter / FILE).write_text(brought.model_dump_json())
        self.registry = tiny.make_registry(folder / "registry", base)
        self.version: Version = self.registry.add("support", tiny.check_adapter(adapter, base))
        self.engine = TinyEngine(base.manifest.name)
        self.prober = Prober(self.engine, self.registry.storage)

    def probe(self) -> None:
        asyncio.run(self.prober(self.version))

    def verdict(self) -> Any:
        return self.registry.storage.verdicts.find(self.version.digest, self.engine.identity)


def test_an_engine_that_says_the_same_lets_it_in(tmp_path: Path) -> None:
    scene = Scene(tmp_path, probes())
    scene.probe()
    assert scene.verdict().why is None
    assert scene.verdict().found["adapter"] == {"places": 3, "top1": 1.0, "mean_kl": 0.0, "max_kl": 0.0}


def test_another_adapter_than_was_trained_stays_out_and_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, probes(says=2))
    with pytest.raises(UserError, match="parity: with the adapter the engine answers otherwise"):
        scene.probe()
    monkeypatch.setattr(scene.engine, "likeliest", None)
    with pytest.raises(UserError, match="parity: with the adapter"):
        scene.probe()


def test_another_engine_is_asked_anew(tmp_path: Path) -> None:
    scene = Scene(tmp_path, probes(says=2))
    with pytest.raises(UserError):
        scene.probe()
    scene.engine.identity, scene.engine.says = "tiny 2", 2
    scene.probe()


def test_an_engine_that_does_not_apply_the_adapter_is_found_out(tmp_path: Path) -> None:
    scene = Scene(tmp_path, probes())
    scene.engine.says = 0
    with pytest.raises(UserError, match="the adapter changes next to nothing here"):
        scene.probe()


def test_a_version_without_probes_is_let_in_without_a_verdict(tmp_path: Path) -> None:
    scene = Scene(tmp_path, None)
    scene.probe()
    assert scene.verdict() is None


def test_a_base_that_answers_otherwise_is_to_blame_itself() -> None:
    good, bad = Agreement(10, 1.0, 0.0, 0.0), Agreement(10, 0.5, 1.0, 3.0)
    assert judge(good, good, 0.5, 0.5) is None
    assert "the base itself answers otherwise" in str(judge(bad, bad, 0.5, 0.5))
    assert "with the adapter the engine answers otherwise" in str(judge(good, bad, 0.5, 0.5))


@pytest.mark.parametrize(
    ("divergence", "magnified", "let_in"),
    [
        (0.0012, 1, True),
        (0.003, 1, False),
        (0.003, 4, True),
        (0.0009, 0.1, True),
        (0.009, 4, False),
        (1.1 * BASE_KL, 1e9, False),
    ],
)
def test_an_adapter_may_diverge_as_far_as_it_magnifies_rounding(
    divergence: float, magnified: float, let_in: bool
) -> None:
    base, adapter = Agreement(128, 1.0, 0.0007, 0.01), Agreement(128, 1.0, divergence, 0.1)
    why = judge(base, adapter, 0.5, 0.5, Rounding(base=0.004, adapter=0.004 * magnified))
    assert (why is None) == let_in


def test_an_adapter_is_measured_by_the_base_where_no_rounding_is_known() -> None:
    base, adapter = Agreement(128, 1.0, 0.0007, 0.01), Agreement(128, 1.0, 0.003, 0.1)
    assert judge(base, adapter, 0.5, 0.5)
    assert judge(base, adapter, 0.5, 0.5, Rounding(base=0, adapter=0))


@pytest.mark.parametrize(("effect", "let_in"), [(1.4, True), (0.1, False)])
def test_what_an_adapter_adds_is_rounded_as_well(effect: float, let_in: bool) -> None:
    """As it was measured where the base's own products are in float32."""
    base, adapter = Agreement(71, 1.0, 0.00012, 0.0005), Agreement(71, 1.0, 0.000635, 0.022)
    assert (judge(base, adapter, effect, effect) is None) == let_in
