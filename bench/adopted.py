"""`make bench-adopted`: fourteen layouts of adapters, through `serve push`'s mapping and in plain vLLM.

The truth is what PEFT says of each on the base, token by token. Each must answer as PEFT does, or be refused
in one sentence; none may be inert. Plain vLLM is given the same folders as they are. PEFT 0.4 and 0.10 are
installed into a folder of their own, to write with their own code.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from bench.command import run
from bench.results import Goal, show, write
from data.errors import UserError
from data.home import base_folder
from data.manifest import read_base
from data.probes import Probes

BASE = "smollm2-135m-instruct-awq"
RESULTS = Path("bench/results/adopted.json")
OLD_PEFT = ("0.4.0", "0.10.0")
SIZE = 0.03
"""Standard deviation of the random matrices: an effect that everybody sees, and no ruin."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default=BASE, help="a built base's name")
    parser.add_argument("--folder", type=Path, help="keep corpus and answers there; a second run goes on")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    base = base_folder(given.base).resolve()
    with TemporaryDirectory(prefix="enxerto-adopted-") as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        samples = _corpus(folder, base)
        rows = asyncio.run(_served(samples, folder, base))
        plain = _plain(samples, folder, base)
    kinds = [plain[row["layout"]]["outcome"] for row in rows]
    console.print("plain vLLM: " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
    for row in rows:
        row["plain_vllm"] = plain[row["layout"]]
        console.print(_line(row))
    goals = _goals(rows)
    show(console, "adopted", goals)
    write(given.out, f"python -m bench.adopted --base {given.base}", rows, goals)


def _corpus(folder: Path, base: Path) -> list[Any]:
    """The samples, and `probes/<number>.json` with what PEFT says of each that is to be served."""
    from peft import PeftModel

    from finetune.model.choice import choose
    from finetune.model.load import load_base
    from finetune.render import open_renderer
    from finetune.training.adopted import probe_answers

    samples = _made(folder, base)
    renderer, weights = open_renderer(base), choose(base)  # as `finetune probe` has it
    model = load_base(base, weights)
    (folder / "probes").mkdir(exist_ok=True)
    for number, sample in enumerate(samples):
        target = folder / "probes" / f"{number}.json"
        if target.is_file():
            continue
        reference = sample.reference or samples[0].reference
        adapted = PeftModel.from_pretrained(model, str(reference)).eval()
        target.write_text(probe_answers(adapted, renderer, str(weights)).model_dump_json())
        adapted.unload()
        console.print(f"PEFT has answered with {sample.name}")
    return samples


def _made(folder: Path, base: Path) -> list[Any]:
    """The corpus on the base, in float32."""
    import torch

    from finetune.model.choice import choose
    from finetune.model.load import load_base
    from tests.adopted.corpus import Maker, Sample, make

    index = folder / "corpus.json"
    if index.is_file():
        return [
            Sample(**told | {key: Path(told[key]) if told[key] else None for key in ("folder", "reference")})
            for told in json.loads(index.read_text())
        ]
    old = folder / "old"
    for version in OLD_PEFT:
        console.print(f"installing peft {version} beside")
        target = old / f"peft-{version}"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--no-deps", "--target", str(target), f"peft=={version}"], check=True)
    model = load_base(base, choose(base, "dense", torch.float32))
    console.print("making the corpus")
    samples = make(Maker(folder / "corpus", base, model, SIZE), old)
    index.write_text(json.dumps([asdict(sample) for sample in samples], default=str))
    return samples


async def _served(samples: list[Any], folder: Path, base: Path) -> list[dict[str, Any]]:
    """A row for each sample: refused by the mapping, or how the engine agrees with PEFT."""
    from serve.adopt.adopt import adopt
    from serve.adopt.folder import look
    from serve.engine.vllm import VllmEngine
    from serve.probing import replay
    from serve.registry import base_modules, validate
    from serve.registry.records import Version
    from serve.routes.base import layout_of
    from serve.settings import Settings

    settings = Settings(base=read_base(base), folder=base, max_model_len=512, max_lora_rank=64)
    layout, modules = layout_of(settings), base_modules.read(base)
    engine = VllmEngine(settings)
    await engine.start()
    rows = []
    try:
        for number, sample in enumerate(samples):
            row: dict[str, Any] = {"layout": sample.name, "made_by": sample.made_by}
            rows.append(row)
            out = folder / f"mapped-{number}"
            shutil.rmtree(out, ignore_errors=True)
            try:
                adopt(look(sample.folder), layout, out, f"folder {sample.folder.name}", "adopted")
                validate.check(out, settings.base, modules, settings.max_lora_rank)
            except UserError as error:
                row |= {"enxerto": "refused", "why": str(error)}
                continue
            version = Version(f"a{number}", 1, f"sha256:{number}", 64, "", out, datetime.now(UTC))
            await engine.add(version)
            verdict = await replay(engine, _probes(folder, number), version)
            await engine.remove(version)
            row |= {"enxerto": "parity" if verdict.why is None else "no parity", "why": verdict.why}
            row |= verdict.found
    finally:
        await engine.close()
    for row, sample in zip(rows, samples, strict=True):
        row["expected"] = "refused" if sample.refused else "parity"
    return rows


def _plain(samples: list[Any], folder: Path, base: Path) -> dict[str, dict[str, Any]]:
    """What plain vLLM, without this project's plugins, makes of the folders as they are; by name."""
    asked = [
        {
            "name": sample.name,
            "folder": str(sample.folder),
            "probes": str(folder / "probes" / f"{number}.json"),
        }
        for number, sample in enumerate(samples)
    ]
    (folder / "asked.json").write_text(json.dumps({"base": str(base), "samples": asked}))
    environment = os.environ | {"VLLM_PLUGINS": "", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    command = [
        sys.executable,
        "-m",
        "bench.adopted_vllm",
        str(folder / "asked.json"),
        str(folder / "plain.json"),
    ]
    subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    answer: dict[str, dict[str, Any]] = json.loads((folder / "plain.json").read_text())
    return answer


def _probes(folder: Path, number: int) -> Probes:
    return Probes.model_validate_json((folder / "probes" / f"{number}.json").read_bytes())


def _goals(rows: list[dict[str, Any]]) -> list[Goal]:
    right = sum(row["enxerto"] == row["expected"] for row in rows)
    refused = [row for row in rows if row["enxerto"] == "refused"]
    answered = [row for row in rows if row["enxerto"] != "refused"]
    inert = sum(row["effect"] < row["trained_effect"] / 10 for row in answered)
    one = sum("\n" not in row["why"] and row["why"].endswith(".") for row in refused)
    return [
        Goal(
            "layouts that answer as PEFT, or are refused",
            f"{len(rows)} of {len(rows)}",
            str(right),
            right == len(rows),
        ),
        Goal("refused in one sentence", f"{len(refused)} of {len(refused)}", str(one), one == len(refused)),
        Goal("inert", "0", str(inert), inert == 0),
    ]


def _line(row: dict[str, Any]) -> str:
    if row["enxerto"] == "refused":
        said = f"refused: {row['why'][:70]}"
    else:
        found = row["adapter"]
        effect = f"effect {row['effect']:.3f} (PEFT {row['trained_effect']:.3f})"
        said = f"{row['enxerto']} KL {found['mean_kl']:.5f}, {effect}"
    plain = row["plain_vllm"]
    kl = f" KL {plain['mean_kl']:.5f}" if "mean_kl" in plain else ""
    return f"{row['layout']:<26}{said:<80} plain vLLM: {plain['outcome']}{kl}"


if __name__ == "__main__":
    run(main, console)
