"""`finetune`: bases, recipes, training and evaluation. Nothing heavy is imported before it is needed."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from data import commands
from data.errors import UserError

app = commands.program("From a recipe to a LoRA adapter on an AWQ base, and its evaluation.")
_command = partial(app.command, cls=commands.Command)


@_command()
def base(
    name: Annotated[
        str, typer.Argument(metavar="BASE", help="A known name, a folder, or owner/repo@revision.")
    ],
) -> None:
    """Build, download or link a base, once."""
    from finetune.base.resolve import resolve

    resolve(name, lambda text: print(text, file=sys.stderr))


_RECIPE = typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")
_PROCESSES = typer.Option(min=1, help="Train with so many processes, a GPU each, or a part of the CPU.")


def _checked(recipe: Path) -> Path:
    """UserError for what is no recipe by its place or name alone, before it is read as YAML."""
    if recipe == Path():
        raise UserError("no recipe is named; give a YAML file, such as recipes/quickstart.yaml.")
    if recipe.is_dir():
        found = ", ".join(sorted(map(str, recipe.glob("*.yaml")))[:5])
        raise UserError(f"{recipe} is a folder; give one recipe{f', such as {found}' if found else ''}.")
    if recipe.suffix.lower() in (".jsonl", ".json", ".parquet", ".csv", ".txt"):
        raise UserError(
            f"{recipe} is data, not a recipe; name it under data.train of a recipe (recipes/quickstart.yaml "
            "is one)."
        )
    return recipe


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C before the first step or behind the last one is as good as between two, and says so."""
    pressed = []

    def noted(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, noted)
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        # A library that is being imported may make any error of it.
        if not pressed or isinstance(error, UserError):
            raise
        print("stopped; the same command goes on", file=sys.stderr)
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)


@_command()
def train(
    recipe: Annotated[Path, _RECIPE],
    restart: Annotated[bool, typer.Option("--restart", help="Forget an unfinished run.")] = False,
    processes: Annotated[int, _PROCESSES] = 1,
) -> None:
    """Train the adapter that a recipe describes; an unfinished run goes on where it was."""
    from finetune import recipe as recipes
    from finetune.launch import launched
    from finetune.train import train as run

    wanted = recipes.load(_checked(recipe))
    with _interruptible():
        if not launched("train", recipe, processes, restart):
            run(wanted, restart=restart)


@_command()
def resume(recipe: Annotated[Path, _RECIPE], processes: Annotated[int, _PROCESSES] = 1) -> None:
    """Go on with an unfinished run of a recipe; the same as `train`, but there must be one."""
    from finetune import recipe as recipes
    from finetune.launch import launched
    from finetune.train import must_be_unfinished
    from finetune.train import train as run

    wanted = recipes.load(_checked(recipe))
    must_be_unfinished(wanted)  # said once, before several processes start
    with _interruptible():
        if not launched("resume", recipe, processes):
            run(wanted, resume=True)


