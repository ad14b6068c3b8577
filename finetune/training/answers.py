"""What the model answers to a few prompts of the data, before training and after it, for the report."""

import json
from pathlib import Path
from typing import Any

import torch

from finetune.recipe import Recipe
from finetune.render import Renderer, open_renderer
from finetune.training.labels import IGNORED
from finetune.training.rows import Rows
from finetune.training.workplace import Workplace
from finetune.training_report.page import Generation

NEW_TOKENS = 64
PROMPT_LIMIT = 2048
"""Tokens; rows with longer prompts are passed over: a report wants a glance at the model, not a wait."""


class Answers:
    """`recipe.track.generations` prompts of the held-out side, of the training side where there is none."""

    def __init__(self, recipe: Recipe, model: Any, rows: Rows, folder: Path, place: Workplace) -> None:
        self._model, self.renderer = model, open_renderer(folder)
        self._path = place.folder / "generations.json"
        table = rows.train if rows.heldout is None else rows.heldout
        self._asked = prompts(table, recipe.track.generations)

    def before(self) -> None:
        """Answer as the base does; once a run, before anything is learnt."""
        if not self._path.is_file():
            staged = self._path.with_suffix(".partial")
            staged.write_text(json.dumps(self._answers()), encoding="utf-8")
            staged.rename(self._path)

    def after(self) -> list[Generation]:
        """Answer as the model does now, beside what was answered before and what the data has."""
        earlier = json.loads(self._path.read_text(encoding="utf-8"))
        texts = zip(self._asked, earlier, self._answers(), strict=True)
        return [
            Generation(self._text(prompt), then, now, self._text(expected))
            for (prompt, expected), then, now in texts
        ]

    def _answers(self) -> list[str]:
        stop = self._asked[0][1][-1] if self._asked else 0
        return [self._text(ids) for ids in answers(self._model, [prompt for prompt, _ in self._asked], stop)]

    def _text(self, ids: list[int]) -> str:
        return text(self.renderer, ids)


def text(renderer: Renderer, ids: list[int]) -> str:
    return "".join(piece.text for piece in renderer.pieces(ids))


def prompts(table: Any, count: int) -> list[tuple[list[int], list[int]]]:
    """(prompt, what the data answers) as token ids, of `count` rows spread over `table`.

    The answer is the row's last learnt span, and the prompt all before it.
    """
    stride = max(1, len(table) // max(1, count))
    found: list[tuple[list[int], list[int]]] = []
    for place in range(0, len(table), stride):
        ids, labels = table[place]["input_ids"], table[place]["labels"]
        start = end = max((at + 1 for at, label in enumerate(labels) if label != IGNORED), default=0)
        while start and labels[start - 1] != IGNORED:
            start -= 1
        if len(found) < count and 0 < start <= PROMPT_LIMIT:
            found.append((ids[:start], ids[start:end]))
    return found


def answers(model: Any, questions: list[list[int]], stop: int) -> list[list[int]]:
    """Greedy answers of at most `NEW_TOKENS` tokens, all prompts in one batch; `stop` ends one."""
    if not questions:
        return []
    causal = model.get_base_model()
    before, training = causal.config._attn_implementation, model.training
    width = max(len(ids) for ids in questions)
    ids = torch.tensor([[stop] * (width - len(ids)) + ids for ids in questions], device=model.device)
    mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in questions], device=model.device)
    causal.set_attn_implementation("sdpa")  # ours knows no cache and no padding
    try:
        model.eval()
        with torch.no_grad():
            made = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                use_cache=True,
                eos_token_id=stop,
                pad_token_id=stop,
            )
    finally:
        causal.set_attn_implementation(before)
        model.train(training)
    return [_until(answer, stop) for answer in made[:, width:].tolist()]


def _until(answer: list[int], stop: int) -> list[int]:
    return answer[: answer.index(stop) + 1] if stop in answer else answer
