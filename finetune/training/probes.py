"""What this model says at a few places, by the base and with the adapter, for a server to agree with."""

from typing import Any, Literal

import torch

from data.probes import TOP, Place, Probe, Probes
from finetune.render import Renderer
from finetune.training.collate import lay
from finetune.training.labels import IGNORED

ROWS, PLACES = 12, 8
LONGEST = 512
"""Tokens of a probe at most: a server answers all of them before it lets an adapter in."""

FIXED = (
    "Hello! Who are you?",
    "What is the capital of Portugal?",
    "Write one sentence about the sea.",
    "List three colours as a JSON array.",
)
"""Asked of every adapter, whatever it learnt."""

Source = Literal["heldout", "train", "fixed"]


def probe(model: Any, rows: Any, renderer: Renderer, computed: str) -> Probes:
    """Probes of a PEFT model on `rows` of its data (`finetune.training.rows.Rows`) and on fixed questions."""
    source: Source = "train" if rows.heldout is None else "heldout"
    table = rows.train if rows.heldout is None else rows.heldout
    asked: list[tuple[Source, list[int], list[int]]] = [(source, *one) for one in _chosen(table)]
    for question in FIXED:
        ids = renderer.prompt([{"role": "user", "content": question}])
        asked.append(("fixed", ids, list(range(max(1, len(ids) - PLACES), len(ids)))))
    training = model.training
    model.eval()
    try:
        found = [probe_at(model, *one) for one in asked]
    finally:
        model.train(training)
    return Probes(computed=computed, probes=found)


def _chosen(table: Any) -> list[tuple[list[int], list[int]]]:
    """Tokens and places of up to `ROWS` rows spread over `table`: `PLACES` learnt tokens of each."""
    chosen: list[tuple[list[int], list[int]]] = []
    for number in range(0, len(table), max(1, len(table) // ROWS)):
        row = table[number]
        learnt = [at for at, label in enumerate(row["labels"][:LONGEST]) if at and label != IGNORED]
        if learnt and len(chosen) < ROWS:
            step = (len(learnt) - 1) / (PLACES - 1)
            places = sorted({learnt[round(step * index)] for index in range(PLACES)})
            chosen.append((row["input_ids"][: places[-1] + 1], places))
    return chosen


def probe_at(model: Any, source: Source, ids: list[int], places: list[int]) -> Probe:
    """What the base and the adapter say at `places` of `ids`."""
    with model.disable_adapter():
        base = distributions(model, ids, places)
    adapter = distributions(model, ids, places)
    found = [Place(at=at, base=b, adapter=a) for at, b, a in zip(places, base, adapter, strict=True)]
    return Probe(source=source, token_ids=ids, places=found)


def distributions(model: Any, ids: list[int], places: list[int]) -> list[list[tuple[int, float]]]:
    """The likeliest tokens at `places` of `ids`, each given those before it."""
    causal = model.get_base_model()
    inputs = lay([(ids, ids)], 1).to(model.device).inputs
    with torch.inference_mode():
        hidden = causal.model(**inputs, use_cache=False).last_hidden_state[0]
        logits = hidden[[at - 1 for at in places]] @ causal.lm_head.weight.t()
        top = torch.log_softmax(logits.float(), -1).topk(TOP)
    return [
        [(token, min(0.0, round(value, 5))) for token, value in zip(tokens, values, strict=True)]
        for tokens, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]
