"""How an attacker sends an adapter, or what goes for one: files as bytes, over a real connection."""

import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import httpx

from data import digest
from tests.serve import tiny
from tests.serve.test_adapter_routes import error
from tests.serve.test_client import listening
from tests.serve.tiny import CONFIG, WEIGHTS, TinyServer
from tests.waiting import PATIENCE

MANIFEST = "manifest.json"
NAME = "victim"
"""The adapter that every attack means to push."""

MOST_SECONDS = 2
"""A refusal takes less of a processor, the client's part included, whatever is sent."""

Files = dict[str, bytes]
Act = Callable[[httpx.Client, Files], httpx.Response]
"""From a valid adapter to the server's last answer: the refusal, if all is well."""


PICKLED = Path(gettempdir()) / "enxerto-hostile-pickle-was-loaded"
"""What the pickled weights make, where somebody loads them."""


@dataclass(frozen=True)
class World:
    """A server with an empty registry, a connection with a key to all of it, and a valid adapter."""

    server: TinyServer
    http: httpx.Client
    files: Files
    folder: Path

    @classmethod
    @contextmanager
    def made(cls, folder: Path, stall_seconds: float = 20) -> "Iterator[World]":
        base = tiny.make_base(folder / "base")
        adapter = tiny.make_adapter(folder / "adapter", base)
        server = tiny.make_server(folder / "registry", base, stall_seconds=stall_seconds)
        files = {path.name: path.read_bytes() for path in adapter.iterdir()}
        with (
            listening(server.app) as url,
            httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as http,
        ):
            yield cls(server, http, files, folder / "registry")

    def uploads(self) -> list[Path]:
        return list((self.folder / "staging").iterdir())

    def assert_untouched(self) -> None:
        """No version, no blob, nothing in the engine, and of the upload at most what was announced."""
        storage = self.server.registry.storage
        assert storage.index.versions() == []
        assert list(storage.blobs.all()) == []
        assert list((self.folder / "versions").iterdir()) == []
        assert self.server.engine.held == set()
        assert not PICKLED.exists()
        uploads = self.uploads()
        assert len(uploads) <= 1
        assert all(re.fullmatch("[0-9a-f]{32}", upload.name) for upload in uploads)
        storage.staging.clear(older_than=-1)


def sign(files: Files) -> None:
    """Write into the manifest what the files are now, so that nothing but the attack is wrong."""
    manifest = json.loads(files[MANIFEST])
    entries = announcement(files)["files"]
    manifest["files"] = {name: entries[name] for name in (CONFIG, WEIGHTS) if name in entries}
    files[MANIFEST] = json.dumps(manifest).encode()


def announcement(files: Files) -> dict[str, Any]:
    entries = {name: {"sha256": digest.of_bytes(data), "size": len(data)} for name, data in files.items()}
    return {"files": entries, "aliases": ["default"]}


def push(http: httpx.Client, files: Files, body: Any = None, name: str = NAME) -> httpx.Response:
    """Announce (`body`, or what is true), send, commit; the first answer that is a refusal, or the last."""
    opened = announce(http, announcement(files) if body is None else body, name)
    if not opened.is_success:
        return opened
    upload = opened.json()
    for file in upload["missing"]:
        sent = http.put(f"/v1/uploads/{upload['upload']}/{file}", content=files[file])
        if not sent.is_success:
            return sent
    return http.post(f"/v1/uploads/{upload['upload']}/commit")


def announce(http: httpx.Client, body: Any, name: str = NAME) -> httpx.Response:
    """An upload announced by a value, or by the bytes that go for JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    return http.post(f"/v1/adapters/{name}/uploads", content=content, headers=headers)


def opened(http: httpx.Client, files: Files) -> str:
    """The path of an upload that was rightly announced."""
    return f"/v1/uploads/{announce(http, announcement(files)).json()['upload']}"


def wire(http: httpx.Client, data: bytes) -> httpx.Response:
    """The answer to these very bytes."""
    with connected(http) as line:
        line.sendall(data)
        answer = HTTPResponse(line)
        answer.begin()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def connected(http: httpx.Client) -> socket.socket:
    return socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=PATIENCE)


def unpack(weights: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors' bytes of a safetensors file."""
    length = struct.unpack("<Q", weights[:8])[0]
    return json.loads(weights[8 : 8 + length]), weights[8 + length :]


def pack(header: dict[str, Any] | bytes, data: bytes, length: int | None = None) -> bytes:
    """A safetensors file, of whatever header; `length` is what its first eight bytes claim."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def sentence(response: httpx.Response) -> str:
    """Why the server refused: one line of an OpenAI error object, or what is wrong as an AssertionError."""
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:500]}"
    message = error(response, response.status_code, response.json()["error"]["code"])
    assert message.isprintable() and message.endswith(".") and " " in message, repr(message)
    assert len(message) < 700, f"{len(message)} characters: {message[:700]}"
    return message
