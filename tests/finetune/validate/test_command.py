"""`finetune validate` on whole files: counts, limits, exit codes, processes, and what it does not import."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from data.errors import UserError
from data.formats import read
from data.sources import Source
from data.splits import Split, keys_of
from finetune.validate import pool
from finetune.validate.command import validate

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "data" / "samples"
GLAIVE = ROOT / ".." / "shared" / "data" / "glaive_toolcall_en_demo.json"
BASE = "smollm2-135m-instruct-awq"


def run(tmp_path: Path, *sources: Path | str, heldout: list[str] | None = None, **more: Any) -> Any:
    out = tmp_path / "out.json"
    code = validate(
        [str(one) for one in sources], heldout or [], more.get("base"), more.get("strict", False), out
    )
    return code, json.loads(out.read_text())


def chats(path: Path, *answers: str) -> Path:
    with path.open("w") as file:
        for number, answer in enumerate(answers):
            messages = [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


def recipe(folder: Path, **data: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "base": BASE, "data": data, "train": {"epochs": 1}}))
    return path


@pytest.mark.skipif(not GLAIVE.is_file(), reason="others' data, which this repository does not hold")
def test_every_glaive_conversation_is_valid(tmp_path: Path) -> None:
    code, report = run(tmp_path, GLAIVE)
    (source,) = report["sources"]
    raw = json.loads(GLAIVE.read_text(encoding="utf-8"))
    turns = [turn["from"] for record in raw for turn in record["conversations"]]
    assert code == 0 and report["errors"] == 0
    assert source["conversations"] == source["records"] == len(raw) == 300
    assert source["targets"] == turns.count("gpt") + turns.count("function_call")
    assert source["with_tools"] == sum(record["tools"] != "[]" for record in raw)
    called = [sum(turn["from"] == "function_call" for turn in record["conversations"]) for record in raw]
    assert source["categories"] == {
        "none": called.count(0),
        "single": called.count(1),
        "multi_turn": sum(count > 1 for count in called),
    }
    assert source["dropped"] == {} and "unanswered_call" not in source["found"]
    assert run(tmp_path, GLAIVE, strict=True)[0] == 2


def test_tokens_are_those_of_training(base: Path, tmp_path: Path) -> None:
    from finetune.dataset import prepare
    from finetune.render import open_renderer

    file, limit = SAMPLES / "heldout_known.jsonl", 330
    _, report = run(tmp_path, recipe(tmp_path, train=[str(file)], max_length=limit, limits={"dropped": 1}))
    (source,) = report["sources"]
    entry = prepare([Source(path=str(file))], open_renderer(base), limit).entry
    assert report["base"] == base.name and report["max_length"] == limit
    assert (source["tokens"], source["learnt_tokens"]) == (entry.tokens, entry.learnt_tokens)
    assert source["dropped"] == entry.dropped and entry.dropped
    long = [one for one in report["findings"] if one["kind"] == "too_long"]
    assert len(long) == sum(entry.dropped.values())


def test_processes_find_what_one_process_finds(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(SAMPLES / f"heldout_{name}.jsonl") for name in ("known", "unseen", "chat")]
    bad = tmp_path / "bad.jsonl"
    bad.write_text("oops\n" + (SAMPLES / "heldout_chat.jsonl").read_text() + "42\n")
    alone = run(tmp_path, *files, str(bad), base=base.name)
    monkeypatch.setattr(pool, "_ALONE", 2)
    monkeypatch.setattr("finetune.validate.command.CHUNK", 16)
    assert run(tmp_path, *files, str(bad), base=base.name) == alone
    assert alone[1]["found"]["duplicate"] == 30 and alone[1]["found"]["unreadable"] == 2


def test_overlap_with_held_out_files(tmp_path: Path) -> None:
    trained = chats(tmp_path / "a.jsonl", *(f"answer {number}" for number in range(10)))
    known = tmp_path / "known.jsonl"
    known.write_text("".join(trained.read_text().splitlines(keepends=True)[3:5]))
    code, report = run(tmp_path, trained, heldout=[str(known)])
    assert code == 2 and report["found"] == {"overlap": 2, "limit": 1}
    (first, second, limit) = report["findings"]
    assert first["where"] == f"{known}:1" and f"{trained}:4, which is trained on" in first["message"]
    assert second["where"] == f"{known}:2" and f"{trained}:5" in second["message"]
    assert "data.limits.overlap allows 5.0%" in limit["message"] and limit["severity"] == "error"
    path = recipe(tmp_path, train=[str(trained)], heldout_files=[str(known)], limits={"overlap": 1})
    assert run(tmp_path, path)[0] == 0


def test_the_recipes_split_is_the_one_that_training_makes(tmp_path: Path) -> None:
    """Near repetitions across the sides are found, and what the split holds out is counted."""
    words = [" ".join(f"w{number}x{place}" for place in range(60)) for number in range(40)]
    source = chats(tmp_path / "a.jsonl", *words, *(f"{text} and more" for text in words))
    path = recipe(tmp_path, train=[str(source)], heldout=0.3, split_seed=5, limits={"overlap": 1})
    code, report = run(tmp_path, path)

    split = Split(0.3, 5)
    groups = [split.add(keys_of(conversation)) for conversation in read(source)]
    sides = [split.held_out(group) for group in groups]
    across = sum(one != other for one, other in zip(sides[:40], sides[40:], strict=True))
    assert 0 < across < 40
    assert code == 0
    assert report["sources"][0]["held_out"] == sum(sides)
    assert report["found"] == {"near_overlap": across, "near_duplicate": 40 - across}

    _, report = run(tmp_path, recipe(tmp_path, train=[str(source)], heldout=0.3, split_seed=5))
    assert [one["message"][:5] for one in report["findings"] if one["kind"] == "limit"] == [
        f"{across / sum(sides):.1%}"
    ]


def test_a_split_without_a_held_out_side_is_an_error(tmp_path: Path) -> None:
    source = chats(tmp_path / "a.jsonl", "one", "two")
    code, report = run(tmp_path, recipe(tmp_path, train=[str(source)], heldout=0.001))
    (finding,) = report["findings"]
    assert code == 2 and "data.heldout is 0.001" in finding["message"]


@pytest.mark.parametrize(
    ("limits", "kind"),
    [({"duplicates": 0.3}, "data.limits.duplicates"), ({"dropped": 0.1}, "data.limits.dropped"), ({}, None)],
)
def test_limits_of_the_recipe(tmp_path: Path, limits: dict[str, float], kind: str | None) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    barren = {"messages": [{"role": "user", "content": "c"}]}
    rows = [{"messages": messages}, {"messages": messages}, barren]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    everything = {"duplicates": 1, "dropped": 1} | limits
    code, report = run(tmp_path, recipe(tmp_path, train=[str(source)], limits=everything))
    over = [one["message"] for one in report["findings"] if one["kind"] == "limit"]
    assert code == (2 if kind else 0)
    assert len(over) == bool(kind) and all(str(kind) in message for message in over)


def test_without_a_base_tokens_are_left_out_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "empty"))
    source = chats(tmp_path / "a.jsonl", "b")
    code, report = run(tmp_path, recipe(tmp_path, train=[str(source)]))
    assert code == 0 and report["base"] is None and report["sources"][0]["tokens"] is None
    assert f"make base BASE={BASE}" in report["tokens_left_out_because"]
    said = capsys.readouterr().out
    assert "not counted" in said and f"make base BASE={BASE}" in said
    with pytest.raises(UserError, match="make base"):
        run(tmp_path, source, base=BASE)


def test_a_recipe_stands_alone(tmp_path: Path) -> None:
    source = chats(tmp_path / "a.jsonl", "b")
    with pytest.raises(UserError, match="one recipe or any number of sources"):
        run(tmp_path, recipe(tmp_path, train=[str(source)]), source)


def test_many_findings_are_cut_on_the_terminal_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("oops\n" * 25)
    _, report = run(tmp_path, source)
    said = capsys.readouterr().out
    assert len([one for one in report["findings"] if one["kind"] == "unreadable"]) == 25
    assert said.count(f"{source}:") == 4 and "and 21 more; " in said
    (reason,) = report["reasons"]
    assert (reason["kind"], reason["count"], reason["first"]) == ("unreadable", 25, f"{source}:1")


def test_the_command_imports_no_torch_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("{\n")
    script = (
        "import sys, finetune.cli\n"
        "try:\n    finetune.cli.main()\n"
        "finally:\n    print('loaded', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    for name, code in ((str(SAMPLES / "heldout_chat.jsonl"), 0), (str(source), 2)):
        result = subprocess.run(
            [sys.executable, "-c", script, "validate", name, "--base", BASE],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr
        loaded = set(result.stdout.partition("\nloaded ")[2].split())
        assert "tokenizers" in loaded and not loaded & {"torch", "vllm", "transformers", "datasets", "peft"}


def test_nothing_but_the_report_is_left(tmp_path: Path) -> None:
    run(tmp_path, chats(tmp_path / "a.jsonl", "one"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "out.json"]


def test_neither_names_nor_data_steer_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J.jsonl"
    call = {"id": "000000001", "function": {"name": "f\x1b[2J", "arguments": "{}"}}
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call]}]
    path.write_text(json.dumps({"messages": messages}) + "\n")
    result = subprocess.run(
        [sys.executable, "-m", "finetune", "validate", str(path)], capture_output=True, cwd=ROOT, check=False
    )
    said = result.stdout + result.stderr
    assert b"\\x1b[2J" in said
    assert b"\x1b[2J" not in said and b"Traceback" not in said


def test_ctrl_c_ends_all_processes_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    chats(path, *[f"answer {number}" for number in range(40_000)])
    command = [sys.executable, "-m", "finetune", "validate", str(path), "--json", str(tmp_path / "out.json")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=ROOT,
        # A shell's background job inherits an ignored SIGINT; a person's terminal does not give that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 60
    workers: list[psutil.Process] = []
    while len(workers) < pool.PROCESSES + 1 and time.monotonic() < limit:  # and one that tracks resources
        workers = psutil.Process(process.pid).children(recursive=True)
    time.sleep(0.2)  # the last worker is at its imports
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip() == ""
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert not (tmp_path / "out.json").exists()
