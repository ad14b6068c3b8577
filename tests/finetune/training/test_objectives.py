"""Preferences against TRL's own DPOTrainer, on the same rows and the same weights."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer

from finetune.model import add_lora, load_base
from finetune.recipe import Lora
from finetune.training.collate import lay
from finetune.training.labels import IGNORED
from finetune.training.objectives import Preferred, Supervised
from tests.finetune import tiny_awq

BETA = 0.3


def model(home: Path) -> Any:
    torch.manual_seed(1)
    made = add_lora(load_base(home / "bases" / tiny_awq.BASE, "dense", torch.float32), Lora(r=4))
    with torch.no_grad():
        for name, p in made.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.05)
    return made


def pairs() -> list[dict[str, list[int]]]:
    generator = torch.Generator().manual_seed(0)

    def ids(length: int) -> list[int]:
        return torch.randint(3, 40000, (length,), generator=generator).tolist()  # type: ignore[no-any-return]

    return [
        {"prompt_ids": ids(prompt), "chosen_ids": ids(chosen), "rejected_ids": ids(rejected)}
        for prompt, chosen, rejected in [(20, 9, 14), (5, 30, 3), (50, 1, 7)]
    ]


def test_loss_and_gradients_are_those_of_trl(tiny_home: Path, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    ours, rows = model(tiny_home), []
    for pair in pairs():
        hidden = [IGNORED] * len(pair["prompt_ids"])
        for side in ("chosen_ids", "rejected_ids"):
            rows.append((pair["prompt_ids"] + pair[side], hidden + pair[side]))
    objective = Preferred(BETA)
    loss, extra = objective.loss(ours, lay(rows, 64))
    (loss / objective.weight(rows)).backward()

    theirs = model(tiny_home)
    base = theirs.get_base_model()
    base.set_attn_implementation("eager")
    config = DPOConfig(
        output_dir=str(tmp_path),
        beta=BETA,
        bf16=False,
        use_cpu=True,
        report_to=[],
        gradient_checkpointing=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = DPOTrainer(
            model=theirs,
            ref_model=_reference(tiny_home),
            args=config,
            # It wants texts; what is compared is the batch of tokens below.
            train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
            processing_class=AutoTokenizer.from_pretrained(tiny_home / "bases" / tiny_awq.BASE),
        )
    batch = trainer.data_collator(pairs())
    trl_loss = trainer.compute_loss(trainer.model, batch)
    trl_loss.backward()
    assert float(loss) / 3 == pytest.approx(float(trl_loss), rel=1e-5)
    metrics = trainer._metrics["train" if trainer.model.training else "eval"]
    assert float(extra["reward_accuracy"]) / 3 == pytest.approx(metrics["rewards/accuracies"][-1])
    assert float(extra["reward_margin"]) / 3 == pytest.approx(metrics["rewards/margins"][-1], rel=1e-4)
    grads = dict(theirs.named_parameters())
    compared = 0
    for name, p in ours.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(p.grad, grads[name].grad, rtol=1e-3, atol=1e-6)
            compared += 1
    assert compared > 20


def _reference(home: Path) -> Any:
    base = load_base(home / "bases" / tiny_awq.BASE, "dense", torch.float32)
    base.set_attn_implementation("eager")
    return base


def test_each_learnt_token_counts_the_same() -> None:
    rows = [([1, 2, 3], [IGNORED, 2, 3]), ([1, 2], [1, 2])]
    assert Supervised().weight(rows) == 3  # a row's first token has nothing before it
