"""Four clients move one alias at once, over a real socket: each acknowledged move is a link of one chain."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serve import tiny
from tests.serve.test_client import listening
from tests.serve.tiny import TinyServer
from tests.waiting import PATIENCE

CLIENTS = 4
ALIAS = "/v1/adapters/support/aliases/default"


@pytest.fixture
def server(tmp_path: Path) -> TinyServer:
    """With two versions for each client, all of them in the engine."""
    base = tiny.make_base(tmp_path / "base")
    server = tiny.make_server(tmp_path / "registry", base)
    server.engine.slots = 2 * CLIENTS
    for seed in range(2 * CLIENTS):
        adapter = tiny.make_adapter(tmp_path / str(seed) / "adapter", base, seed)
        server.registry.add("support", tiny.check_adapter(adapter, base))
    return server


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("moves", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_clients_that_race_for_an_alias_leave_one_chain(server: TinyServer, moves: int) -> None:
    turns = iter(range(moves))
    acknowledged: list[tuple[int | None, int]] = []
    refused: list[int] = []
    with listening(server.app) as url:
        clients = [
            threading.Thread(target=_race, args=(url, server.headers, own, turns, acknowledged, refused))
            for own in zip(range(1, 2 * CLIENTS, 2), range(2, 2 * CLIENTS + 1, 2), strict=True)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    history = server.registry.history("support")
    assert len(acknowledged) == moves
    assert refused, "nobody was ever in another's way"
    assert [move.previous for move in history] == [None, *(move.number for move in history[:-1])]
    # A client moves only to its own versions, so that each acknowledgement is of a change.
    assert sorted((move.previous or 0, move.number) for move in history) == sorted(
        (previous or 0, number) for previous, number in acknowledged
    )
    assert server.registry.resolve("support").number == history[-1].number


def _race(
    url: str,
    headers: dict[str, str],
    own: tuple[int, int],
    turns: Iterator[int],
    acknowledged: list[tuple[int | None, int]],
    refused: list[int],
) -> None:
    """Take turns until none is left; in each, look and compare-and-swap until a move is acknowledged."""
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE) as http:
        for _ in turns:
            moved = False
            while not moved:
                seen = http.get(ALIAS).json()["version"]
                number = own[1] if seen == own[0] else own[0]
                move = {"version": number, "expected": seen}
                answer = http.put(ALIAS, json=move)
                if moved := answer.status_code == 200:
                    acknowledged.append((seen, number))
                else:
                    assert answer.json()["error"]["code"] == "alias_moved", answer.text
                    refused.append(number)
