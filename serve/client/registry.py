"""What the command line asks of a server's registry."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from data import digest
from data.errors import UserError, shown
from data.names import BASE
from data.policy import Policy
from data.report import read_report
from serve.client.connection import ask, connect, require_success
from serve.registry.records import Reference, checked_name

PAGE = 1000
"""Adapters asked for at a time."""


def adapters(url: str | None = None) -> list[dict[str, Any]]:
    """Every adapter of the server, by name."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = ask("GET", f"/v1/adapters?limit={PAGE}&after={after}", url)
        found += page["data"]
        after = page["next"]
    return found


def adapter(name: str, url: str | None = None) -> dict[str, Any]:
    """One adapter with its versions, aliases and history."""
    return ask("GET", f"/v1/adapters/{checked_name(name)}", url)


def model_named(model: str, url: str | None = None) -> str:
    """What to send as `model`: `base` is the server's base, unless an adapter of old has that name."""
    if model != BASE:
        return model
    listed = [str(one["id"]) for one in ask("GET", "/v1/models", url)["data"]]
    return model if BASE in listed else listed[0]


def pointed_at(name: str, alias: str, url: str | None = None) -> int | None:
    """The version that an alias points to; None for nothing."""
    version: int | None = ask("GET", _alias(name, alias), url)["version"]
    return version


def set_alias(
    name: str,
    alias: str,
    version: int | None,
    expected: int | None,
    url: str | None = None,
    weight: int | None = None,
    override: str | None = None,
) -> dict[str, Any]:
    """Point an alias, or `weight` percent of its requests, to a version (None: remove it), if it still points
    to `expected` (None: to nothing); `override` is why, whatever its policy asks for."""
    body = {"version": version, "weight": weight, "expected": expected, "override": override}
    return ask("PUT", _alias(name, alias), url, body)


def promote(
    name: str,
    version: int,
    alias: str,
    url: str | None = None,
    weight: int | None = None,
    override: str | None = None,
) -> dict[str, Any]:
    """Point an alias, or `weight` percent of its requests, to a version, unless somebody else moves it."""
    return set_alias(name, alias, version, pointed_at(name, alias, url), url, weight, override)


def send_report(reference: Reference, path: Path, url: str | None = None) -> dict[str, Any]:
    """Have the registry know an evaluation of a version; `path` is its `report.json`, or the folder."""
    report, version = read_report(path), ask("GET", _version(reference), url)
    evidence = report.evidence(version["digest"])
    return ask("POST", f"{_version(reference)}/reports", url, evidence.model_dump(mode="json"))


def policy(name: str, alias: str, url: str | None = None) -> dict[str, Any]:
    """What an alias asks for before it moves."""
    return ask("GET", f"{_alias(name, alias)}/policy", url)


def set_policy(name: str, alias: str, policy: Policy | None, url: str | None = None) -> dict[str, Any]:
    """Have an alias ask for this from now on; None: for nothing."""
    if policy is None:
        return ask("DELETE", f"{_alias(name, alias)}/policy", url)
    return ask("PUT", f"{_alias(name, alias)}/policy", url, policy.model_dump(mode="json"))


def rollback(name: str, alias: str, url: str | None = None) -> dict[str, Any]:
    """Point an alias to where it was before its last move; a second rollback undoes the first."""
    with connect(url) as client:  # once: said twice it would undo itself
        response = client.post(f"{_alias(name, alias)}/rollback")
        require_success(response)
        moved: dict[str, Any] = response.json()
    return moved


def pin(reference: Reference, on: bool, url: str | None = None) -> dict[str, Any]:
    """Keep a version loaded, or no longer."""
    return ask("PUT" if on else "DELETE", f"{_version(reference)}/pin", url)


def remove(reference: Reference, url: str | None = None) -> dict[str, Any]:
    """Bury a version, or take an alias away."""
    if reference.alias:
        pointing = pointed_at(reference.name, reference.alias, url)
        if pointing is None:
            raise UserError(f"adapter {reference.name!r} has no alias {reference.alias!r}.")
        return set_alias(reference.name, reference.alias, None, pointing, url) | {"previous": pointing}
    return ask("DELETE", _version(reference), url)


def removable(name: str, url: str | None = None) -> list[str]:
    """The names by which `remove` takes an adapter apart: its aliases, then its versions."""
    found = adapter(name, url)
    versions = [f"{name}@{one['version']}" for one in found["versions"] if one["state"] != "removed"]
    return [*(f"{name}:{alias}" for alias in found["aliases"]), *versions]