@_command()
def estimate(
    recipe: Annotated[Path, _RECIPE],
    device: Annotated[str, typer.Option(help="here, cpu, or a GPU such as h100-80gb.")] = "here",
    base_config: Annotated[
        Path | None, typer.Option(help="The base's config.json, when it is not here.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="So many examples instead of the recipe's data.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Tokens of each of these examples.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the estimate to this file.")] = None,
) -> None:
    """Say what memory, time and disk a recipe needs, before anything is downloaded."""
    from finetune.estimate.command import estimate as run

    run(recipe, device, base_config, rows, tokens, json)


@_command()
def preview(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A recipe (YAML), or a file of conversations or preferences."),
    ],
    sample: Annotated[
        list[int] | None, typer.Option(help="Number of a record, from 1; may be repeated.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page instead of the terminal.")] = None,
    base: Annotated[
        str | None, typer.Option(help="The base that renders; the recipe's, or the embedded one.")
    ] = None,
) -> None:
    """Show the exact tokens of samples, the learnt ones in colour."""
    from finetune.preview.command import preview as run

    run(source, sample or [1], html, base)


@_command()
def validate(
    sources: Annotated[
        list[str],
        typer.Argument(help="A recipe, or files of conversations or preferences.", metavar="SOURCE"),
    ],
    heldout: Annotated[
        list[str] | None, typer.Option(help="Held-out data, to look for in the sources.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Count tokens as this base; the recipe's by default.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write counts and all findings to this file.")] = None,
) -> None:
    """Read all data, count what training would learn, and name every problem with its place."""
    from finetune.validate.command import validate as run

    raise typer.Exit(run(sources, heldout or [], base, strict, json))


def _format(name: str) -> str:
    from finetune.leave.formats import known

    return known(name)


@_command("export")
def export(
    adapter: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that `finetune train` wrote.")],
    to: Annotated[
        str,
        typer.Option(
            help="A float16 model (merged), llama.cpp's LoRA (gguf-lora), or a repository folder (hub).",
            metavar="merged|gguf-lora|hub",
            callback=_format,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder or the .gguf file to write.")],
    base: Annotated[str | None, typer.Option(help="The base; by default the one it was trained on.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="For hub: the report of `finetune eval` whose figures the card shows.")
    ] = None,
    push: Annotated[
        str | None, typer.Option(help="For hub: upload to this repository too.", metavar="OWNER/NAME")
    ] = None,
) -> None:
    """Write an adapter for use elsewhere: merged into a float16 model, as GGUF, or for a model hub."""
    from finetune.leave.command import leave as run

    run(adapter, to, out, base, report, push)


@_command()
def probe(
    adapter: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a PEFT adapter that was trained elsewhere.")
    ],
    base: Annotated[str, typer.Option(help="The base that serves it: a name, or its folder.")],
    out: Annotated[Path, typer.Option(help="The file to write, probes.json.")],
) -> None:
    """Compute an adapter's parity probes, as `serve push` does for those that come without."""
    from finetune.training.adopted import write_probes

    write_probes(adapter, base, out)


@_command("eval")
def evaluate(
    suite: Annotated[
        Path,
        typer.Argument(metavar="SUITE", help="The suite, a YAML file; or a report.json, to run it again."),
    ],
    models: Annotated[
        str | None,
        typer.Option(
            help="Names to ask, separated by commas; `base` is the endpoint's base. Each is compared with "
            "those before it."
        ),
    ] = None,
    url: Annotated[str, typer.Option(envvar="ENXERTO_URL", help="The endpoint.")] = "http://127.0.0.1:8321",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report; runs/eval/<suite> by default.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what is known already.")] = False,
) -> None:
    """Ask a served endpoint the questions of a suite, and write report.json, report.html and report.md."""
    from finetune.eval.command import evaluate as run

    names = [name.strip() for name in models.split(",")] if models else []
    run(suite, names, url, out or Path("runs/eval") / suite.stem, fresh)


@_command()
def compare(
    reports: Annotated[
        list[Path], typer.Argument(metavar="REPORT", help="Folders of `finetune eval`, or their report.json.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write the comparison as a page too.")] = None,
    against: Annotated[
        str | None,
        typer.Option(help="The model to compare with, as the table names it; the first by default."),
    ] = None,
) -> None:
    """Set the models of several evaluation reports beside each other."""
    from finetune.eval.compare import compare as run

    run(reports, html, against)


@_command()
def judge(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="The report.json of `finetune eval`.")],
    model: Annotated[str, typer.Option(help="The judge's name at its endpoint.")],
    url: Annotated[str, typer.Option(help="The judge's endpoint; its key is $ENXERTO_JUDGE_KEY.")],
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Questions at a time.")] = 8,
) -> None:
    """Have another model compare the answers of a report in pairs; leaves judge.json beside it."""
    from finetune.eval.judge import judge as run

    run(report, model, url, concurrency)


def main() -> None:
    """The console script."""
    commands.run(app)


if __name__ == "__main__":
    main()
