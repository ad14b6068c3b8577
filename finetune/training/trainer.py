"""TRL's SFTTrainer with steps, loss, evaluation and checkpoints of our own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from data.errors import UserError
from finetune import disk
from finetune.recipe import Training
from finetune.training import checkpoint, processes, randomness
from finetune.training.checkpoint import PENDING, Checkpoint
from finetune.training.objectives import Objective
from finetune.training.steps import Step, Steps, only
from finetune.training.stopping import Abandoned, Stopping

WEIGHTS, STATE = "adapter.safetensors", "trainer_state.json"


@dataclass(frozen=True)
class Run:
    """What the trainer is told besides transformers' settings.

    `where` names the source of a row of the training table; `check` proves that gradients still reach the
    adapter; `say` hears of each evaluation.
    """

    settings: Training
    objective: Objective
    steps: Steps
    heldout: Steps | None
    where: Callable[[int], str]
    check: Callable[[], None]
    say: Callable[[dict[str, Any]], None]
    stopping: Stopping
    checkpoints: Path


class Trainer(SFTTrainer):
    """Runs `run.steps`; `stopped` says why it ended: "finished", "early stop", or "interrupted"."""

    def __init__(self, run: Run, **options: Any) -> None:
        super().__init__(**options)
        self.run = run
        self.stopped = "finished"
        self._step: Step | None = None
        self._within: dict[str, Any] | None = None
        self._evaluated_at = 0
        self._saved_at = time.monotonic()
        self._save_due = False
        self.add_callback(_Flow(self))
        # No DistributedDataParallel: `processes.add_up` does its work.
        self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)

    def go(self, resume: Checkpoint | None) -> None:
        """Train from `resume`, or from the start, until the steps are done or somebody wants the end."""
        self.args.eval_on_start = bool(resume and resume.notes.get(PENDING))
        try:
            self.train(resume_from_checkpoint=str(resume.folder) if resume else None)
        except Abandoned:
            self.stopped = "interrupted"
            done = self.state.global_step
            if done and not checkpoint.folder_of(self.run.checkpoints, done).is_dir():
                self._save_checkpoint(self.model, None)

    # ---- a step

    def get_train_dataloader(self) -> DataLoader[Step]:
        # On CUDA the next step's tensors are made while this one is computed; on CPU they cost nothing.
        workers = 1 if torch.cuda.is_available() else 0
        return DataLoader(self.run.steps, batch_size=1, collate_fn=only, num_workers=workers)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward of every pass of the step `inputs`; the step's loss, over all processes."""
        step: Step = inputs
        self._step, self._within = step, randomness.capture()
        model.train()
        adapter = [p for p in model.parameters() if p.requires_grad]
        for p in adapter:
            if p.grad is None:  # a process may have no row of this step
                p.grad = torch.zeros_like(p)
        sums = self._passes(model, step, lambda loss: (loss / step.weight).backward())
        asked = [float(bool(self.run.stopping.signal)), float(self._time_to_save())]
        wishes = torch.tensor(asked, device=self.args.device)
        values = torch.stack(list(sums.values()))
        processes.add_up([*(p.grad for p in adapter), values, wishes])
        if wishes[0]:
            self.stopped = "interrupted"
        self._save_due = bool(wishes[1])
        self._within = None
        for name, value in zip(sums, values.tolist(), strict=True):
            if name != "loss":
                self._metrics["train"][name].append(value / step.weight)
        self._metrics["train"]["tokens"].append(step.tokens)
        self._metrics["train"]["learnt"].append(step.learnt)
        loss = values[0] / step.weight
        if not torch.isfinite(loss):
            raise self._not_finite("loss", loss.item())
        return loss

    def _passes(
        self, model: Any, step: Step, use: Callable[[torch.Tensor], None] | None = None
    ) -> dict[str, torch.Tensor]:
        """The sums of this process's passes, the loss first; each pass's loss is given to `use`."""
        unwrapped = self.accelerator.unwrap_model(model)
        sums = {
            name: torch.zeros((), device=self.args.device) for name in ("loss", *self.run.objective.extra)
        }
        for batch in step.passes:
            if processes.count() == 1:  # several have to agree on the end, which they do after the step
                self.run.stopping.check()
            loss, extra = self.run.objective.loss(unwrapped, batch.to(self.args.device))
            if use is not None:
                use(loss)
            for name, value in {"loss": loss.detach(), **extra}.items():
                sums[name] += value
        return sums

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        if not torch.isfinite(norm):
            raise self._not_finite("gradient's norm", norm.item())
        return norm

    def _not_finite(self, what: str, value: float) -> UserError:
        assert self._step is not None
        places = list(dict.fromkeys(self.run.where(place) for place in self._step.examples))
        more = f" and {len(places) - 8} more" if len(places) > 8 else ""
        return UserError(
            f"the {what} is {value} at step {self._step.number + 1}, with learning rate"
            f" {self._get_learning_rate():.3g}, on {', '.join(places[:8])}{more}; nothing was exported. Look"
            " at these samples with `finetune preview`, or lower train.learning_rate."
        )

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> None:
        return None  # a step knows its weight

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # transformers would look for tensors that a step keeps elsewhere

    # ---- evaluation

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Held-out loss, over all processes; sets what the run does next."""
        assert self.run.heldout is not None
        started = time.monotonic()
        self.model.eval()
        total, weight, tokens = torch.zeros((), device=self.args.device), 0.0, 0
        with torch.no_grad():
            for number in range(len(self.run.heldout)):
                step = self.run.heldout[number]
                total += self._passes(self.model, step)["loss"]
                weight += step.weight
                tokens += step.tokens
        processes.add_up([total])
        loss = float(total) / weight
        with randomness.kept():
            self.run.check()
        self._evaluated_at = self.state.global_step
        self.control.should_evaluate = False
        best = self.state.best_metric is None or loss < self.state.best_metric
        if best:
            self.state.best_metric, self.state.best_global_step = loss, self.state.global_step
        self.control.should_save = self.control.should_save or best
        patience = self.run.settings.evaluation.patience
        if patience and self.state.global_step - self.state.best_global_step >= patience * self.every:
            self.control.should_training_stop = self.control.should_save = True
            self.stopped = "early stop"
        self.run.say(
            {
                "step": self.state.global_step,
                "heldout_loss": loss,
                "heldout_tokens": tokens,
                "best": best,
                "evaluation_seconds": round(time.monotonic() - started, 2),
            }
        )
        return {"eval_loss": loss}

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        return False  # `evaluate` has done it

    @property
    def every(self) -> int:
        """Steps between two evaluations."""
        return self.run.settings.evaluation.steps or max(1, -(-len(self.run.steps) // 10))

    # ---- checkpoints

    def _time_to_save(self) -> bool:
        minutes = self.run.settings.checkpoints.minutes
        return processes.first() and time.monotonic() - self._saved_at > 60 * minutes

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step, parent = self.state.global_step, self.run.checkpoints
        if self._within is not None:  # the step that was abandoned will be taken again
            randomness.restore(self._within)
        self._saved_at = time.monotonic()
        parent.mkdir(exist_ok=True)
        trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
        staged = checkpoint.staged(parent, step)
        if processes.first():
            disk.need(parent, checkpoint_size(trained), f"the checkpoint of step {step}")
            checkpoint.stage(parent, step)
            save_file({name: p.cpu().contiguous() for name, p in trained.items()}, staged / WEIGHTS)
            self._save_optimizer_and_scheduler(str(staged))
            self.state.log_history = []  # metrics.jsonl has it
            self.state.save_to_json(str(staged / STATE))
        processes.wait()
        self._save_rng_state(str(staged))
        processes.wait()
        if processes.first():
            due = self.run.heldout is not None and (step % self.every == 0 or step == len(self.run.steps))
            pending = due and self._evaluated_at != step
            checkpoint.seal(staged, step, {PENDING: pending})
            checkpoint.prune(parent, self.run.settings.checkpoints.keep, self.state.best_global_step)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_adapter(self.model, Path(resume_from_checkpoint))


class _Flow(TrainerCallback):
    """What follows a step: evaluation, checkpoint, end."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer, settings = self._trainer, self._trainer.run.settings
        last = state.global_step == len(trainer.run.steps)
        interrupted = trainer.stopped == "interrupted"
        every = settings.checkpoints.steps
        due = last or state.global_step % trainer.every == 0
        control.should_evaluate = trainer.run.heldout is not None and due and not interrupted
        control.should_save = bool(
            last or interrupted or trainer._save_due or (every and state.global_step % every == 0)
        )
        control.should_training_stop = last or interrupted


def load_adapter(model: Any, folder: Path) -> None:
    """Set the trainable matrices of `model` to those of a checkpoint."""
    saved = load_file(folder / WEIGHTS)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad:
                p.copy_(saved[name])


def checkpoint_size(trained: dict[str, torch.Tensor]) -> int:
    """Bytes on disk: the adapter, and at most two float32 moments of each number."""
    return int(sum(p.numel() * (p.element_size() + 8) for p in trained.values())) + (1 << 20)


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


def arguments(settings: Training, steps: int, folder: Path) -> SFTConfig:
    """transformers' settings for a run of `steps` steps; `folder` is where it may write."""
    recompute = settings.gradient_checkpointing
    return SFTConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=settings.learning_rate,
        optim={"adamw": "adamw_torch_fused", "adafactor": "adafactor", "sgd": "sgd"}[settings.optimizer],
        lr_scheduler_type=settings.schedule,
        warmup_steps=round(settings.warmup * steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip,
        seed=settings.seed,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        bf16=False,  # the base computes in its own dtype, and the LoRA layers cast for themselves
        gradient_checkpointing=torch.cuda.is_available() if recompute is None else recompute,
        use_cpu=not torch.cuda.is_available(),
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
