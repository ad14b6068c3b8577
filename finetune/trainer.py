"""TRL's SFTTrainer on rows that are already tokens, with the loss where something is learnt only."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import torch
from trl import SFTConfig, SFTTrainer

from data.errors import UserError
from finetune.recipe import Training
from finetune.render import Sample

IGNORED = -100
_ROUND = 64


def table(rows: Sequence[Sample]) -> Any:
    """A `datasets.Dataset` with `input_ids` and `labels` (-100 where nothing is learnt)."""
    from datasets import Dataset

    return Dataset.from_list([labelled(row) for row in rows])


def labelled(row: Sample) -> dict[str, list[int]]:
    """One row of `table`."""
    pairs = zip(row.input_ids, row.completion_mask, strict=True)
    return {"input_ids": row.input_ids, "labels": [token if learnt else IGNORED for token, learnt in pairs]}


def collate(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """Lay rows end to end, `[1, N]`, without padding between them; `rows` holds their lengths.

    `position_ids` starts again at 0 with each row, from which transformers knows them apart on CUDA. A
    row's first token is never a label: what stands before it belongs to another row. On CPU a filler row
    brings N to a multiple of `_ROUND`, because the first product of each new shape costs a compilation.
    """
    rows = [len(example["input_ids"]) for example in examples]
    if not torch.cuda.is_available() and (short := -sum(rows) % _ROUND):
        examples = [*examples, {"input_ids": [0] * short, "labels": [IGNORED] * short}]
        rows.append(short)

    def joined(parts: Iterable[Sequence[int]]) -> torch.Tensor:
        return torch.tensor([list(chain.from_iterable(parts))])

    return {
        "input_ids": joined(example["input_ids"] for example in examples),
        "labels": joined([IGNORED, *example["labels"][1:]] for example in examples),
        "position_ids": joined(range(length) for length in rows),
        "rows": rows,
    }


def token_losses(model: Any, labels: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """Cross entropy of each learnt token, `[learnt]`, in float32.

    Only learnt positions go through the output layer: it is a fifth of the small base's work, and at long
    contexts its logits are the largest tensor by far.
    """
    causal = model.get_base_model()
    hidden = causal.model(**inputs, use_cache=False).last_hidden_state[:, :-1]
    learnt = labels[:, 1:] != IGNORED
    logits = causal.lm_head(hidden[learnt]).float()
    return torch.nn.functional.cross_entropy(logits, labels[:, 1:][learnt], reduction="none")


class Trainer(SFTTrainer):
    """SFTTrainer whose loss is `token_losses`, summed over the step and divided by its learnt tokens."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        unwrapped = self.accelerator.unwrap_model(model)
        # accelerate puts autocast around the model's own forward, which `token_losses` goes past.
        with self.accelerator.autocast():
            losses = token_losses(unwrapped, **inputs)
        count = num_items_in_batch if num_items_in_batch is not None else max(losses.numel(), 1)
        loss = losses.sum() / count
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}; nothing was exported. Lower"
                " train.learning_rate, or look for odd samples with `finetune preview`."
            )
        return (loss, {"losses": losses}) if return_outputs else loss


def optimizer(model: Any, settings: Training, args: SFTConfig) -> torch.optim.Optimizer:
    """`args`' own optimiser, with `lora_plus` times its learning rate on the matrices B."""
    from peft.optimizers import create_loraplus_optimizer

    kind, options = SFTTrainer.get_optimizer_cls_and_kwargs(args)
    made: torch.optim.Optimizer = create_loraplus_optimizer(
        model,
        kind,
        loraplus_lr_ratio=settings.lora_plus,
        loraplus_weight_decay=settings.weight_decay,
        **options,
    )
    return made


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
