"""One run of plain TRL and PEFT: `python -m bench.train.plain awq|dense STREAM`; prints JSON.

Rank, targets, optimiser, learning rate and tokens are those of the bench; all else is TRL's default.
"""

import sys
import tempfile
import time
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from bench.train.measure import report
from bench.train.stream import BASE, BATCH, STEPS, recipe, rows
from data.home import base_folder
from finetune.model import load_base


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self._started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self._started)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def main(kind: str, stream: str) -> None:
    folder, clock = base_folder(BASE), _Clock()
    table = Dataset.from_list([{k: row[k] for k in ("input_ids", "labels")} for row in rows(stream)])
    with tempfile.TemporaryDirectory() as scratch:
        from pathlib import Path

        told = recipe(Path(scratch) / "adapter")
        torch.manual_seed(told.train.seed)
        trainer = SFTTrainer(
            model=_model(kind),
            args=SFTConfig(
                output_dir=scratch,
                max_steps=STEPS,
                per_device_train_batch_size=BATCH,
                learning_rate=told.train.learning_rate,
                lr_scheduler_type="linear",
                train_sampling_strategy="sequential",
                dataset_kwargs={"skip_prepare_dataset": True},
                use_cpu=True,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=table,
            processing_class=AutoTokenizer.from_pretrained(folder),
            peft_config=LoraConfig(
                r=told.lora.r,
                lora_alpha=int(told.lora.alpha),
                target_modules=told.lora.targets,
                task_type="CAUSAL_LM",  # type: ignore[arg-type]
            ),
            callbacks=[clock],
        )
        trainer.train()
    report(clock.seconds, clock.losses, stream, kind)


def _model(kind: str) -> Any:
    if kind == "awq":
        return AutoModelForCausalLM.from_pretrained(base_folder(BASE))
    model = load_base(base_folder(BASE), "dense", torch.bfloat16)
    model.set_attn_implementation("sdpa")
    return model


if __name__ == "__main__":
    main(*sys.argv[1:3])
