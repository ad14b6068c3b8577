"""A registry that several keys push to, behind the real app: what an attacker of the push side meets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from data.report import EvalReport
from tests.serve import tiny
from tests.serve.evaluated import report, served
from tests.serve.test_adapter_routes import push
from tests.serve.tiny import Base, TinyServer

BEST = [1.0] * 100
WORSE = [1.0] * 80 + [0.0] * 20


@dataclass(frozen=True)
class World:
    server: TinyServer
    base: Base
    http: TestClient
    folder: Path

    def adapter(self, seed: int) -> Path:
        """The folder of an adapter, the same for the same seed."""
        folder = self.folder / f"adapter-{seed}"
        return folder if folder.is_dir() else tiny.make_adapter(folder, self.base, seed)

    def push(self, name: str, seed: int) -> dict[str, Any]:
        answer = push(self.http, self.adapter(seed), [], name)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def key(self, name: str, *scopes: Any, adapters: list[str] | None = None) -> dict[str, str]:
        """The header of a new key."""
        secret = self.server.registry.storage.keys.create(name, list(scopes), adapters)
        return {"authorization": f"Bearer {secret}"}

    def report(self, name: str, before: int, after: int, new: list[float] = BEST) -> EvalReport:
        """An evaluation of two versions of an adapter, of which 0 is the base."""
        shown = self.http.get(f"/v1/adapters/{name}").json()["versions"]
        digests = {one["version"]: one["digest"] for one in shown}
        names = {number: f"{name}@{number}" if number else "base" for number in (before, after)}
        models = [
            served(model, digests.get(number), self.base.manifest.fingerprint)
            for number, model in names.items()
        ]
        return report(models, {"tools": {names[before]: BEST, names[after]: new}})

    def evidence(self, name: str, before: int, after: int, new: list[float] = BEST) -> dict[str, Any]:
        found = self.report(name, before, after, new)
        assert found.models[-1].adapter
        return found.evidence(found.models[-1].adapter.digest).model_dump(mode="json")


@contextmanager
def world(folder: Path, **settings: Any) -> Iterator[World]:
    base = tiny.make_base(folder / "base")
    server = tiny.make_server(folder / "registry", base, **settings)
    with TestClient(server.app, raise_server_exceptions=False, headers=server.headers) as http:
        yield World(server, base, http, folder)
    server.registry.close()
