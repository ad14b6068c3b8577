"""Places where a test has this process die, to see that a crash there loses nothing.

A crash can be believed only where it happens: between two lines of the product's own code. So the places are
in that code, and cost a comparison of two strings. No request reaches the choice: it comes from the
environment of the process.
"""

import itertools
import os
import signal

POINTS = (
    "staging.made",  # an upload's folder is there, under a hidden name
    "staging.announced",  # it has its name, and the client does not know of it
    "staging.block",  # some of a file has come
    "staging.received",  # all of it has, and is not flushed
    "staging.flushed",
    "staging.placed",  # the file counts as here
    "blobs.copied",
    "blobs.checked",
    "blobs.renamed",  # the blob is there, and its folder not flushed
    "remote.put",
    "remote.stored",
    "folders.made",  # a version's folder for the engine, empty and under a hidden name
    "folders.filled",
    "folders.renamed",
    "discard.hidden",  # a folder lost its name, and has its files
    "registry.blobs",  # all blobs of a version are durable, and the index does not know
    "registry.folder",
    "index.add",  # inside the transaction, as for all of the index's and the aliases'
    "registry.added",  # committed, and not told, as for all of the registry's
    "aliases.move",
    "registry.moved",
    "registry.split",
    "registry.rolled_back",
    "index.remove",
    "registry.removed",
    "index.pin",
    "index.unpin",
    "registry.pinned",
    "uploads.kept",  # the version is there, and the upload is gone
    "uploads.loaded",
    "uploads.aliased",
    "collect.cleared",  # old uploads are gone
    "collect.listed",
    "collect.deleted",  # a blob is gone, under the index's lock
    "collect.unlocked",
    "collect.folder",
)
"""Every place there is, by the name that its line of code says."""

_name, _, _turn = os.environ.get("ENXERTO_FAILPOINT", "").partition(":")
_turns = itertools.count(1)


def reach(name: str) -> None:
    """Die on the spot if $ENXERTO_FAILPOINT is `name`, or `name:3` and this is the third time."""
    if name == _name and next(_turns) == int(_turn or 1):
        os.kill(os.getpid(), signal.SIGKILL)
