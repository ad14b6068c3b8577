"""`python -m bench.render`: tokens per second of rendering, one thread, beside plain `apply_chat_template`.

Ours makes training rows with their masks and checks each target against the server's prompt; transformers'
call makes the tokens alone, which is the least that any trainer must do. Both run over the same
conversations in turn, and the best of several rounds counts.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.results import Goal, show, write
from data.chat import Conversation
from data.formats import read
from data.home import base_folder
from finetune.render import open_renderer

COMMAND = "python -m bench.render"
OUT = Path("bench/results/render.json")
BASE = "smollm2-135m-instruct-awq"
ROUNDS = 3
LEAST = 0.5


def main() -> None:
    from transformers import AutoTokenizer

    folder = base_folder(BASE)
    renderer, tokenizer = open_renderer(folder), AutoTokenizer.from_pretrained(folder)
    chats = list(read(Path("data/samples/train.jsonl")))

    def ours(work: list[Conversation]) -> int:
        return sum(len(row.input_ids) for chat in work for row in renderer.samples(chat))

    def plain(work: list[tuple[Any, Any]]) -> int:
        return sum(
            len(tokenizer.apply_chat_template(messages, tools=tools, tokenize=True, return_dict=False))
            for messages, tools in work
        )

    sets = {"samples": chats, "long conversations": [_long(chats[at : at + 20]) for at in range(0, 400, 20)]}
    rows = [
        row
        for name, work in sets.items()
        for row in _compared(name, len(work), lambda w=work: ours(w), _template_input(work), plain)
    ]
    goals = []
    for name, mine, theirs in zip(sets, rows[::2], rows[1::2], strict=True):
        ratio = mine["tokens_per_s"] / theirs["tokens_per_s"]
        goal = f"at least {LEAST} x apply_chat_template"
        goals.append(Goal(f"rows and masks, {name}", goal, f"{ratio:.2f} x", ratio >= LEAST))
    write(OUT, COMMAND, rows, goals)
    show(Console(), "Rendering, one thread", goals)


def _compared(
    name: str, count: int, ours: Callable[[], int], given: list[tuple[Any, Any]], plain: Callable[..., int]
) -> list[dict[str, Any]]:
    best: dict[str, tuple[float, int]] = {}
    for _ in range(ROUNDS):
        for label, run in (("enxerto", ours), ("apply_chat_template", lambda: plain(given))):
            start = time.perf_counter()
            tokens = run()
            taken = time.perf_counter() - start
            best[label] = min(best.get(label, (taken, tokens)), (taken, tokens))
    return [
        {"set": name, "conversations": count, "renderer": label, "tokens": tokens, "seconds": round(taken, 4),
         "tokens_per_s": round(tokens / taken)}
        for label, (taken, tokens) in best.items()
    ]  # fmt: skip


def _long(chats: list[Conversation]) -> Conversation:
    """One conversation of many turns, made of short ones; their tools are those of the first."""
    messages = [message for chat in chats for message in chat.messages if message.role != "system"]
    return Conversation(messages=messages, tools=chats[0].tools)


def _template_input(chats: list[Conversation]) -> list[tuple[Any, Any]]:
    """Messages and tools with parsed arguments, made before the clock runs."""
    given = []
    for chat in chats:
        plain = chat.plain()
        for message in plain["messages"]:
            for call in message.get("tool_calls", []):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        given.append((plain["messages"], plain.get("tools")))
    return given


if __name__ == "__main__":
    main()
