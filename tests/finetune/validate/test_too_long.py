"""Rows over `data.max_length`: left out or cut, and counted as training counts them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.sources import Source
from finetune.dataset import TooLong, prepare
from finetune.render import open_renderer
from finetune.validate.command import validate

SAMPLES = Path(__file__).parents[3] / "data" / "samples"


def run(tmp_path: Path, base: Path, source: Path, **data: Any) -> Any:
    path, out = tmp_path / "recipe.yaml", tmp_path / "out.json"
    given = {"train": [str(source)], "limits": {"dropped": 1}} | data
    path.write_text(yaml.safe_dump({"name": "x", "base": base.name, "data": given, "train": {"epochs": 1}}))
    code = validate([str(path)], [], None, False, out)
    return code, json.loads(out.read_text())


@pytest.mark.parametrize("too_long", ["drop", "truncate"])
@pytest.mark.parametrize("limit", [250, 330])
def test_counts_are_those_of_training(base: Path, tmp_path: Path, too_long: TooLong, limit: int) -> None:
    file = SAMPLES / "heldout_known.jsonl"
    entry = prepare([Source(path=str(file))], open_renderer(base), limit, too_long=too_long).entry
    code, report = run(tmp_path, base, file, max_length=limit, too_long=too_long)
    (counts,) = report["sources"]
    assert code == 0
    assert (counts["tokens"], counts["learnt_tokens"]) == (entry.tokens, entry.learnt_tokens)
    cut = entry.dropped.pop(f"cut to {limit} tokens", 0)
    assert counts["cut"] == cut and bool(cut) == (too_long == "truncate")
    assert counts["dropped"] == entry.dropped
    assert report["found"].get("too_long", 0) == sum(entry.dropped.values())


def test_a_cut_row_is_no_dropped_one(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def talk(question: str, answer: str) -> str:
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return json.dumps({"messages": messages}) + "\n"

    source = tmp_path / "a.jsonl"
    source.write_text(talk("short", "answer") + talk("long", "word " * 100) + talk("word " * 100, "late"))
    _, report = run(tmp_path, base, source, max_length=64, too_long="truncate", limits={"dropped": 0.34})
    (counts,) = report["sources"]
    assert (counts["rows"], counts["cut"], counts["dropped"]) == (2, 1, {"longer than 64 tokens": 1})
    assert report["found"] == {"too_long": 1} and report["findings"][0]["where"] == f"{source}:3"
    assert "cut to 64 tokens" in capsys.readouterr().out
