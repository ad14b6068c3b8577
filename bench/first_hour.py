"""`make first-hour`: a newcomer's first hour, played at a terminal from a fresh clone to a foreign adapter.

Every command runs for real; mistakes are made on purpose and mended as their messages say. With `--short`
the trainings have few steps and nothing is installed again, as a test has it.
"""

import argparse
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from safetensors.numpy import save_file

from bench.command import run
from bench.desk import COLUMNS, Desk, linked_home
from bench.terminal import CTRL_D, ENTER, PROMPT
from data.home import base_folder, home

OUT = Path("docs/transcripts/first-hour.txt")
BASE = "smollm2-135m-instruct-awq"
ROOT = Path(__file__).parents[1]
CITIES = (
    "Faro", "Braga", "Evora", "Porto", "Lisbon", "Coimbra", "Aveiro", "Setubal",
    "Viseu", "Guarda", "Beja", "Tomar", "Lagos", "Sintra", "Cascais", "Leiria",
    "Chaves", "Elvas", "Tavira", "Silves", "Funchal", "Horta", "Mafra", "Loures",
)  # fmt: skip

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--columns", type=int, default=COLUMNS)
    parser.add_argument("--short", action="store_true", help="few steps, and this environment")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        desk = play(Path(scratch), given.columns, given.short)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text("\n".join(desk.transcript).strip() + "\n", encoding="utf-8")
    console.print(f"written to {given.out}")


def play(scratch: Path, columns: int = COLUMNS, short: bool = False) -> Desk:
    """The whole hour; UserError where a command ended otherwise than it should."""
    desk = _clone(scratch, columns, short)
    _quickstart(desk, short)
    _own_data(desk)
    _own_recipe(desk, short)
    _serve(desk)
    return desk


def _clone(scratch: Path, columns: int, short: bool) -> Desk:
    folder = scratch / "enxerto"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    path = ROOT / ".venv/bin" if short else folder / ".venv/bin"
    if short:
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    desk = Desk(
        folder, linked_home(scratch / "home", home() / "bases" if short else scratch / "none"), path, columns
    )
    desk.note("A fresh clone.")
    desk.type("git log --oneline | head -1; ls")
    return desk


def _quickstart(desk: Desk, short: bool) -> None:
    desk.note("The first of the README's two commands.")
    if not short:
        desk.type("make quickstart")
        return
    recipe = yaml.safe_load((desk.folder / "recipes/quickstart.yaml").read_text())
    _save(desk, "short.yaml", _of_few_steps(recipe, "data/samples/heldout_known.jsonl"))
    _save(desk, "short-suite.yaml", _suite(["Who are you?"]))
    desk.type("python -m bench.quickstart --recipe short.yaml --suite short-suite.yaml")


