"""Whether the adapter of a recipe will fit its base and a server."""

from pathlib import Path

from data.limits import LORA_RANKS, MAX_LORA_RANK
from finetune.base.modules import adaptable, unknown_targets
from finetune.recipe import Lora
from finetune.validate.tally import Finding


def fit(lora: Lora, where: str, base: Path | None) -> list[Finding]:
    """What is wrong with `lora` of the recipe `where`; targets are checked where `base` is a folder."""
    found = []
    if lora.r > MAX_LORA_RANK:
        # The server's own limit is one of these, an adapter's rank may be any number up to it.
        enough = min(rank for rank in LORA_RANKS if rank >= lora.r)
        found.append(
            Finding(
                "lora_rank",
                where,
                f"lora.r is {lora.r}, and a server holds ranks up to {MAX_LORA_RANK} unless it is started"
                f" with --max-lora-rank {enough}; start it so, or lower lora.r.",
            )
        )
    modules = adaptable(base) if base else []
    if modules and (problem := unknown_targets(lora.targets, modules)):
        found.append(Finding("lora_targets", where, problem))
    return found
