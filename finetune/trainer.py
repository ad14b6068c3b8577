"""TRL's SFTTrainer on rows that are already tokens, with the loss where something is learnt only."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from trl import SFTConfig, SFTTrainer

from data.errors import UserError
from finetune.recipe import Training
from finetune.render import Sample

IGNORED = -100


def table(rows: Sequence[Sample]) -> Any:
    """A `datasets.Dataset` with `input_ids` and `labels` (-100 where nothing is learnt)."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [row.input_ids for row in rows],
            "labels": [
                [
                    token if learnt else IGNORED
                    for token, learnt in zip(row.input_ids, row.completion_mask, strict=True)
                ]
                for row in rows
            ],
        }
    )


def collate(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad on the right to the longest row `[B, T]`.

    No attention mask: under a causal mask nothing that is learnt can see the padding behind it, and
    without one SDPA takes its fast path.
    """
    width = max(len(example["input_ids"]) for example in examples)

    def padded(key: str, filler: int) -> torch.Tensor:
        return torch.tensor([row[key] + [filler] * (width - len(row[key])) for row in examples])

    return {"input_ids": padded("input_ids", 0), "labels": padded("labels", IGNORED)}


def token_losses(model: Any, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each learnt token, `[learnt]`, in float32.

    Only learnt positions go through the output layer: it is a fifth of the small base's work, and at long
    contexts its logits are the largest tensor by far.
    """
    causal = model.get_base_model()
    hidden = causal.model(input_ids=input_ids, use_cache=False).last_hidden_state[:, :-1]
    learnt = labels[:, 1:] != IGNORED
    logits = causal.lm_head(hidden[learnt]).float()
    return torch.nn.functional.cross_entropy(logits, labels[:, 1:][learnt], reduction="none")


class StepSampler(torch.utils.data.Sampler[int]):
    """A random order whose steps are sorted by length inside, so that micro batches need little padding.

    Sorting over a longer stretch, as transformers' grouping by length does, would fill whole steps with
    one kind of conversation, and the model would swing from one to the next.
    """

    def __init__(self, lengths: Sequence[int], step: int, seed: int) -> None:
        self._lengths, self._step, self._seed = lengths, step, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        order = list(range(len(self._lengths)))
        random.Random(f"{self._seed} {self._epoch}").shuffle(order)
        for start in range(0, len(order), self._step):
            yield from sorted(order[start : start + self._step], key=self._lengths.__getitem__, reverse=True)


class Trainer(SFTTrainer):
    """SFTTrainer whose loss is `token_losses`, summed over the step and divided by its learnt tokens."""

    def _get_train_sampler(self, train_dataset: Any = None) -> StepSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        step = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        return StepSampler([len(ids) for ids in rows["input_ids"]], step, self.args.seed)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        unwrapped = self.accelerator.unwrap_model(model)
        # accelerate puts autocast around the model's own forward, which `token_losses` goes past.
        with self.accelerator.autocast():
            losses = token_losses(unwrapped, inputs["input_ids"], inputs["labels"])
        count = num_items_in_batch if num_items_in_batch is not None else max(losses.numel(), 1)
        loss = losses.sum() / count
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}; nothing was exported. Lower"
                " train.learning_rate, or look for odd samples with `finetune preview`."
            )
        return (loss, {"losses": losses}) if return_outputs else loss


def arguments(settings: Training, rows: int, folder: str, half: bool) -> SFTConfig:
    """The trainer's settings for `rows` rows; `folder` is where it may write.

    `half`: the base computes in bfloat16; the adapter's weights and their gradients stay float32.
    """
    micro = settings.micro_batch or settings.batch
    steps = settings.steps or max(1, round((settings.epochs or 1) * rows / settings.batch))
    return SFTConfig(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings.batch // micro,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=round(settings.warmup * steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip,
        seed=settings.seed,
        data_seed=settings.seed,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        bf16=half,
        gradient_checkpointing=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