def _own_data(desk: Desk) -> None:
    desk.note("My own data: opening hours of shops. Three mistakes are in it, and I do not know of them yet.")
    lines = [json.dumps(_hours(city, f"{7 + at % 4} to {16 + at % 5}")) for at, city in enumerate(CITIES)]
    broken = [
        lines[1][:-1],  # a brace is missing
        lines[2].replace('"messages"', '"mesages"'),
        json.dumps(_called("city=Faro")),  # arguments are JSON
    ]
    desk.write("mine.jsonl", "\n".join([lines[0], *broken]) + "\n")
    check = f"finetune validate mine.jsonl --base {BASE}"
    desk.type(check, code=2)
    desk.note("One after the other is mended: the brace, the key, the arguments of the call.")
    mended = [lines[1], lines[2], json.dumps(_called('{"city": "Faro"}'))]
    for count in range(1, 4):
        rows = [lines[0], *mended[:count], *broken[count:], *lines[4:]]
        (desk.folder / "mine.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        desk.type(check, code=2 if count < 3 else 0)
    desk.type(f"finetune preview mine.jsonl --sample 4 --base {BASE}")


def _own_recipe(desk: Desk, short: bool) -> None:
    desk.note("A recipe of my own, with the words that I know from elsewhere.")
    recipe: dict[str, Any] = {
        "name": "hours",
        "base": BASE,
        "data": {"train": ["mine.jsonl"]},
        "lora": {"rank": 8},
        "train": {"steps": 2 if short else 30, "batch": 2, "learning_rate": 1e-3},
        "track": {"wandb": "off"},
        "output": "runs/hours/adapter",
    }
    desk.write("mine.yaml", yaml.safe_dump(recipe, sort_keys=False))
    desk.type("finetune train mine.yaml", code=2)
    recipe["lora"] = {"r": 8}
    desk.write("mine.yaml", yaml.safe_dump(recipe, sort_keys=False))
    desk.type("finetune estimate mine.yaml")
    desk.type("finetune train mine.yaml")


def _serve(desk: Desk) -> None:
    desk.note("Served, pushed, talked to, measured.")
    with desk.beside(f"serve up --port {desk.port}", until="serving on"):
        desk.type("serve push runs/hours/adapter --name latest", code=2)
        desk.type("serve push runs/hours/adapter --name hours")
        desk.type(
            "serve chat hours --max-tokens 40 --temperature 0",
            keys=[(PROMPT, f"When is the shop in Faro open?{ENTER}"), (PROMPT, CTRL_D)],
        )
        desk.write("suite.yaml", yaml.safe_dump(_suite([f"When is the shop in {CITIES[0]} open?"])))
        desk.type("finetune eval suite.yaml --models base,hours --out runs/hours/eval")
        desk.note("An adapter that PEFT saved, without anything of this program.")
        foreign(desk.folder / "foreign", base_folder(BASE))
        desk.type("ls foreign")
        desk.type("serve push foreign --name foreign", code=None)
        if desk.codes["serve push foreign --name foreign"] == 0:
            desk.type("serve chat foreign 'Hello' --max-tokens 20 --temperature 0")
        desk.type("serve ls")
        desk.type("serve rm hours", code=2)


def foreign(folder: Path, base: Path, rank: int = 4) -> Path:
    """Write the two files that PEFT's `save_pretrained` writes, for the query projections of a base."""
    config = json.loads((base / "config.json").read_text())
    hidden = config["hidden_size"]
    random, tensors = np.random.default_rng(7), {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        tensors[f"{name}.lora_A.weight"] = random.normal(0, 0.02, (rank, hidden)).astype("f4")
        tensors[f"{name}.lora_B.weight"] = random.normal(0, 0.02, (hidden, rank)).astype("f4")
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 8, "lora_dropout": 0.0,
        "target_modules": ["q_proj"], "bias": "none", "base_model_name_or_path": BASE,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2))
    return folder


def _save(desk: Desk, name: str, content: dict[str, Any]) -> None:
    (desk.folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _of_few_steps(recipe: dict[str, Any], data: str) -> dict[str, Any]:
    training = {name: value for name, value in recipe["train"].items() if name != "epochs"}
    return recipe | {"train": training | {"steps": 2}, "data": recipe["data"] | {"train": [data]}}


def _suite(prompts: list[str]) -> dict[str, Any]:
    return {"name": "mine", "max_tokens": 24, "tasks": [{"name": "chat", "kind": "chat", "prompts": prompts}]}


def _hours(city: str, hours: str) -> dict[str, Any]:
    asked = {"role": "user", "content": f"When is the shop in {city} open?"}
    return {
        "messages": [asked, {"role": "assistant", "content": f"The shop in {city} is open from {hours}."}]
    }


def _called(arguments: str) -> dict[str, Any]:
    """A question that is answered by a call of `opening_hours`."""
    function = {"name": "opening_hours", "arguments": arguments}
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    described = {"name": "opening_hours", "description": "Hours of a shop.", "parameters": parameters}
    return {
        "messages": [
            {"role": "user", "content": "Look up the hours in Faro."},
            {
                "role": "assistant",
                "tool_calls": [{"id": "call00001", "type": "function", "function": function}],
            },
        ],
        "tools": [{"type": "function", "function": described}],
    }


if __name__ == "__main__":
    run(main, console)
