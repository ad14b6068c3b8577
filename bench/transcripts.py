"""`make transcripts`: what a person sees of base, train, up, push, chat and eval, as files for the docs.

Every command runs for real under a pseudo-terminal; nothing of what is written was typed by hand.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from rich.console import Console

from bench.command import run
from bench.desk import COLUMNS, Desk, linked_home
from bench.terminal import CTRL_D, ENTER, PROMPT
from data.home import home

OUT = Path("docs/transcripts")
BASE = "smollm2-135m-instruct-awq"
ROOT = Path(__file__).parents[1]

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="the folder to write to")
    parser.add_argument("--columns", type=int, default=COLUMNS)
    parser.add_argument("--short", action="store_true", help="two steps and two questions, as a test has it")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        write(record(Path(scratch), given.columns, given.short), given.out)
    console.print(f"written to {given.out}")


def record(scratch: Path, columns: int, short: bool) -> dict[str, list[str]]:
    """The transcripts by name, made in `scratch`."""
    desk = Desk(
        scratch / "enxerto", linked_home(scratch / "home", home() / "bases"), ROOT / ".venv/bin", columns
    )
    desk.folder.mkdir()
    for name in ("data", "finetune", "serve", "recipes", "bench"):
        (desk.folder / name).symlink_to(ROOT / name)
    recipe, suite = _short(desk) if short else ("recipes/quickstart.yaml", "recipes/evals/quickstart.yaml")
    output = yaml.safe_load((desk.folder / recipe).read_text())["output"]
    scenes: dict[str, list[str]] = {}

    def scene(name: str) -> None:
        scenes[name], desk.transcript = desk.transcript, []
        console.print(f"recorded {name}, {len(scenes[name])} lines")

    desk.type(f"finetune base {BASE}")
    scene("base")
    desk.type(f"finetune train {recipe}")
    scene("train")
    with desk.beside(f"serve up --port {desk.port}", until="serving on"):
        scene("up")
        desk.type(f"serve push {output} --name support")
        desk.type("serve ls")
        scene("push")
        desk.type("serve chat support 'Who are you?' --max-tokens 40 --temperature 0")
        desk.type(
            "serve chat support --max-tokens 40 --temperature 0",
            keys=[(PROMPT, f"Say hello.{ENTER}"), (PROMPT, CTRL_D)],
        )
        desk.type("serve chat suport 'Who are you?'", code=2)
        scene("chat")
        desk.type(f"finetune eval {suite} --models base,support --out runs/eval")
        scene("eval")
        desk.type(f"serve logs --port {desk.port} --lines 3")
    scenes["up"] += desk.transcript
    return scenes


def write(scenes: dict[str, list[str]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in scenes.items():
        (out / f"{name}.txt").write_text("\n".join(lines).strip() + "\n", encoding="utf-8")


def _short(desk: Desk) -> tuple[str, str]:
    """A recipe of two steps, and a suite of two questions."""
    recipe = yaml.safe_load((ROOT / "recipes/quickstart.yaml").read_text())
    del recipe["train"]["epochs"]
    recipe["train"] |= {"steps": 2}
    recipe["data"] = {"train": ["short.jsonl"], "max_length": 1536}
    rows = (ROOT / "data/samples/train.jsonl").read_text(encoding="utf-8").splitlines()[:8]
    (desk.folder / "short.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (desk.folder / "short.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    suite = {
        "name": "short",
        "max_tokens": 16,
        "tasks": [{"name": "chat", "kind": "chat", "prompts": ["Who are you?", "Name a river."]}],
    }
    (desk.folder / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    return "short.yaml", "suite.yaml"


if __name__ == "__main__":
    run(main, console)
