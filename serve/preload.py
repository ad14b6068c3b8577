"""What is loaded before anybody asks: by name when the server starts, and what it held before it ended."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data.errors import UserError
from serve.engine.protocol import served_name
from serve.lifecycle import Lifecycle
from serve.registry.records import Version
from serve.settings import Settings

if TYPE_CHECKING:
    from serve.registry.registry import Registry

log = logging.getLogger(__name__)


def named(registry: "Registry", settings: Settings) -> list[Version]:
    """The versions that `settings.preload` names; UserError where one is unknown, or too many are named."""
    found = [version for name in settings.preload for version in registry.route(name).versions]
    versions = [registry.resolve(name) for name in dict.fromkeys(map(served_name, found))]
    if len(versions) > settings.max_loras:
        raise UserError(
            f"--preload names {len(versions)} versions, and {settings.max_loras} fit; name fewer, or start "
            "the server with a higher --max-loras."
        )
    return versions


async def preload(lifecycle: Lifecycle, versions: Sequence[Version]) -> None:
    """Return once all are in the engine; UserError with the reason of the first that fails."""
    for version in versions:
        await lifecycle.ensure_ready(version)


def held_before(registry: "Registry", url: str) -> list[Version]:
    """What the last server at this address had in its engine, where that can be served still."""
    versions = []
    for reference in registry.storage.servers.last_held(url):
        try:
            versions.append(registry.resolve(reference))
        except UserError as error:
            log.info("%s is not brought back: %s", reference, error)
    return versions
