"""`make`'s variables as people write them. `-n`: what would be typed, and nothing is run."""

import subprocess

import pytest

from tests.check.commands import ROOT


def make(*words: str) -> tuple[int, str, str]:
    done = subprocess.run(["make", "-n", *words], capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("word", ["recipe=mine.yaml", "base=x", "models=a,b", "nproc=2", "suite=x.yaml"])
def test_small_letters_are_said_and_not_passed_over(word: str) -> None:
    code, _, error = make("train", word)
    name = word.partition("=")[0].upper()
    assert code == 2
    assert f"write {name}= in capitals" in error


def test_an_empty_name_and_one_with_blanks_reach_the_program_whole() -> None:
    assert 'finetune train "" --processes 1' in make("train", "RECIPE=")[1]
    assert 'finetune train "my recipe.yaml" --processes 1' in make("train", "RECIPE=my recipe.yaml")[1]
    assert 'serve up --base "my base"' in make("serve", "BASE=my base")[1]
    assert 'finetune eval "a b.yaml" --models "base,x"' in make("eval", "SUITE=a b.yaml", "MODELS=base,x")[1]
