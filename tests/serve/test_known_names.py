"""What a server remembers of names and keys: bounded by kind, and no stranger pushes anything out."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serve.registry import names
from serve.registry.keys import PREFIX, Keys
from serve.registry.known_keys import STRANGER, STRANGERS
from serve.registry.registry import Registry
from tests.serve import tiny
from tests.serve.tiny import Base, TinyServer

BAD = names.MOST + 100


def stranger() -> str:
    """A secret of the right form that nobody has."""
    return PREFIX + secrets.token_urlsafe(32)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every secret that the index was asked for."""
    found: list[str] = []
    really = Keys.find

    def find(self: Keys, secret: str) -> object:
        found.append(secret)
        return really(self, secret)

    monkeypatch.setattr(Keys, "find", find)
    return found


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at stays fresh however busy this machine is."""
    monkeypatch.setattr(names, "LOOK_AGAIN", 1e9)


@pytest.fixture
def hot(server: TinyServer, base: Base, tmp_path: Path) -> Registry:
    """A registry in which `support` was just asked for, with the server's own key."""
    folder = tiny.make_adapter(tmp_path / "adapter", base)
    server.registry.add("support", tiny.check_adapter(folder, base))
    server.registry.set_alias("support", "default", 1)
    server.registry.resolve("support")
    assert server.registry.key(server.key)
    return server.registry


@pytest.mark.usefixtures("slow_clock")
def test_strangers_push_out_nothing_and_cost_no_query_each(
    server: TinyServer, hot: Registry, asked: list[str]
) -> None:
    for _ in range(BAD):
        secret = stranger()
        if hot.key_at_hand(secret) is None:
            assert hot.key(secret) is None
    assert len(asked) <= STRANGERS
    assert hot.resolve_at_hand("support") is not None
    assert hot.key_at_hand(server.key) == hot.key(server.key)


@pytest.mark.usefixtures("slow_clock")
def test_what_has_no_keys_form_is_told_without_the_index(hot: Registry, asked: list[str]) -> None:
    for text in ("", "enx_", "x" * 10_000, "enx_" + "é" * 43, stranger() + "x"):
        assert hot.key_at_hand(text) == STRANGER
        assert hot.key(text) is None
    assert asked == []


@pytest.fixture
def http(server: TinyServer) -> Iterator[TestClient]:
    with TestClient(server.app) as client:
        yield client


@pytest.mark.usefixtures("slow_clock")
def test_requests_of_strangers_wait_for_no_thread(
    http: TestClient, hot: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    really = hot.key
    monkeypatch.setattr(hot, "key", lambda secret: threads.append(secret) or really(secret))
    for _ in range(3 * STRANGERS):
        answer = http.get("/v1/models", headers={"authorization": f"Bearer {stranger()}"})
        assert answer.status_code == 401, answer.text
        assert answer.json()["error"]["code"] == "invalid_api_key"
    # And once for all keys' hashes, again whenever the index has changed: the server tells it that it lives.
    assert STRANGERS <= len(threads) < 2 * STRANGERS


def test_a_key_that_is_made_while_strangers_come_opens_within_a_look(
    server: TinyServer, hot: Registry
) -> None:
    for _ in range(STRANGERS + 5):
        hot.key(stranger())
    secret = server.registry.storage.keys.create("late", ["chat"])
    hot.look()
    found = hot.key(secret)
    assert found and found.name == "late"


def test_a_key_opens_at_once_while_nobody_tries_others(server: TinyServer, hot: Registry) -> None:
    secret = server.registry.storage.keys.create("new", ["chat"])
    found = hot.key(secret)
    assert found and found.name == "new"


@pytest.mark.usefixtures("slow_clock")
def test_the_name_that_was_not_asked_for_longest_goes_first(
    hot: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MOST", 3)
    hot._names.forget()
    digest = hot.resolve("support").digest
    others = ["support@1", "support:default", f"support@{digest}"]
    for other in others:
        assert hot.resolve_at_hand("support") is not None  # asked for all the while
        hot.resolve(other)
    assert hot.resolve_at_hand("support") is not None
    assert hot.resolve_at_hand("support@1") is None
