"""`make bench-parity`: the trainer's model beside the engine's, for the base and for three trained adapters.

Each adapter is then broken in ways that no shape shows, and must come out far from its own probes.
"""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.results import Goal
from data.home import base_folder
from data.manifest import read_base
from data.probes import FILE, Probes
from finetune.recipe import Recipe
from finetune.train import train
from serve.probing import replay
from serve.registry.records import Version
from serve.settings import Settings
from tests.e2e.faults import FAULTS

STEPS = 120
BASE = "smollm2-135m-instruct-awq"
ADAPTERS: dict[str, dict[str, Any]] = {
    "rank 8 on q and v": {"r": 8, "alpha": 16, "targets": ["q_proj", "v_proj"]},
    "rank 16 on all": {"r": 16, "alpha": 32},
    "rank 64 on all": {"r": 64, "alpha": 64},
}
GOOD = "as trained"

console = Console(highlight=False)


def measured(folder: Path) -> tuple[list[dict[str, Any]], list[Goal]]:
    """A row for each adapter as it was trained, and with each fault; what is made goes to `folder`."""
    adapters = {name: _trained(folder, name, lora) for name, lora in ADAPTERS.items()}
    rows = asyncio.run(_measure(adapters, folder))
    return rows, _goals(rows)


def _goals(rows: list[dict[str, Any]]) -> list[Goal]:
    good, broken = ([row for row in rows if (row["what"] == GOOD) == kind] for kind in (True, False))
    agree = min(min(row["base"]["top1"], row["adapter"]["top1"]) for row in good)
    worst = max(row["adapter"]["mean_kl"] for row in good)
    mildest = min(row["adapter"]["mean_kl"] for row in broken)
    let_in, kept_out = sum(row["why"] is None for row in good), sum(row["why"] is not None for row in broken)
    all_good, all_broken = (f"{len(ones)} of {len(ones)}" for ones in (good, broken))
    times = mildest / worst
    return [
        Goal("trained adapters let in", all_good, str(let_in), let_in == len(good)),
        Goal("broken ones kept out", all_broken, str(kept_out), kept_out == len(broken)),
        Goal("likeliest token the same, base and adapters", ">= 99%", f"{agree:.1%}", agree >= 0.99),
        Goal("mean divergence, mildest fault over worst good one", "> 2", f"{times:.1f}", times > 2),
    ]


def _trained(folder: Path, name: str, lora: dict[str, Any]) -> Path:
    output = folder / name.replace(" ", "-")
    if not (output / FILE).is_file():
        console.print(f"training {name}: {STEPS} steps")
        train(
            Recipe.model_validate(
                {
                    "name": "parity",
                    "base": BASE,
                    "data": {"train": ["data/samples/train.jsonl"], "max_length": 1536, "heldout": 0.02},
                    "lora": lora,
                    "train": {
                        "steps": STEPS,
                        "batch": 1,
                        "learning_rate": 5e-4,
                        "lora_plus": 8,
                        "evaluation": {"steps": 1000},
                    },
                    "output": str(output),
                    "track": {"wandb": "off", "generations": 0},
                }
            )
        )
    return output


async def _measure(adapters: dict[str, Path], scratch: Path) -> list[dict[str, Any]]:
    from serve.engine.vllm import VllmEngine

    base = base_folder(BASE)
    engine = VllmEngine(
        Settings(base=read_base(base), folder=base.resolve(), max_model_len=2048, max_lora_rank=64)
    )
    await engine.start()
    rows = []
    try:
        for number, (name, folder) in enumerate(adapters.items()):
            probes = Probes.model_validate_json((folder / FILE).read_bytes())
            for what, change in {GOOD: _nothing, **FAULTS}.items():
                broken = scratch / f"{number}-{what.replace(' ', '-')}"
                shutil.copytree(folder, broken)
                change(broken)
                version = Version(f"a{number}", 1, what, 64, "", broken, datetime.now(UTC))
                await engine.add(version)
                verdict = await replay(engine, probes, version)
                await engine.remove(version)
                rows.append({"recipe": name, "what": what, "why": verdict.why, **verdict.found})
                console.print(_line(rows[-1]))
    finally:
        await engine.close()
    return rows


def _line(row: dict[str, Any]) -> str:
    base, adapter = row["base"], row["adapter"]
    said = "kept out" if row["why"] else "let in"
    return (
        f"{row['recipe']:<20}{row['what']:<22}{said:<10}base KL {base['mean_kl']:.5f}, adapter"
        f" {adapter['mean_kl']:.5f} (most {adapter['max_kl']:.3f}), likeliest the same {adapter['top1']:.0%}"
    )


def _nothing(folder: Path) -> None:
    pass
