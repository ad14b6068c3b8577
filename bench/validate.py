"""`make bench-validate`: how long `finetune validate` takes for 100 000 conversations, and how much memory.

The conversations are the samples, strung together with fresh values until they are 3 KB long, so that none
repeats another. In the same run plain transformers `apply_chat_template` renders some of them.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from bench.command import run
from bench.results import Goal, show, write
from data.errors import UserError
from data.formats import call_id
from data.home import base_folder

BASE = "smollm2-135m-instruct-awq"
SAMPLES = Path("data/samples/train.jsonl")
RESULTS = Path("bench/results/validate.json")
BYTES = 1105
"""At least; the last sample makes it 3 KB on average."""
SUBSET = 1000

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="conversations")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="enxerto-bench-") as folder:
        source, report = Path(folder) / "chats.jsonl", Path(folder) / "report.json"
        console.print(f"writing {given.count:,} conversations")
        with source.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in conversations(given.count))
        megabytes = source.stat().st_size / 1e6
        command = ["validate", str(source), "--base", BASE, "--json", str(report)]
        console.print(f"finetune validate on {megabytes:.0f} MB")
        cost = _measured([sys.executable, "-m", "finetune", *command])
        counted = json.loads(report.read_text(encoding="utf-8"))
        (counts,) = counted["sources"]
        if counts["conversations"] != given.count:
            raise UserError(f"{counts['conversations']} of {given.count} conversations were read.")
        console.print(f"apply_chat_template on {min(SUBSET, given.count):,} of them")
        plain = _plain(source)
    rows = [
        {
            "what": "finetune validate",
            "conversations": given.count,
            "megabytes": round(megabytes, 1),
            "tokens": counts["tokens"],
            "tokens_per_second": round(counts["tokens"] / cost["seconds"]),
            "near_duplicates": counts["found"].get("near_duplicate", 0),
            **cost,
        },
        {"what": "transformers apply_chat_template, one process", **plain},
    ]
    allowed = 60 * given.count / 100_000
    goals = [
        Goal(
            f"{given.count:,} conversations",
            f"< {allowed:.0f} s",
            f"{cost['seconds']:.1f} s",
            cost["seconds"] < allowed,
        ),
        Goal("memory, all processes", "< 1 GB", f"{cost['peak_rss_mb']:.0f} MB", cost["peak_rss_mb"] < 1000),
    ]
    for row in rows:
        console.print(f"{row['what']:<48}{row['tokens_per_second']:>12,} tokens/s")
    console.print(f"CPU time {cost['cpu_seconds']:.1f} s")
    show(console, "validate", goals)
    write(given.out, f"python -m bench.validate --count {given.count}", rows, goals)


def conversations(count: int) -> Iterator[dict[str, Any]]:
    """OpenAI-shaped conversations of about `BYTES` each; the same ones every time."""
    samples = [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]
    sizes = [len(json.dumps(sample)) for sample in samples]
    rng = random.Random(0)
    for number in range(count):
        messages: list[dict[str, Any]] = []
        tools: dict[str, Any] = {}
        size = 0
        while size < BYTES:
            pick = rng.randrange(len(samples))
            size += sizes[pick]
            messages += _fresh(samples[pick]["messages"], f"{number} {len(messages)}", rng)
            for tool in samples[pick].get("tools", []):
                tools.setdefault(tool["function"]["name"], tool)
        yield {"id": f"bench-{number}", "messages": messages, "tools": list(tools.values())}


def _fresh(messages: list[dict[str, Any]], origin: str, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Messages with their own call ids, a new remark in each user message, and unanswered calls answered.

    Without system messages, which may only stand first.
    """
    renamed: dict[str, str] = {}
    open_calls: list[str] = []
    for message in messages:
        copy = dict(message)
        if message["role"] == "system":
            continue
        if message["role"] == "user":
            copy["content"] += f" My reference is {rng.randrange(10**8)}, from day {rng.randrange(1, 366)}."
        if message["role"] == "tool":
            copy["tool_call_id"] = renamed[message["tool_call_id"]]
            open_calls.remove(copy["tool_call_id"])
        if calls := message.get("tool_calls"):
            for call in calls:
                renamed[call["id"]] = call_id(f"{origin} {call['id']}")
            copy["tool_calls"] = [call | {"id": renamed[call["id"]]} for call in calls]
            open_calls = [renamed[call["id"]] for call in calls]
        yield copy
    if open_calls:
        for each in open_calls:
            yield {"role": "tool", "tool_call_id": each, "content": f'{{"done": {rng.randrange(10**6)}}}'}
        yield {"role": "assistant", "content": f"Done, under number {rng.randrange(10**6)}."}


def _measured(command: list[str]) -> dict[str, float]:
    """Wall and CPU seconds of a command with its children, and the most memory they held together."""
    before = os.times()
    started = time.monotonic()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process))
        time.sleep(0.5)  # to list the processes takes milliseconds, which the workers want too
    seconds = time.monotonic() - started
    if process.returncode:
        raise UserError(f"finetune validate failed: {process.stderr.read().strip()}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_rss_mb": round(peak / 1e6, 1),
    }


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def _plain(source: Path) -> dict[str, Any]:
    """What a training script without this toolkit does: one render and encode a conversation."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_folder(BASE))
    with source.open(encoding="utf-8") as file:
        chats = [json.loads(line) for line, _ in zip(file, range(SUBSET), strict=False)]
    started, cpu = time.monotonic(), time.process_time()
    tokens = 0
    for chat in chats:
        encoded = tokenizer.apply_chat_template(chat["messages"], tools=chat["tools"], return_dict=True)
        tokens += len(encoded["input_ids"])
    seconds = time.monotonic() - started
    return {
        "conversations": len(chats),
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    }


if __name__ == "__main__":
    run(main, console)
