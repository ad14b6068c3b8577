"""What this model says at a few places, by the base and with the adapter, for a server to agree with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from data.probes import TOP, Place, Probe, Probes, Rounding
from finetune.render import Renderer
from finetune.training.collate import lay
from finetune.training.labels import IGNORED

ROWS, PLACES = 12, 8
LONGEST = 512
"""Tokens of a probe at most: a server answers all of them before it lets an adapter in."""

DISTURBANCE = 2**-6
"""Of a value: some times the last bit of a bfloat16, since less is rounded away. Only ratios are told."""

FIXED = (
    "Hello! Who are you?",
    "What is the capital of Portugal?",
    "Write one sentence about the sea.",
    "List three colours as a JSON array.",
)
"""Asked of every adapter, whatever it learnt."""

Source = Literal["heldout", "train", "fixed"]
Asked = tuple[Source, list[int], list[int]]
"""Where a probe comes from, its tokens, and its places."""


def probe(model: Any, rows: Any, renderer: Renderer, computed: str) -> Probes:
    """Probes of a PEFT model on `rows` of its data (`finetune.training.rows.Rows`) and on fixed questions."""
    source: Source = "train" if rows.heldout is None else "heldout"
    table = rows.train if rows.heldout is None else rows.heldout
    asked: list[Asked] = [(source, *one) for one in _chosen(table)]
    for question in FIXED:
        ids = renderer.prompt([{"role": "user", "content": question}])
        asked.append(("fixed", ids, list(range(max(1, len(ids) - PLACES), len(ids)))))
    training = model.training
    model.eval()
    try:
        return probe_all(model, asked, computed)
    finally:
        model.train(training)


def probe_all(model: Any, asked: list[Asked], computed: str) -> Probes:
    """Probes of a PEFT model in evaluation mode."""
    with model.disable_adapter():
        base, base_moved = _measured(model, asked)
    adapter, adapter_moved = _measured(model, asked)
    found = []
    for (source, ids, places), b, a in zip(asked, base, adapter, strict=True):
        pairs = zip(places, _likeliest(b), _likeliest(a), strict=True)
        found.append(
            Probe(
                source=source, token_ids=ids, places=[Place(at=at, base=b, adapter=a) for at, b, a in pairs]
            )
        )
    rounding = Rounding(base=base_moved, adapter=adapter_moved)
    return Probes(computed=computed, rounding=rounding, probes=found)


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


def distributions(model: Any, ids: list[int], places: list[int]) -> list[list[tuple[int, float]]]:
    """The likeliest tokens at `places` of `ids`, each given those before it."""
    return _likeliest(_log_probs(model, ids, places))


def _likeliest(log_probs: torch.Tensor) -> list[list[tuple[int, float]]]:
    top = log_probs.topk(TOP)
    return [
        [(token, min(0.0, round(value, 5))) for token, value in zip(tokens, values, strict=True)]
        for tokens, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]


def _log_probs(model: Any, ids: list[int], places: list[int]) -> torch.Tensor:
    """(places, vocabulary) in float32."""
    causal = model.get_base_model()
    inputs = lay([(ids, ids)], 1).to(model.device).inputs
    with torch.inference_mode():
        hidden = causal.model(**inputs, use_cache=False).last_hidden_state[0]
        logits = hidden[[at - 1 for at in places]] @ causal.lm_head.weight.t()
        return torch.log_softmax(logits.float(), -1)


def _measured(model: Any, asked: list[Asked]) -> tuple[list[torch.Tensor], float]:
    """What a model says of each, and its mean divergence from that when its layers' outputs are disturbed."""
    said, divergences = [], []
    for _, ids, places in asked:
        still = _log_probs(model, ids, places)
        with _disturbed(model):
            shaken = _log_probs(model, ids, places)
        said.append(still)
        divergences.append((still.exp() * (still - shaken)).sum(-1))
    return said, max(0.0, round(float(torch.cat(divergences).mean()), 9))


@contextmanager
def _disturbed(model: Any) -> Iterator[None]:
    """Each value that a decoder layer gives is off by up to `DISTURBANCE` of itself, each time the same."""
    random = torch.Generator().manual_seed(0)

    def disturb(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        off = torch.rand(output.shape, generator=random).to(output.device) * 2 - 1
        return (output * (1 + DISTURBANCE * off)).to(output.dtype)

    hooks = [layer.register_forward_hook(disturb) for layer in model.get_base_model().model.layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
