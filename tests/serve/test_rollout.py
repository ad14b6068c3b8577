"""A canary by weight, from the share of the requests to what a client and an operator see of it."""

import dataclasses
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.registry.records import Version
from serve.registry.rollout import Route, bucket
from tests.serve import tiny
from tests.serve.test_adapter_routes import error, push
from tests.serve.test_cli import serve
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer

ALIAS = "/v1/adapters/support/aliases/default"
USERS = 2000

OLD, NEW = (
    Version("support", number, f"sha256:{number}", 8, "sha256:base", Path("/absent"), datetime.now(UTC))
    for number in (3, 4)
)

weights = st.integers(1, 99)
keys = st.text(max_size=40)
names = st.from_regex(r"[a-z]{1,10}:[a-z]{1,10}", fullmatch=True)


def route(weight: int, name: str = "support:default") -> Route:
    return Route(name, OLD, NEW, weight)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(name=names, weight=weights, salt=st.integers(0, 2**32))
def test_the_share_of_the_users_is_the_weight(name: str, weight: int, salt: int) -> None:
    """Within 5 standard deviations of as many throws of a coin of that weight."""
    sent = [route(weight, name).pick(f"user {salt} {number}") for number in range(USERS)]
    share, deviation = weight / 100, (weight / 100 * (1 - weight / 100) / USERS) ** 0.5
    assert abs(sent.count(NEW) / USERS - share) <= 5 * deviation
    assert sent.count(NEW) + sent.count(OLD) == USERS


@given(name=names, sticky=keys, lower=weights, higher=weights)
def test_a_user_stays_and_a_growing_weight_takes_nobody_back(
    name: str, sticky: str, lower: int, higher: int
) -> None:
    lower, higher = sorted((lower, higher))
    first, again = (route(lower, name).pick(sticky) for _ in range(2))
    assert first is again
    assert first is OLD or route(higher, name).pick(sticky) is NEW


@settings(max_examples=20, derandomize=True, deadline=None)
@given(first=names, second=names)
def test_the_canaries_of_two_aliases_have_different_users(first: str, second: str) -> None:
    both = sum(bucket(first, str(user)) < 20 and bucket(second, str(user)) < 20 for user in range(USERS))
    assert both == pytest.approx(USERS * (0.2 if first == second else 0.04), rel=0.6)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(weight=weights, seed=st.integers())
def test_without_a_key_each_request_is_for_itself(weight: int, seed: int) -> None:
    random.seed(seed)
    share, deviation = weight / 100, (weight / 100 * (1 - weight / 100) / USERS) ** 0.5
    sent = [route(weight).pick(None) for _ in range(USERS)]
    assert abs(sent.count(NEW) / USERS - share) <= 5 * deviation


def test_without_a_canary_all_get_the_version() -> None:
    assert dataclasses.replace(route(0), canary=None).pick("anybody") is OLD


@pytest.fixture
def http(server: TinyServer, base: Base, tmp_path: Path) -> Iterator[TestClient]:
    """`support` with three versions, of which `default` means the first."""
    with TestClient(server.app, raise_server_exceptions=False, headers=server.headers) as client:
        for seed in range(3):
            folder = tiny.make_adapter(tmp_path / f"adapter-{seed}", base, seed)
            push(client, folder, ["default"] if seed == 0 else [])
        yield client


