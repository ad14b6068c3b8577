"""`finetune probe`: what the trainer's model says with an adapter that was trained elsewhere."""

import os
from pathlib import Path
from typing import Any

from data.errors import UserError
from data.manifest import read_base
from data.probes import Probes
from finetune.base.resolve import find
from finetune.render import Renderer, open_renderer
from finetune.training.probes import FIXED, Asked, distributions, probe_all

QUESTIONS = (
    *FIXED,
    "Translate to Portuguese: the train leaves at nine.",
    "What is 17 + 25?",
    "Write a Python function that adds two numbers.",
    "Summarize in one sentence: the meeting was moved to Friday because the room is taken.",
)

ASKED, ANSWERED = 4, 8
"""Places at the end of each prompt, and tokens of the adapter's own answer: its data is not known."""


def write_probes(adapter: Path, base: str, out: Path) -> None:
    """Compute the probes of a PEFT adapter on a base (its name or folder), and write them to `out`."""
    given = Path(base)
    folder = given if (given / "base.json").is_file() else find(base)
    if not (adapter / "adapter_model.safetensors").is_file():
        raise UserError(f"{adapter} holds no adapter_model.safetensors; give an adapter's folder.")
    manifest = read_base(folder)

    from peft import PeftModel

    from finetune.model.choice import choose, dense_bytes, free_bytes
    from finetune.model.load import load_base

    weights = choose(folder)
    if (
        weights.weights == "packed"
        and (needed := dense_bytes(folder, weights.dtype) // 4) > free_bytes() // 2
    ):
        raise UserError(
            f"base {manifest.name!r} takes {needed / 1e9:.1f} GB, more than half of what is free here; probe "
            "where there is more memory."
        )
    model = PeftModel.from_pretrained(load_base(folder, weights), str(adapter)).eval()
    probes = probe_answers(model, open_renderer(folder), str(weights))
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    partial.write_text(probes.model_dump_json() + "\n", encoding="utf-8")
    partial.replace(out)


def probe_answers(model: Any, renderer: Renderer, computed: str) -> Probes:
    """Probes at the ends of fixed questions and in the adapter's likeliest answers to them."""
    asked: list[Asked] = []
    for question in QUESTIONS:
        ids = list(renderer.prompt([{"role": "user", "content": question}]))
        prompt = len(ids)
        for _ in range(ANSWERED):
            ids.append(likeliest(model, ids))
        asked.append(("fixed", ids, list(range(prompt - ASKED, len(ids)))))
    return probe_all(model, asked, computed)


def likeliest(model: Any, ids: list[int]) -> int:
    """The likeliest next token with the adapter."""
    return distributions(model, [*ids, ids[-1]], [len(ids)])[0][0][0]
