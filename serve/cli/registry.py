"""Commands about adapters, their versions and their aliases."""

from pathlib import Path
from typing import Annotated, Any

import typer

from data.errors import UserError
from serve.cli.printing import Json, Name, Url, Versioned, as_json, say, size, table, when

Alias = Annotated[str, typer.Option("--alias", help="The alias to move.")]


def push(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="The folder that a trainer wrote, hf:OWNER/NAME@REVISION, or s3://BUCKET/PREFIX.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="The adapter's name on the server.")],
    alias: Annotated[
        list[str],
        typer.Option("--alias", help="An alias to move once it answers; repeatable."),
    ] = ["default"],  # noqa: B006  typer copies it
    allow_noop: Annotated[
        bool, typer.Option("--allow-noop", help="Take an adapter that changes nothing.")
    ] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Upload an adapter; it answers requests when this returns."""
    from serve.client.push import push

    pushed = push(source, name, alias, url, allow_noop, say=lambda text: say(text, err=True))
    if json:
        as_json(pushed)
        return
    moved = "".join(f", alias {each}" for each in pushed["aliases"])
    say(f"{pushed['name']}@{pushed['version']} is {pushed['state']}{moved} ({pushed['digest'][:19]})")


def pull(
    version: Versioned,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The same, as `finetune export` takes it.")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Download a version's files, as they were pushed."""
    from serve.client.registry import download
    from serve.registry.records import Reference

    if (folder is None) == (out is None):
        raise UserError(f"name one folder to write to, as in `serve pull {version} DIR`.")
    folder = folder or out
    assert folder is not None
    files = download(Reference.parse(version), folder, url)
    if json:
        as_json({"folder": str(folder), "files": files})
        return
    say(f"{folder}: {', '.join(files)}")


def ls(url: Url = None, json: Json = False) -> None:
    """List the adapters."""
    from serve.client import registry

    found = registry.adapters(url)
    if json:
        as_json(found)
        return
    table(
        ("adapter", "versions", "newest", "aliases"),
        [
            (
                one["name"],
                len(one["versions"]),
                ", ".join(f"{last['version']} ({last['state']})" for last in one["versions"][-1:]),
                ", ".join(
                    f"{alias} -> {number}{_canary(one['canaries'].get(alias))}"
                    for alias, number in one["aliases"].items()
                ),
            )
            for one in found
        ],
    )


def show(name: Name, url: Url = None, json: Json = False) -> None:
    """Show an adapter's versions, where they come from, and where its aliases point, now and before."""
    from serve.client import registry

    found = registry.adapter(name, url)
    if json:
        as_json(found)
        return
    table(
        ("version", "state", "aliases", "rank", "size", "digest", "pushed", "by"),
        [
            (
                one["version"],
                f"{one['state']}{', pinned' if one['pinned'] else ''}",
                ", ".join(f"{alias}{_share(found, alias, one['version'])}" for alias in one["held_by"]),
                one["rank"],
                size(one["size"]),
                one["digest"][:19],
                when(one["created"]),
                one["pushed_by"],
            )
            for one in found["versions"]
        ],
    )
    for one in found["versions"]:
        _provenance(one)
    table(
        ("move", "alias", "from", "to", "time", "by", "in spite of its gate"),
        [
            (
                move["sequence"],
                move["alias"],
                move["previous"],
                f"{move['version']}{_canary(move, 'canary')}" if move["version"] else "removed",
                when(move["time"]),
                move["by"],
                move["override"],
            )
            for move in found["history"]
        ],
    )


def promote(
    version: Versioned,
    alias: Alias = "default",
    weight: Annotated[
        int | None,
        typer.Option(min=1, max=99, help="Only for so many percent of the requests, as the alias's canary."),
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option(help="An evaluation of the version to send first (report.json); repeatable."),
    ] = None,
    override: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Move it whatever the alias's policy asks for; the history keeps why."
        ),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Point an alias to a version; requests under way finish on the one that they started with."""
    from serve.client import registry
    from serve.registry.records import Reference

    reference = Reference.parse(version)
    if reference.number is None:
        raise UserError(f"{version!r} is no version; write NAME@NUMBER, as in {reference.name}@3.")
    for path in report or ():
        registry.send_report(reference, path, url)
    _moved(registry.promote(reference.name, reference.number, alias, url, weight, override), json)


def rollback(name: Name, alias: Alias = "default", url: Url = None, json: Json = False) -> None:
    """Point an alias to where it was before its last move; ends a canary."""
    from serve.client import registry

    _moved(registry.rollback(name, alias, url), json)


def pin(
    version: Versioned,
    off: Annotated[bool, typer.Option("--off", help="Let it go when its slot is needed.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Load a version, keep it loaded, and keep it from being removed."""
    from serve.client import registry
    from serve.registry.records import Reference

    pinned = registry.pin(Reference.parse(version), not off, url)
    if json:
        as_json(pinned)
        return
    say(f"{pinned['name']}@{pinned['version']} is {'pinned' if pinned['pinned'] else 'not pinned'}")


def rm(
    reference: Annotated[
        str, typer.Argument(metavar="NAME@NUMBER|NAME:ALIAS", help="A version, or an alias.")
    ],
    url: Url = None,
    json: Json = False,
) -> None:
    """Remove an alias, or a version that no alias means; pushing the same files brings that back."""
    from serve.client import registry
    from serve.registry.records import Reference

    parsed = Reference.parse(reference)
    if reference == parsed.name:
        raise UserError(_choices(reference, registry.removable(reference, url)))
    removed = registry.remove(parsed, url)
    if json:
        as_json(removed)
    elif parsed.alias:
        left = f"; {parsed.name}@{removed['previous']} stays" if removed.get("previous") else ""
        say(f"the alias {reference} is removed{left}")
    else:
        say(f"{reference} is removed; `serve gc` frees its bytes once it has been so for a week")


def _choices(name: str, parts: list[str]) -> str:
    """What to say instead where a whole adapter is named: a version is the only copy of its weights."""
    if not parts:
        return f"nothing is left of {name!r}: its versions are removed, and no alias names one."
    shown = ", ".join(parts[:20]) + (f" and {len(parts) - 20} more" if len(parts) > 20 else "")
    return (
        f"{name!r} is an adapter with all its versions; name what to remove, an alias before the version "
        f"that it means: {shown}."
    )


def _moved(moved: dict[str, Any], json: bool) -> None:
    if json:
        as_json(moved)
        return
    say(f"{moved['name']}:{moved['alias']} -> version {moved['version']}{_canary(moved, 'canary')}")


def _canary(split: dict[str, Any] | None, version: str = "version") -> str:
    """What stands behind a version, of which a canary takes a part of the requests."""
    return f", {split['weight']}% -> {split[version]}" if split and split[version] else ""


def _share(adapter: dict[str, Any], alias: str, version: int) -> str:
    """What stands behind an alias that means a version for a part of its requests only."""
    canary = adapter["canaries"].get(alias)
    if canary is None:
        return ""
    return f" {canary['weight'] if canary['version'] == version else 100 - canary['weight']}%"


def _provenance(version: dict[str, Any]) -> None:
    """What it was made of, what it changes and where it is, and whether engines say what its trainer said."""
    for report in version["reports"]:
        _report(version["version"], report)
    told = version["provenance"]
    if not told:
        return
    coverage = told["coverage"]
    losses = ", ".join(f"{key} {value:g}" for key, value in list(told.get("training", {}).items())[:4])
    say(f"  @{version['version']}: {_origin(told)}")
    where = ", ".join(version["loaded"]) or "no server"
    say(
        f"      changes {coverage['changed']} of {coverage['modules']} layers; loaded by {where}"
        + (f"; {losses}" if losses else "")
        + (f"; was {', '.join(version['was'])}" if version["was"] else "")
    )
    if measured := told.get("report"):
        numbers = ", ".join(f"{name} {value:g}" for name, value in list(measured.items())[:4])
        say(f"      the report that came with it: {numbers}")
    for verdict in version["parity"]:
        found = verdict["found"].get("adapter")
        said = verdict["why"] or (
            f"as trained (mean divergence {found['mean_kl']:.4f} nats, likeliest token the same in "
            f"{found['top1']:.0%} of {found['places']} places)"
        )
        say(f"      {verdict['engine']}: {said}")


def _origin(told: dict[str, Any]) -> str:
    """What a version was made of, or where one that was trained elsewhere is from."""
    if (adopted := told.get("adopted")) is None:
        data = told["dataset"]
        return (
            f"{data['conversations']} conversations of {data['digest'][:19]}, recipe "
            f"{told['recipe'][:19]}, base "
            f"{told['base']['name']}, code {told['code'].get('enxerto', 'unknown')}"
        )
    claims = f"claims base {adopted['claimed_base']}" if adopted["claimed_base"] else "names no base"
    why = f"; parity not checked: {adopted['without_probes']}" if adopted["without_probes"] else ""
    what = f"{adopted['layout']}, {adopted['digest'][:19]}"
    return f"trained elsewhere: {adopted['source']} ({what}), {claims}{why}"


def _report(number: int, report: dict[str, Any]) -> None:
    """How a version did in an evaluation, task by task."""
    from data import phrases
    from data.report import Difference

    for one in map(Difference.model_validate, report["differences"]):
        say(
            f"  @{number}: suite {report['suite']}, {one.task}, against {one.against}: "
            f"{phrases.change(one)} ({phrases.interval(one)})"
        )
    if report["more"]:
        say(f"  @{number}: suite {report['suite']}, and {report['more']} more comparisons")
