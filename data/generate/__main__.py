"""`python -m data.generate [FOLDER]`: write the sample files and print what is in them."""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.chat import Conversation
from data.generate.files import sample_files
from data.generate.preferences import preference_files
from data.preference import Preference

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
_CHARACTERS_A_TOKEN = 3.2
Rows = Sequence[Conversation | Preference]


def line(row: Conversation | Preference) -> str:
    """One row as OpenAI's fine-tuning formats have it, with `id` and `category` in front."""
    head = {"id": row.id, "category": row.category}
    return json.dumps(head | row.plain(), ensure_ascii=False, separators=(",", ":"))


def write(folder: Path) -> dict[str, Rows]:
    """All sample files into `folder`, one row a line."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Rows] = {**sample_files(), **preference_files()}
    for name, rows in files.items():
        text = "".join(line(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_bytes(text.encode())
    return files


def summary(files: dict[str, Rows]) -> Table:
    """Rows by category and file, tool names shown, kilobytes, and roughly the tokens of each."""
    counts = {name: Counter(row.category or "" for row in rows) for name, rows in files.items()}
    table = Table("", *files)
    for category in sorted(set().union(*counts.values())):
        table.add_row(category, *(str(count[category]) for count in counts.values()))
    table.add_section()
    for title, measure in _MEASURES.items():
        table.add_row(title, *(str(measure(rows)) for rows in files.values()))
    return table


def _size(rows: Rows) -> int:
    return sum(len(line(row).encode()) + 1 for row in rows)


_MEASURES: dict[str, Callable[[Rows], int]] = {
    "rows": len,
    "tool names": lambda rows: len({tool.function.name for row in rows for tool in row.tools}),
    "kB": lambda rows: _size(rows) // 1000,
    "tokens each, about": lambda rows: int(_size(rows) / len(rows) / _CHARACTERS_A_TOKEN),
}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m data.generate", description="Write the sample files.")
    arguments.add_argument("folder", nargs="?", type=Path, default=SAMPLES, help="else the repository's own")
    Console().print(summary(write(arguments.parse_args().folder)))
