"""Files on their way in, over a real socket: broken off and gone on with, too slow, of another length."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.registry import staging
from serve.registry.records import StorageFull
from tests.serve import tiny
from tests.serve.test_adapter_routes import announce, error
from tests.serve.test_client import listening
from tests.serve.tiny import WEIGHTS, Base, TinyServer
from tests.waiting import PATIENCE


@pytest.fixture
def server(tmp_path: Path, base: Base) -> TinyServer:
    return tiny.make_server(tmp_path / "registry", base)


@pytest.fixture
def http(server: TinyServer) -> Iterator[httpx.Client]:
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture
def adapter(tmp_path: Path, base: Base) -> Path:
    return tiny.make_adapter(tmp_path / "adapter", base)


def opened(http: httpx.Client, adapter: Path) -> str:
    made = http.post("/v1/adapters/support/uploads", json=announce(adapter, []))
    return str(made.json()["upload"])


def received(http: httpx.Client, upload: str) -> int:
    return int(http.get(f"/v1/uploads/{upload}").json()["received"][WEIGHTS])


def begin(http: httpx.Client, upload: str, length: int, data: bytes, query: str = "") -> socket.socket:
    """A PUT of so many bytes of which only `data` is sent; the connection stays open."""
    line = socket.create_connection((http.base_url.host, http.base_url.port))
    line.sendall(
        f"PUT /v1/uploads/{upload}/{WEIGHTS}{query} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n"
        f"authorization: {http.headers['authorization']}\r\n\r\n".encode()
        + data
    )
    return line


def test_a_broken_upload_goes_on_where_it_stands(
    http: httpx.Client, adapter: Path, server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.routes.uploads.BLOCK_BYTES", 100)
    data = (adapter / WEIGHTS).read_bytes()
    upload = opened(http, adapter)
    line = begin(http, upload, len(data), data[:1000])
    while (here := received(http, upload)) < 1000:
        pass
    line.close()
    path = f"/v1/uploads/{upload}/{WEIGHTS}"
    assert here == 1000
    while http.put(f"{path}?offset=7", content=data[7:]).json()["error"]["code"] == "upload_busy":
        pass  # the server has not yet seen the other one go
    refused = http.put(f"{path}?offset=7", content=data[7:])
    assert "stands at byte 1000, not 7" in error(refused, 409, "upload_offset")
    assert http.put(f"{path}?offset=1000", content=data[1000:]).status_code == 204
    for name in ("adapter_config.json", "manifest.json"):
        assert http.put(f"/v1/uploads/{upload}/{name}", content=(adapter / name).read_bytes()).is_success
    assert http.post(f"/v1/uploads/{upload}/commit").json()["version"] == 1
    assert (server.registry.resolve("support@1").folder / WEIGHTS).read_bytes() == data


def test_a_file_begun_again_forgets_what_came(http: httpx.Client, adapter: Path) -> None:
    data = (adapter / WEIGHTS).read_bytes()
    upload = opened(http, adapter)
    begin(http, upload, len(data), b"x" * 1000).close()
    while http.put(f"/v1/uploads/{upload}/{WEIGHTS}", content=data).status_code == 409:
        pass  # the server has not yet seen the other one go
    assert received(http, upload) == len(data)


def test_wrong_bytes_that_went_on_are_not_kept(http: httpx.Client, adapter: Path) -> None:
    data = (adapter / WEIGHTS).read_bytes()
    upload = opened(http, adapter)
    path = f"/v1/uploads/{upload}/{WEIGHTS}"
    error(http.put(path, content=data[:-1] + b"\0" * (data[-1:] != b"\0") or b"\1"), 400, "invalid_request")
    assert received(http, upload) == 0
    assert http.put(path, content=data).status_code == 204


def test_a_trickle_is_ended(server: TinyServer, http: httpx.Client, adapter: Path) -> None:
    """Slow loris: one byte now and then holds nothing for long, and what came is kept."""
    upload = opened(http, adapter)
    size = (adapter / WEIGHTS).stat().st_size
    server.app.state.settings = replace(server.app.state.settings, stall_seconds=0.5)
    line = begin(http, upload, size, b"x")
    line.settimeout(PATIENCE)
    answer = line.recv(65536)
    assert b"408" in answer.splitlines()[0]
    assert b"upload_too_slow" in answer
    line.close()


@pytest.mark.parametrize("length", [1, 10**6, 2**63])
def test_a_lying_length_is_refused_before_the_body(http: httpx.Client, adapter: Path, length: int) -> None:
    upload = opened(http, adapter)
    line = begin(http, upload, length, b"")
    line.settimeout(PATIENCE)
    answer = line.recv(65536)
    assert b" 400 " in answer.splitlines()[0]
    line.close()


def test_one_file_is_sent_by_one_at_a_time(
    base: Base, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.routes.uploads.BLOCK_BYTES", 100)
    patient = tiny.make_server(tmp_path / "patient", base, stall_seconds=30)
    with (
        listening(patient.app) as url,
        httpx.Client(base_url=url, headers=patient.headers, timeout=PATIENCE) as http,
    ):
        upload = opened(http, adapter)
        line = begin(http, upload, (adapter / WEIGHTS).stat().st_size, b"x" * 500)
        while not received(http, upload):
            pass
        refused = http.put(f"/v1/uploads/{upload}/{WEIGHTS}", content=(adapter / WEIGHTS).read_bytes())
        error(refused, 409, "upload_busy")
        line.close()


def test_a_body_that_is_no_file_is_bounded(http: httpx.Client, server: TinyServer) -> None:
    big = b'{"files": "' + b"x" * server.app.state.settings.body_limit + b'"}'
    for path in ("/v1/adapters/support/uploads", "/v1/keys", "/v1/chat/completions"):
        error(http.post(path, content=big), 413, "body_too_large")

    def endless() -> Iterator[bytes]:
        for _ in range(server.app.state.settings.body_limit // 65536 + 2):
            yield b" " * 65536

    error(http.post("/v1/keys", content=endless()), 413, "body_too_large")


def test_so_many_uploads_and_no_more(
    http: httpx.Client, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MAX_OPEN", 2)
    opened(http, adapter), opened(http, adapter)
    refused = http.post("/v1/adapters/support/uploads", json=announce(adapter, []))
    assert "2 uploads are under way, as many as may be" in error(refused, 409, "upload_busy")


def test_a_full_disk_is_507_and_the_upload_stays(
    http: httpx.Client, adapter: Path, server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "SPARE_BYTES", 2**60)
    refused = http.post("/v1/adapters/support/uploads", json=announce(adapter, []))
    assert "`serve gc`" in error(refused, 507, "storage_full")
    monkeypatch.undo()
    upload = opened(http, adapter)
    for name in announce(adapter, [])["files"]:
        http.put(f"/v1/uploads/{upload}/{name}", content=(adapter / name).read_bytes())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server.registry.storage.blobs, "put", full)
    error(http.post(f"/v1/uploads/{upload}/commit"), 507, "storage_full")
    monkeypatch.setattr(server.registry.storage.blobs, "put", _full_index)
    error(http.post(f"/v1/uploads/{upload}/commit"), 507, "storage_full")
    monkeypatch.undo()
    assert http.post(f"/v1/uploads/{upload}/commit").json()["version"] == 1


def _full_index(*_: Any) -> None:
    raise StorageFull("The index's disk is full.")


def test_a_locked_index_is_503_with_a_time_to_come_back(
    tmp_path: Path, base: Base, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.registry.database.BUSY_SECONDS", 0.2)
    monkeypatch.setattr("serve.registry.database.Database.__init__.__defaults__", (0.2,))
    server = tiny.make_server(tmp_path / "other", base)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with server.registry.storage.database.write():
            held.set()
            done.wait(30)

    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as http,
    ):
        assert http.get("/v1/adapters").is_success
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)
        try:
            refused = http.post("/v1/keys", json={"name": "x", "scopes": ["chat"]})
            error(refused, 503, "storage_busy")
            assert refused.headers["retry-after"] == "2"
            assert http.get("/v1/adapters").is_success, "what is known is still answered"
        finally:
            done.set()
            thread.join(30)
