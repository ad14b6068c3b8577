"""Fourteen layouts of the world: each does what PEFT does with it, or is refused in a sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.errors import UserError
from data.manifest import read_base
from serve.adopt.adopt import adopt
from serve.adopt.folder import look
from serve.registry import base_modules, validate
from tests.adopted.conftest import Grafts

NAMES = [
    "PEFT now",
    "PEFT 0.4.0",
    "PEFT 0.10.0",
    "TRL checkpoint",
    "PEFT patterns",
    "Unsloth",
    "LLaMA-Factory",
    "ms-swift",
    "axolotl",
    "DeepSpeed state dict",
    "within a multimodal model",
    "mistral-finetune",
    "trained head",
    "PiSSA",
]
IDS = torch.tensor([[1, 4093, 28, 42, 7, 260, 198, 5, 980, 11, 3]])


def logits(model: Any, folder: Path | None) -> torch.Tensor:
    """What the base says with PEFT's adapter in `folder`, in float64 where rounding does not hide a fault."""
    from peft import PeftModel

    with torch.inference_mode():
        if folder is None:
            return model(input_ids=IDS).logits
        adapted = PeftModel.from_pretrained(model, folder).eval()
        try:
            return adapted(input_ids=IDS).logits
        finally:
            adapted.unload()


def test_the_corpus_is_what_the_tests_name(grafts: Grafts) -> None:
    assert list(grafts.samples) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_does_what_peft_does_or_is_refused_by_name(name: str, grafts: Grafts, tmp_path: Path) -> None:
    sample = grafts.samples[name]
    out = tmp_path / "adapter"
    if sample.refused:
        with pytest.raises(UserError, match=sample.refused) as caught:
            adopt(look(sample.folder), grafts.layout, out, "folder x", "x")
        assert "\n" not in str(caught.value)
        assert not out.exists()
        return
    manifest = adopt(look(sample.folder), grafts.layout, out, "folder x", "x")
    checked = validate.check(
        out, read_base(grafts.base), base_modules.read(grafts.base), grafts.layout.max_lora_rank
    )
    assert checked.manifest == manifest
    base, theirs, ours = (logits(grafts.model, each) for each in (None, sample.reference, out))
    moved = (theirs - base).abs().max()
    assert moved > 0.05, "the sample itself is inert"
    assert (ours - theirs).abs().max() < 1e-3 * moved
