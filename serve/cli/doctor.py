"""`serve doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from serve.cli.printing import Blobs, Database, Registry, as_json
from serve.settings import Settings

_COLOURS = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "problem": typer.colors.RED}


def doctor(
    host: Annotated[str, typer.Option(help="As for `serve up`, as are the others.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8321,
    base: Annotated[
        str, typer.Option(help="A base that `finetune base` made, named as there.")
    ] = "smollm2-135m-instruct-awq",
    max_loras: Annotated[int, typer.Option(min=1)] = Settings.max_loras,
    max_lora_rank: Annotated[int, typer.Option(min=1)] = Settings.max_lora_rank,
    max_model_len: Annotated[int | None, typer.Option(min=1)] = None,
    registry: Registry = None,
    database: Database = None,
    blobs: Blobs = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what would keep `serve up` from working here, and what fits; exit code 1 if there is a problem."""
    from data.home import registry_folder
    from serve.doctor.examine import Patient, examine
    from serve.doctor.finding import Level
    from serve.doctor.room import Asked

    asked = Asked(max_loras, max_lora_rank, max_model_len)
    patient = Patient(host, port, base, asked, registry or registry_folder(), database, blobs)
    findings = []
    for finding in examine(patient):
        findings.append(finding)
        if not json:
            level = typer.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
            typer.echo(f"{level} {finding.about:15} {finding.said.replace(f'{Path.home()}/', '~/')}")
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if json:
        as_json({"ok": not problems, "findings": [finding.plain() for finding in findings]})
    else:
        typer.echo(f"{problems} problem{'s' * (problems > 1)}." if problems else "No problem.")
    if problems:
        raise typer.Exit(1)
