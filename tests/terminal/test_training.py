"""What a person sees of training in a real terminal, as a terminal emulator draws it."""

import sys
from pathlib import Path

import pytest

from bench.terminal import Terminal
from tests.finetune.training.conftest import Bench, bench, chats, tiny_home

__all__ = ["bench", "chats", "tiny_home"]

NOISE = ("Warning", "warning", "it/s]", "{'loss'", "Traceback", "huggingface", "━ 0%", "transformers")
"""Of what libraries print: warnings, tqdm's bars, transformers' dictionaries."""


def at(bench: Bench, columns: int, *arguments: str | Path) -> Terminal:
    command = [sys.executable, "-m", "finetune", *map(str, arguments)]
    return Terminal(command, columns=columns, environment=bench.environment())


@pytest.mark.parametrize("columns", [80, 200])
def test_training_is_a_calm_screen(bench: Bench, columns: int) -> None:
    recipe = bench.recipe(track={"wandb": "off", "tensorboard": "off", "generations": 1})
    with at(bench, columns, "train", recipe) as terminal:
        assert terminal.finish() == 0, terminal.text
        print(terminal.text)
        assert not [line for line in terminal.lines for noise in NOISE if noise in line]
        assert len(terminal.lines) < 20
        assert "12/12" in terminal.text
