"""`serve gate`: what an alias asks for before it moves to a version."""

from pathlib import Path
from typing import Annotated, Any

import typer

from data.errors import UserError
from serve.cli.printing import Json, Name, Url, as_json, say, table


def gate(
    name: Name,
    alias: Annotated[str, typer.Option("--alias", help="The alias.")] = "default",
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ask for this from now on (YAML; see recipes/gates).")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Ask for nothing from now on.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show or set the reports that an alias asks for before it moves to a version."""
    from data.policy import Policy
    from data.strict import load_yaml
    from serve.client import registry

    if policy and off:
        raise UserError("--policy and --off are opposites; give one of the two.")
    if policy:
        found = registry.set_policy(name, alias, load_yaml(policy, Policy), url)
    elif off:
        found = registry.set_policy(name, alias, None, url)
    else:
        found = registry.policy(name, alias, url)
    if json:
        as_json(found)
    elif found["policy"] is None:
        say(f"{name}:{alias} moves without a report")
    else:
        say(f"{name}:{alias} moves to a version with a report, beside what it means by then, on")
        table(
            ("suite", "may be worse by"), [(_suite(one), _bounds(one)) for one in found["policy"]["suites"]]
        )


def _suite(rule: dict[str, Any]) -> str:
    return f"{rule['name']}{' ' + rule['digest'][:19] if rule['digest'] else ''}"


def _bounds(rule: dict[str, Any]) -> str:
    others = "".join(f", {task}: {bound:.1%}" for task, bound in rule["tasks"].items())
    return f"{rule['most_worse']:.1%}{others}"