def collect(days: float, uploads: float, url: str | None = None) -> dict[str, Any]:
    """Delete the bytes of versions that were removed longer ago, and uploads that nobody touched since."""
    return ask("POST", f"/v1/registry/gc?days={days:g}&uploads={uploads:g}", url)


def uploads(url: str | None = None) -> list[dict[str, Any]]:
    """Every upload under way, of adapters that the key reaches."""
    found: list[dict[str, Any]] = ask("GET", "/v1/uploads", url)["data"]
    return found


def end_upload(upload: str, url: str | None = None) -> dict[str, Any]:
    """Give an upload up."""
    if re.fullmatch("[0-9a-f]{32}", upload) is None:
        raise UserError(f"{shown(upload)!r} is no upload; `serve uploads ls` lists those under way.")
    return ask("DELETE", f"/v1/uploads/{upload}", url)


def fsck(url: str | None = None) -> dict[str, Any]:
    """Have everything read and compared."""
    return ask("GET", "/v1/registry/fsck", url)


def download(reference: Reference, folder: Path, url: str | None = None) -> list[str]:
    """Write the files of a version to a new folder; their names."""
    if folder.exists():
        raise UserError(f"{folder} exists; give a folder that does not.")
    from serve.registry.validate import check_names  # numpy, for which no other command waits

    files = ask("GET", _version(reference), url)["files"]
    check_names(files)  # a server may say anything, and these become paths here
    folder.mkdir(parents=True)
    with connect(url) as client:
        for name, blob in files.items():
            with client.stream("GET", f"{_version(reference)}/files/{name}") as response:
                _save(response, folder / name, blob)
    return list(files)


def create_key(
    name: str,
    scopes: list[str],
    adapters: list[str] | None,
    expires: datetime | None,
    url: str | None = None,
    group: str | None = None,
    limits: Mapping[str, int | None] = {},
) -> dict[str, Any]:
    """Make a key; its secret is in the answer, and nowhere else."""
    until = expires.isoformat() if expires else None
    body: dict[str, Any] = {"scopes": scopes, "adapters": adapters, "expires": until}
    body["name"] = checked_name(name, "key name")
    # A server of before knows no more.
    body |= {field: value for field, value in {"group": group, **limits}.items() if value is not None}
    return ask("POST", "/v1/keys", url, body)


def keys(url: str | None = None) -> list[dict[str, Any]]:
    """Every key, without its secret."""
    found: list[dict[str, Any]] = ask("GET", "/v1/keys", url)["data"]
    return found


def limit_key(name: str, limits: Mapping[str, int | None], url: str | None = None) -> dict[str, Any]:
    """Hold a key to these limits, and to no others."""
    return ask("PUT", f"/v1/keys/{checked_name(name, 'key name')}/limits", url, dict(limits))


def usage(days: int, url: str | None = None) -> list[dict[str, Any]]:
    """Requests and tokens of the last days, by day, key and adapter."""
    found: list[dict[str, Any]] = ask("GET", f"/v1/usage?days={days}", url)["data"]
    return found


def revoke_key(name: str, url: str | None = None) -> dict[str, Any]:
    """Have a key open nothing any more."""
    return ask("DELETE", f"/v1/keys/{checked_name(name, 'key name')}", url)


def _save(response: httpx.Response, path: Path, blob: str) -> None:
    if response.is_error:
        response.read()
    require_success(response)
    from serve.registry.staging import SIZE_LIMITS

    most = SIZE_LIMITS[path.name]
    with path.open("xb") as file:
        for block in response.iter_bytes(2**20):
            file.write(block)
            if file.tell() > most:
                break
    if path.stat().st_size > most or digest.of_file(path) != blob:
        path.unlink()
        raise UserError(f"{path.name} came with other bytes than the server says; look with `serve fsck`.")


def _alias(name: str, alias: str) -> str:
    return f"/v1/adapters/{checked_name(name)}/aliases/{checked_name(alias, 'alias')}"


def _version(reference: Reference) -> str:
    if reference.number is None:
        raise UserError(f"name a version, as in {reference.name}@3; `serve show {reference.name}` lists all.")
    return f"/v1/adapters/{reference.name}/versions/{reference.number}"