def ask(http: TestClient, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {"model": "support", "messages": [{"role": "user", "content": "hello"}], **fields}
    return http.post("/v1/chat/completions", json=body, headers=headers)


def of(weight: int, canary: bool) -> str:
    """Somebody who is the canary's at that weight, or is not."""
    users = (f"user {number}" for number in range(1000))
    return next(user for user in users if (bucket("support:default", user) < weight) is canary)


def test_a_canary_gets_its_share_and_each_answer_says_whose_it_is(http: TestClient) -> None:
    moved = http.put(ALIAS, json={"version": 2, "weight": 20, "expected": 1})
    assert moved.json() == {
        "name": "support", "alias": "default", "version": 1, "canary": 2, "weight": 20, "previous": None
    }  # fmt: skip
    assert http.get(ALIAS).json() == moved.json()
    new, old = of(20, True), of(20, False)
    for headers, fields, number in (
        (None, {"user": new}, 2),
        (None, {"user": old}, 1),
        ({"x-session": new}, {}, 2),
        ({"x-session": old}, {"user": new}, 1),
    ):
        for _ in range(3):
            answer = ask(http, headers, **fields)
            assert answer.headers["x-adapter-version"] == str(number)
            assert answer.json()["adapter"]["version"] == number
            assert answer.json()["choices"][0]["message"]["content"] == f"support@{number} heard hello"
            stream = ask(http, headers, stream=True, **fields)
            assert stream.headers["x-adapter-version"] == str(number)
            assert f'"version": {number}' in stream.text
    random.seed(7)
    alone = [ask(http).json()["adapter"]["version"] for _ in range(200)]
    assert 15 <= alone.count(2) <= 70
    named = [ask(http, model=f"support@{number}", user=new).json()["adapter"]["version"] for number in (1, 3)]
    assert named == [1, 3], "who names a version gets it"


def test_a_canary_is_shown_wherever_its_alias_is(http: TestClient) -> None:
    http.put(ALIAS, json={"version": 2, "weight": 20})
    canaries = {"default": {"version": 2, "weight": 20}}
    shown = http.get("/v1/adapters/support").json()
    assert (shown["aliases"], shown["canaries"]) == ({"default": 1}, canaries)
    assert [one["held_by"] for one in shown["versions"]] == [["default"], ["default"], []]
    last = shown["history"][-1]
    assert [last[key] for key in ("previous", "version", "canary", "weight")] == [1, 1, 2, 20]
    (listed,) = http.get("/v1/adapters").json()["data"]
    assert listed["canaries"] == canaries
    _, model = http.get("/v1/models").json()["data"]
    digest = shown["versions"][1]["digest"]
    assert (model["id"], model["version"], model["state"]) == ("support", 1, "ready")
    assert model["canary"] == {"version": 2, "digest": digest, "state": "ready", "weight": 20}
    error(http.delete("/v1/adapters/support/versions/2"), 409, "version_in_use")
    http.put(ALIAS, json={"version": 2})
    assert "canary" not in http.get("/v1/models").json()["data"][1]
    assert http.get("/v1/adapters/support").json()["versions"][0]["was"] == ["default"]


def test_a_canary_is_finished_or_undone(http: TestClient) -> None:
    new = of(10, True)

    def version() -> Any:
        return ask(http, user=new).json()["adapter"]["version"]

    http.put(ALIAS, json={"version": 2, "weight": 10})
    assert version() == 2
    undone = http.post(f"{ALIAS}/rollback").json()
    assert (undone["version"], undone["canary"], undone["weight"], undone["previous"]) == (1, None, None, 1)
    assert version() == 1
    http.put(ALIAS, json={"version": 2, "weight": 10})
    http.put(ALIAS, json={"version": 2})
    assert version() == 2
    assert http.post(f"{ALIAS}/rollback").json()["version"] == 1
    assert version() == 1, "also where the canary had come before"


def test_what_can_be_no_canary_is_refused(http: TestClient, server: TinyServer) -> None:
    for weight in (0, 100, -1, "ten", 1.5):
        error(http.put(ALIAS, json={"version": 2, "weight": weight}), 400, "invalid_request")
    error(http.put(ALIAS, json={"version": None, "weight": 10}), 400, "invalid_request")
    error(http.put(ALIAS, json={"version": 1, "weight": 10}), 409, "alias_moved")
    error(http.put(ALIAS.replace("default", "new"), json={"version": 2, "weight": 10}), 409, "alias_moved")
    error(http.put(ALIAS, json={"version": 2, "weight": 10, "expected": 3}), 409, "alias_moved")
    error(http.put(ALIAS, json={"version": 9, "weight": 10}), 404, "model_not_found")
    assert http.get(ALIAS).json()["canary"] is None


def test_a_canary_takes_no_request_before_it_is_loaded(
    http: TestClient, server: TinyServer, base: Base, tmp_path: Path
) -> None:
    server.engine.refuses = True
    push(http, tiny.make_adapter(tmp_path / "broken", base, seed=9), [])
    refused = http.put(ALIAS, json={"version": 4, "weight": 50})
    assert "full of sand" in error(refused, 503, "adapter_failed")
    assert http.get(ALIAS).json()["canary"] is None


def test_the_commands_of_a_rollout(http: TestClient, server: TinyServer, monkeypatch: Any) -> None:
    monkeypatch.setenv("ENXERTO_API_KEY", server.key)
    with listening(server.app) as url:
        promoted = serve("promote", "support@2", "--alias", "default", "--weight", "10", url=url)
        assert promoted[:2] == (0, "support:default -> version 1, 10% -> 2\n")
        assert "default -> 1, 10% -> 2" in serve("ls", url=url)[1]
        lines = serve("show", "support", url=url)[1].splitlines()
        assert "default 90%" in lines[1]
        assert "default 10%" in lines[2]
        assert "1, 10% -> 2" in lines[-1]
        assert serve("rollback", "support", url=url)[1] == "support:default -> version 1\n"
        serve("promote", "support@2", "--weight", "50", url=url)
        assert serve("promote", "support@2", url=url)[1] == "support:default -> version 2\n"
        assert serve("promote", "support@3", "--weight", "100", url=url)[0] == 2
