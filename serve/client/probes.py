"""Probes for an adapter from elsewhere, computed by who pushes it, where training and the base are here."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from data import digest
from data.bases import with_fingerprint
from data.errors import UserError
from data.home import home
from data.manifest import AdoptedManifest
from data.probes import FILE
from serve.adopt.probes import compute
from serve.client.connection import server_url

SECONDS = 1800


def add_probes(folder: Path, manifest: AdoptedManifest, url: str | None) -> str | None:
    """Put `probes.json` into an adapter's folder; why not, where that cannot be: the server may then do it.

    They are kept by what they are of, so that the same adapter is pushed with the same bytes again.
    """
    base = with_fingerprint(manifest.base.fingerprint)
    if base is None:
        return f"base {manifest.base.name!r} ({manifest.base.fingerprint[:19]}) is not on this machine."
    parts = {name: entry.sha256 for name, entry in manifest.files.items()} | {
        "base": manifest.base.fingerprint
    }
    kept = home() / "probes" / f"{digest.of_json(parts).removeprefix('sha256:')}.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f".{kept.name}.{os.getpid()}")
        here = (urlsplit(server_url(url)).hostname or "") in ("127.0.0.1", "localhost", "::1")
        try:
            # On the server's own machine the GPU is the engine's.
            compute(folder, base, partial, SECONDS, gpu=not here)
            partial.replace(kept)
        except UserError as error:
            return str(error)
        finally:
            partial.unlink(missing_ok=True)
    (folder / FILE).write_bytes(kept.read_bytes())
    return None
