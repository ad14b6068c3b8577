"""Every hand-written attack on a real server over a real socket, and what holds after each."""

import json

import httpx
import pytest

from serve.registry.records import UnknownUpload
from tests.serve.hostile.attack import (
    MOST_SECONDS,
    World,
    announce,
    announcement,
    connected,
    push,
    sentence,
    wire,
)
from tests.serve.hostile.cases import CASES
from tests.serve.tiny import CONFIG, WEIGHTS
from tests.waiting import spent


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("attempt", CASES)
def test_a_hostile_upload_is_refused(world: World, attempt: str) -> None:
    act, words = CASES[attempt]
    with spent() as took:
        response = act(world.http, dict(world.files))
    assert words in sentence(response)
    assert took.own < MOST_SECONDS
    world.assert_untouched()


def test_stored_bytes_are_not_read_as_a_smaller_file(fresh: World) -> None:
    """Bytes in the store are not sent again, so that nothing but their size says that they are too many."""
    assert push(fresh.http, fresh.files).is_success
    body = announcement(fresh.files)
    body["files"][CONFIG] = body["files"][WEIGHTS] | {"size": 1}
    why = sentence(announce(fresh.http, body))
    assert f"{CONFIG} has {len(fresh.files[WEIGHTS])} bytes, not the 1 announced" in why
    assert fresh.uploads() == []


def test_an_upload_that_ends_while_it_is_asked_for_is_not_found(fresh: World) -> None:
    """Between its announcement being read and its file being opened, somebody else committed it."""
    upload = announce(fresh.http, announcement(fresh.files)).json()["upload"]
    staging = fresh.server.registry.staging
    known = staging.announced(upload)
    staging.clear(older_than=-1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "announced", lambda _: known)
        response: httpx.Response = fresh.http.put(f"/v1/uploads/{upload}/{CONFIG}", content=b"x")
    assert response.status_code == 404
    assert "is over" in sentence(response)


def test_an_upload_that_ends_while_it_comes_is_not_found(fresh: World) -> None:
    upload = announce(fresh.http, announcement(fresh.files)).json()["upload"]
    staging = fresh.server.registry.staging
    with staging.receive(upload, CONFIG) as incoming:
        incoming.write(fresh.files[CONFIG])
        staging.end(upload)
        with pytest.raises(UnknownUpload, match="is over"):
            incoming.finish()


def test_a_head_at_a_trickle_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the first on a connection, nor the next on one that is kept open."""
    monkeypatch.setattr("serve.connection.HEAD_SECONDS", 0.5)
    assert "did not come within 0.5 s" in sentence(wire(world.http, b"POST /v1/adapters HTTP/1.1\r\nx: "))
    with connected(world.http) as line:
        line.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 200")
        line.sendall(b"G")
        told = b"".join(iter(lambda: line.recv(65536), b""))
    refusal = json.loads(told.rpartition(b"\r\n\r\n")[2])["error"]
    assert refusal["message"].endswith("did not come within 0.5 s; send it faster.")


def test_a_head_without_end_is_ended(world: World) -> None:
    headers = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(70))
    head = b"GET /health HTTP/1.1\r\nhost: x\r\n" + headers
    assert "is longer than 65536 bytes" in sentence(wire(world.http, head))
