"""A registry's life: used, killed, started again, and each time found to have lost nothing."""

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from data import digest
from serve import cli
from serve.registry.storage import Storage
from tests.serve.crash.actions import (
    SEEDS,
    Action,
    Aim,
    Collect,
    GiveUp,
    Move,
    Pin,
    Push,
    Remove,
    RollBack,
    Split,
    State,
    choose,
)
from tests.serve.crash.servers import Disks, ServerDied, Servers

MOST_ACTIONS = 600
"""In which a server comes by every failpoint, several times."""

NAME = "/v1/adapters/support"
DAY = 24 * 3600


@dataclass
class Upload:
    """One under way, and its files that the server said it has."""

    identity: str
    placed: set[str] = field(default_factory=set)


class Life:
    """`state` is what the client was told; the server may be found in any state of `_possible`."""

    def __init__(self, disks: Disks, random: Random) -> None:
        self._disks, self._random = disks, random
        self._seeds = {
            frozenset((path.name, digest.of_file(path)) for path in disks.adapter(seed).iterdir()): seed
            for seed in range(SEEDS)
        }
        self._servers = Servers(disks)
        self._state, self._possible = State(), [State()]
        self._pending: Action | None = None
        self._goal = State()
        self._upload: Upload | None = None

    def close(self) -> None:
        self._servers.close()

    def until_death(self, failpoint: str, seconds: float | None = None) -> None:
        """Start a server that dies at the failpoint, or after `seconds`; look, and use it until then."""
        try:
            self._use(self._servers.start(failpoint), seconds)
        except ServerDied as died:
            ended = died.ended
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            ended = self._servers.wait()
        else:
            pytest.fail(f"{failpoint} was not reached")
        assert ended == -signal.SIGKILL
        self._examine_disks()

    def rest(self) -> None:
        """Start a server that does not die; what was broken off is done, and no garbage stays."""
        with self._servers.start() as self._http:
            self._take_up()
            self._act(Collect())
            self._look()
        self._servers.kill()
        self._servers.wait()
        self._find_no_garbage()

    def _use(self, http: httpx.Client, seconds: float | None) -> None:
        if seconds is not None:
            threading.Timer(seconds, self._servers.kill).start()
        with http as self._http:
            self._take_up()
            for _ in range(MOST_ACTIONS):
                self._act(choose(self._state, self._random))

    def _take_up(self) -> None:
        """Look, and say again what got no answer; a rollback, as a person would, only if it was not done."""
        self._look()
        if self._pending and not (isinstance(self._pending, RollBack) and self._state == self._goal):
            self._act(self._pending)
        self._pending = None

    def _act(self, action: Action) -> None:
        steps = action.steps(self._state)
        self._pending, self._goal, self._possible = action, steps[-1], [self._state, *steps]
        self._perform(action)
        self._pending, self._state, self._possible = None, steps[-1], steps[-1:]

    def _perform(self, action: Action) -> None:
        match action:
            case Push():
                self._push(action)
            case Move(alias, number, expected):
                self._ask("PUT", f"{NAME}/aliases/{alias}", json={"version": number, "expected": expected})
            case Split(alias, canary, weight):
                self._ask("PUT", f"{NAME}/aliases/{alias}", json={"version": canary, "weight": weight})
            case RollBack(alias):
                self._ask("POST", f"{NAME}/aliases/{alias}/rollback")
            case Remove(number):
                self._ask("DELETE", f"{NAME}/versions/{number}")
            case Pin(number, on):
                self._ask("PUT" if on else "DELETE", f"{NAME}/versions/{number}/pin")
            case GiveUp(seed):
                given_up = self._announce(seed)
                self._send(given_up, self._disks.adapter(seed) / "README.md", 0)
            case Collect():
                staging = self._disks.registry / "staging"
                for path in staging.rglob("*"):
                    os.utime(path, (time.time() - 2 * DAY,) * 2)
                self._ask("POST", "/v1/registry/gc?days=0")

    def _push(self, action: Push) -> None:
        """Go on with the upload that a crash broke off, or begin a new one as a new process would."""
        folder = self._disks.adapter(action.seed)
        if self._upload and self._random.random() < 0.3:
            self._upload = None
        if self._upload and self._get(f"/v1/uploads/{self._upload.identity}").status_code == 404:
            self._upload = None
        self._upload = self._upload or self._announce(action.seed, action.aliases)
        known = self._ask("GET", f"/v1/uploads/{self._upload.identity}").json()
        for name in known["missing"]:
            self._send(self._upload, folder / name, known["received"][name])
        answer = self._ask("POST", f"/v1/uploads/{self._upload.identity}/commit").json()
        self._upload = None
        assert self._goal.seeds[answer["version"] - 1] == action.seed

    def _announce(self, seed: int, aliases: tuple[str, ...] = ()) -> Upload:
        files = {
            path.name: {"sha256": digest.of_file(path), "size": path.stat().st_size}
            for path in self._disks.adapter(seed).iterdir()
        }
        opened = self._ask("POST", f"{NAME}/uploads", json={"files": files, "aliases": aliases}).json()
        return Upload(opened["upload"], files.keys() - set(opened["missing"]))

    def _send(self, upload: Upload, path: Path, offset: int) -> None:
        content = path.read_bytes()[offset:]
        self._ask("PUT", f"/v1/uploads/{upload.identity}/{path.name}?offset={offset}", content=content)
        upload.placed.add(path.name)

    def _look(self) -> None:
        """Nothing acknowledged is lost, nothing is visible by half, and every visible byte is right."""
        found = self._observe()
        assert found in self._possible, f"{found} is none of {self._possible}, after {self._pending}"
        self._state, self._possible = found, [found]
        self._look_at_upload()
        for number in range(1, len(found.seeds) + 1):
            for path in self._disks.adapter(found.seeds[number - 1]).iterdir():
                answer = self._get(f"{NAME}/versions/{number}/files/{path.name}")
                if number in found.removed:
                    assert answer.status_code == 404
                else:
                    assert answer.content == path.read_bytes()
        examined = self._ask("GET", "/v1/registry/fsck").json()
        assert (examined["problems"], examined["versions"]) == ([], len(found.live))
        for alias, (number, canary, _) in found.aims.items():
            said = self._chat(f"support:{alias}")
            assert said.startswith((f"support@{number} heard", f"support@{canary} heard"))

    def _look_at_upload(self) -> None:
        if self._upload is None or not isinstance(self._pending, Push):
            return
        answer = self._get(f"/v1/uploads/{self._upload.identity}")
        if answer.status_code == 404:
            assert self._state.holds(self._pending.seed), "an upload goes when its version is there"
        else:
            assert not self._upload.placed & set(answer.json()["missing"])

    def _observe(self) -> State:
        answer = self._get(NAME)
        if answer.status_code == 404:
            return State()
        shown = answer.json()
        versions = shown["versions"]
        assert [one["version"] for one in versions] == list(range(1, len(versions) + 1))
        state = State(
            seeds=tuple(self._seeds[frozenset(one["files"].items())] for one in versions),
            removed=frozenset(one["version"] for one in versions if one["removed"]),
            pinned=frozenset(one["version"] for one in versions if one["pinned"]),
            moves=tuple((move["alias"], move["previous"], _aim(move)) for move in shown["history"]),
        )
        assert shown["aliases"] == state.aliases
        canaries = {alias: (one["version"], one["weight"]) for alias, one in shown["canaries"].items()}
        assert canaries == {alias: aim[1:] for alias, aim in state.aims.items() if aim[1]}
        return state

    def _chat(self, model: str) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        answer = self._ask("POST", "/v1/chat/completions", json=body).json()
        return str(answer["choices"][0]["message"]["content"])

    def _get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._http.request(method, path, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def _examine_disks(self) -> None:
        """As a person would before the next start."""
        command = ["fsck", "--local", "--registry", str(self._disks.registry), *self._disks.options]
        examined = CliRunner().invoke(cli.app, command)
        assert examined.exit_code == 0, examined.output

    def _find_no_garbage(self) -> None:
        storage = Storage(self._disks.registry, **self._disks.urls)
        buried = {row.number for row in storage.index.tombstones()}
        live = [row for row in storage.index.versions() if row.number not in buried]
        needed = {blob for row in live for blob in row.files.values()}
        assert {blob.digest for blob in storage.blobs.all()} == needed
        storage.close()
        assert list((self._disks.registry / "staging").iterdir()) == []
        assert list(self._disks.registry.rglob(".*")) == []


def _aim(move: dict[str, Any]) -> Aim | None:
    return (move["version"], move["canary"], move["weight"]) if move["version"] else None
