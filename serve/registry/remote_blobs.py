"""Blobs in an object store: S3, and what speaks like it, by obstore."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from data import digest as digests
from data.errors import UserError
from serve.failpoints import reach
from serve.registry.blobs import Blob, check, missing
from serve.registry.records import MissingBlob, StorageBusy

AT_ONCE = 64 * 2**20
"""Bytes up to which a blob goes in one request that S3 refuses where the name is taken. Larger ones go in
parts, which S3 puts together at the end, and where two come at once both are the same bytes."""

PART_BYTES = 16 * 2**20

FRESH = timedelta(minutes=30)
"""A blob written longer ago is written again when it is put, so that no collection takes it meanwhile."""


class RemoteBlobs:
    """Blobs under `<prefix>/<first two>/<hex>` of a bucket.

    `url` is `s3://BUCKET/PREFIX`; `?endpoint=http://...` names a store that is not Amazon's. Who may read
    and write comes from the environment, as for every S3 client (AWS_ACCESS_KEY_ID, AWS_REGION, ...).
    """

    def __init__(self, url: str, retries: int = 5) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise UserError(f"{url[:100]!r} is no blob store; give a folder, or s3://BUCKET/PREFIX.")
        options = dict(parse_qsl(parts.query))
        if unknown := options.keys() - {"endpoint", "region"}:
            raise UserError(f"{min(unknown)!r} is no setting of a blob store; only endpoint and region are.")
        endpoint = options.get("endpoint")
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            endpoint=endpoint,
            region=options.get("region") or os.environ.get("AWS_REGION") or "us-east-1",
            client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
            retry_config={"max_retries": retries},
        )

    def has(self, digest: str) -> bool:
        return self._head(digest) is not None

    def put(self, digest: str, source: Path) -> None:
        if digests.of_file(source) != digest:
            raise UserError(f"{source.name} changed while it was stored; upload it again.")
        known = self._head(digest)
        if known and datetime.now(UTC) - known["last_modified"] < FRESH:
            return
        reach("remote.put")
        with _sentences():
            if known is None and source.stat().st_size <= AT_ONCE:
                with suppress(AlreadyExistsError):  # somebody else was first, with the same bytes
                    obstore.put(self._store, _path(digest), source.read_bytes(), mode="create")
            else:
                obstore.put(self._store, _path(digest), source, use_multipart=True, chunk_size=PART_BYTES)
        reach("remote.stored")

    def fetch(self, digest: str, target: Path) -> None:
        with target.open("xb") as writer:
            try:
                for block in self.read(digest):
                    writer.write(block)
            except BaseException:
                target.unlink()
                raise
            writer.flush()
            os.fchmod(writer.fileno(), 0o444)
            os.fsync(writer.fileno())
        check(digest, target)

    def read(self, digest: str) -> Iterator[bytes]:
        with _sentences(digest):
            for block in obstore.get(self._store, _path(digest)).stream(min_chunk_size=2**20):
                yield bytes(block)

    def delete(self, digest: str) -> None:
        with _sentences():
            obstore.delete(self._store, _path(digest))

    def all(self) -> Iterator[Blob]:
        with _sentences():
            for page in obstore.list(self._store):
                for entry in page:
                    name = entry["path"].rpartition("/")[2]
                    yield Blob(f"sha256:{name}", entry["size"], entry["last_modified"])

    def clear(self, before: datetime) -> None:
        """Nothing: an object is there whole or not at all. Parts that never became one cost room that a
        bucket's own rule (AbortIncompleteMultipartUpload) gives back."""

    def _head(self, digest: str) -> Any:
        with _sentences():
            try:
                return obstore.head(self._store, _path(digest))
            except FileNotFoundError:
                return None


def _path(digest: str) -> str:
    name = digest.removeprefix("sha256:")
    return f"{name[:2]}/{name}"


@contextmanager
def _sentences(digest: str = "") -> Iterator[None]:
    """What a store says when it lacks something or cannot be reached, as one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise MissingBlob(missing(digest)) from None
    except BaseError as error:
        first = str(error).strip().splitlines()[0][:200]
        raise StorageBusy(f"the blob store did not answer ({first}); try again in a moment.") from error
