"""The real AutoAWQ, in its own environment, on a tiny model: right with the fix, destroyed without it."""

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AwqConfig

from finetune.base.build import quantize_python
from finetune.model import load_base
from tests.finetune.tiny import save_dense

SCRIPT = Path("finetune/base/quantize.py")
GROUP = 64


def quantise(dense: Path, out: Path, script: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(5, 49000, (8, 64), generator=generator).tolist()
    calibration = dense / "calibration.json"
    calibration.write_text(json.dumps(rows))
    command = [quantize_python(), script, dense, out, calibration, str(GROUP)]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(dense / name, out / name)


def distance(folder: Path, logits: torch.Tensor, ids: torch.Tensor) -> float:
    """Relative error of the quantised model's logits."""
    with torch.no_grad():
        quantised = load_base(folder, "dense", torch.float32)(input_ids=ids).logits
    return float((quantised - logits).norm() / logits.norm())


def _rounding_error(model: Any, logits: torch.Tensor, ids: torch.Tensor) -> float:
    """The same relative error for plain round-to-nearest in groups, which AWQ's search must beat."""
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in rounded.named_parameters():
            if "proj" in name:
                groups = weight.view(weight.shape[0], -1, GROUP)
                low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
                scale = (high - low) / 15
                weight.copy_((((groups - low) / scale).round() * scale + low).view_as(weight))
        result = rounded(input_ids=ids).logits
    return float((result - logits).norm() / logits.norm())


def test_autoawq_is_right_with_the_fix_and_wrong_without(base: Path, tmp_path: Path) -> None:
    dense = tmp_path / "dense"
    model = save_dense(dense, base)
    ids = torch.randint(5, 49000, (2, 48), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits = model(input_ids=ids).logits

    quantise(dense, tmp_path / "fixed", SCRIPT)
    fixed = distance(tmp_path / "fixed", logits, ids)

    unfixed_script = tmp_path / "unfixed.py"
    unfixed_script.write_text(SCRIPT.read_text().replace("quantizer_cls=SafeQuantizer,\n", ""))
    assert unfixed_script.read_text() != SCRIPT.read_text()
    quantise(dense, tmp_path / "unfixed", unfixed_script)
    unfixed = distance(tmp_path / "unfixed", logits, ids)

    print(f"relative error of the logits: {fixed:.3f} with the fix, {unfixed:.3f} without")
    assert fixed < _rounding_error(model, logits, ids)
    assert unfixed > 2 * fixed


def test_our_unpacking_equals_gptqmodels(base: Path) -> None:
    """transformers and gptqmodel read the same checkpoint on their own; the logits agree."""
    ids = torch.randint(5, 49000, (1, 24), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = load_base(base, "dense", torch.float32)(input_ids=ids).logits
        config = AwqConfig(bits=4, group_size=64, zero_point=True, backend="torch_awq")
        gptqmodels = AutoModelForCausalLM.from_pretrained(
            base, quantization_config=config, device_map="cpu", dtype=torch.float32
        )
        theirs = gptqmodels(input_ids=ids).logits
    assert float((ours - theirs).norm() / ours.norm()) < 2e-3
