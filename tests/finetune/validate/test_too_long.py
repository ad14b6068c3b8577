"""Rows over `data.max_length`: left out or cut, and counted as training counts them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.sources import Source
from finetune.dataset import prepare
from finetune.render import open_renderer
from finetune.too_long import TooLong, cuts
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
    cut = {reason: entry.dropped.pop(reason) for reason in [*entry.dropped] if cuts(reason)}
    assert counts["cut"] == cut and bool(cut) == (too_long == "truncate")
    assert counts["dropped"] == entry.dropped
    assert report["found"].get("too_long", 0) == sum(entry.dropped.values())


def test_a_cut_row_is_no_dropped_one(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def talk(*said: str) -> str:
        messages = [
            {"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(said)
        ]
        return json.dumps({"messages": messages}) + "\n"

    source, long = tmp_path / "a.jsonl", "word " * 100
    source.write_text(
        talk("short", "answer")
        + talk("q", "whole", "q", long, "q", "late")
        + talk("q", long)
        + talk(long, "a")
    )
    _, report = run(tmp_path, base, source, max_length=64, too_long="truncate", limits={"dropped": 0.5})
    (counts,) = report["sources"]
    assert (counts["rows"], counts["targets"]) == (2, 4)
    assert counts["cut"] == {"cut to 64 tokens": 1, "answers behind a cut": 2}
    assert counts["dropped"] == {"longer than 64 tokens": 2}
    assert report["found"] == {"too_long": 2}
    assert [one["where"] for one in report["findings"]] == [f"{source}:3", f"{source}:4"]
    assert "cut to 64 tokens" in capsys.readouterr().out
