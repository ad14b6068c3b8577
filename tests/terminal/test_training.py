"""What a person sees of training in a real terminal, as a terminal emulator draws it."""

import sys
from pathlib import Path

import pytest

from bench.terminal import CTRL_C, Terminal
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
        assert not [line for line in terminal.lines for noise in NOISE if noise in line]
        assert len(terminal.lines) < 20
        assert "12/12" in terminal.text


@pytest.mark.parametrize("stage", ["preparing", "training"])
def test_ctrl_c_leaves_a_calm_screen_and_the_same_command_goes_on(bench: Bench, stage: str) -> None:
    settings = {"steps": 400, "batch": 3, "learning_rate": 5e-3, "checkpoints": {"steps": 1}}
    recipe = bench.recipe(train=settings)
    with at(bench, 80, "train", recipe) as terminal:
        terminal.wait_for("/400 loss" if stage == "training" else "the base is loaded")
        terminal.send(CTRL_C)
        assert terminal.finish() == 130, terminal.text
        assert not [line for line in terminal.lines for noise in NOISE if noise in line]
        assert b"\x1b[?25h" in terminal.raw.rpartition(b"\x1b[?25l")[2], "the cursor stays hidden"
        if stage == "training":  # the bar names a loss once the first step is done
            assert "stopped after step" in terminal.flat and "stopped after step 0" not in terminal.flat
        assert "the same command goes on" in terminal.flat
    with at(bench, 80, "train", recipe) as terminal:
        terminal.wait_for("/400 loss")
        assert ("resuming at step" in terminal.flat) == (stage == "training")
        terminal.send(CTRL_C)
        assert terminal.finish() == 130


def test_a_mistake_is_one_line_in_a_terminal_too(bench: Bench) -> None:
    with at(bench, 80, "train", bench.recipe(data={"train": ["nowhere.jsonl"]})) as terminal:
        assert terminal.finish() == 2
        assert terminal.flat.startswith("error: ") and "nowhere.jsonl" in terminal.flat
        assert not [line for line in terminal.lines for noise in NOISE if noise in line]
