"""`finetune preview RECIPE` shows what its training learns, what is cut, left out or passed over, and why."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.sources import Source
from finetune.dataset import prepare
from finetune.render import open_renderer
from tests.waiting import HUNG

USER = {"role": "user", "content": "q"}
BRIEF = {"role": "assistant", "content": "brief"}
LONG = {"role": "assistant", "content": "word " * 100}
WRONG = {"role": "assistant", "content": "wrong", "weight": 0}
RECORDS: list[dict[str, Any]] = [
    {"messages": [USER, BRIEF]},
    {"messages": [USER, BRIEF, USER, LONG, USER, BRIEF]},
    {"messages": [USER, LONG]},
    {"messages": [USER, WRONG, USER, BRIEF], "source": "forum", "mood": "calm"},
    {"messages": [USER, BRIEF, {"role": "tool", "tool_call_id": "x", "content": "y"}]},
    {"messages": [USER, BRIEF], "unheard_of": 1},
]


@pytest.fixture(scope="module")
def folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    (folder / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in RECORDS))
    return folder


def recipe(folder: Path, name: str = "recipe.yaml", method: str = "sft", **data: Any) -> Path:
    path = folder / name
    given = {"train": "a.jsonl", "max_length": 64, "ignore": "mood"} | data
    text = {"name": "x", "base": "smollm2-135m-instruct-awq", "method": method, "data": given}
    path.write_text(yaml.safe_dump(text | {"train": {"epochs": 1}}))
    return path


def preview(source: Path, *numbers: int, code: int = 0, **environment: str) -> str:
    options = [each for number in numbers for each in ("--sample", str(number))]
    clean = {
        key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "TERM")
    }
    result = subprocess.run(
        [sys.executable, "-m", "finetune", "preview", str(source), *options],
        capture_output=True, text=True, timeout=HUNG, check=False, env=clean | environment,
    )  # fmt: skip
    assert result.returncode == code, result.stderr
    return result.stdout + result.stderr


def learned(shown: str) -> list[str]:
    """What stands between marks, below the legend."""
    body = shown.partition("part of a character")[2]
    return [
        text.replace("⏎\n", "\n").replace("·", " ") for text in re.findall(r"\[\[(.*?)\]\]", body, re.DOTALL)
    ]


@pytest.mark.parametrize("too_long", ["truncate", "drop"])
def test_what_is_marked_is_what_training_learns(base: Path, folder: Path, too_long: Any) -> None:
    path = recipe(folder, f"{too_long}.yaml", too_long=too_long)
    shown = preview(path, 1, 2, 3, 4)
    renderer = open_renderer(base)
    few = folder / "few.jsonl"
    few.write_text("".join(json.dumps(one) + "\n" for one in RECORDS[:4]))
    rows = prepare([Source(path=str(few))], renderer, 64, too_long=too_long, ignore=frozenset({"mood"})).rows
    expected = []
    for row in rows:
        pieces = [piece.text for piece in renderer.pieces(row.input_ids)]
        marked = "".join(text if on else "\0" for text, on in zip(pieces, row.completion_mask, strict=True))
        expected += [text for text in marked.split("\0") if text]
    assert learned(shown) == expected
    assert ("cut from" in shown) == (too_long == "truncate")
    assert shown.count("left out of training: ") == (1 if too_long == "truncate" else 2)
    assert "2 answers behind the cut not learned" in shown or too_long == "drop"


def test_what_is_not_learned_is_named_with_the_reason(folder: Path) -> None:
    shown = preview(recipe(folder), 4, 5, 6)
    assert "message 2, an answer, is shown and not learned: its weight is 0" in shown
    assert "keys that say nothing to the model: mood, source" in shown
    assert "message 3: " in shown and "(training stops here)" in shown
    assert "`unheard_of` of the record is a key that no reader knows" in shown
    assert f"conversation 4 · {folder}/a.jsonl:4" in shown
    last = preview(recipe(folder, "last.yaml", learn="last", max_length=512, on_error="skip"), 2, 5)
    assert last.count("is shown and not learned: data.learn is last") == 2
    assert "(training skips it)" in last


def test_a_record_that_cannot_be_read_is_no_preview(folder: Path) -> None:
    said = preview(recipe(folder), 6, code=2)
    assert said.startswith(f"error: {folder}/a.jsonl:6: ")


def test_marks_stand_where_no_color_does(folder: Path) -> None:
    path = recipe(folder)
    for environment in ({}, {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}):
        plain = re.sub(r"\x1b\[[\d;]*m", "", preview(path, 1, **environment))
        assert "[[learned]]" in plain and "[[brief<|im_end|>]]" in plain
    colored = preview(path, 1, FORCE_COLOR="1", TERM="xterm-256color")
    assert "[[" not in colored and "\x1b[" in colored and " learned " in colored


def test_the_method_of_the_recipe_decides_what_its_records_are(folder: Path) -> None:
    said = preview(recipe(folder, "dpo.yaml", method="dpo"), 1, code=2)
    assert "its first record is a conversation" in said
