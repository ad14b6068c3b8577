"""The two servers of a measurement, and how an adapter gets into each."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.parent import die_with_parent
from bench.ready import wait_until_ready
from data.errors import UserError
from serve.client.push import files_of
from tests.conftest import START_SECONDS, Server, free_port, serving

OURS, PLAIN = "enxerto", "vLLM"
RANK, LENGTH = 16, 512


@dataclass(frozen=True)
class Target:
    """One of the two; `base` is its base's name as a model."""

    name: str
    url: str
    headers: dict[str, str]
    base: str

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=120)

    async def send(self, client: httpx.AsyncClient, name: str, folder: Path) -> str | None:
        """All of a push but its commit: the upload's id; None where the server reads the folder itself."""
        if self.name == PLAIN:
            return None
        files = files_of(folder)
        body = {"files": files, "aliases": ["default"]}
        upload: str = (await _ok(client, "POST", f"/v1/adapters/{name}/uploads", json=body))["upload"]
        for file in files:
            data = (folder / file).read_bytes()
            await _ok(client, "PUT", f"/v1/uploads/{upload}/{file}?offset=0", content=data)
        return upload

    async def load(self, client: httpx.AsyncClient, name: str, folder: Path, upload: str | None) -> None:
        """On return the adapter is in the engine and answers by its name."""
        if upload:
            await _ok(client, "POST", f"/v1/uploads/{upload}/commit")
        else:
            body = {"lora_name": name, "lora_path": str(folder)}
            await _ok(client, "POST", "/v1/load_lora_adapter", json=body)

    async def forget(self, client: httpx.AsyncClient, name: str) -> None:
        """What plain vLLM needs before its list of names is full; here versions leave by themselves."""
        if self.name == PLAIN:
            await _ok(client, "POST", "/v1/unload_lora_adapter", json={"lora_name": name})


async def _ok(client: httpx.AsyncClient, method: str, path: str, **content: Any) -> Any:
    response = await client.request(method, path, **content)
    if response.is_error:
        raise UserError(f"{response.url} answered {response.status_code}: {response.text[:300]}")
    return response.json() if "json" in response.headers.get("content-type", "") else None


@contextmanager
def both(home: Path, base: str, slots: int) -> Iterator[tuple[Server, list[Target]]]:
    """The two servers on the base of that name in `home`, with the same number of slots."""
    options = ("--max-loras", str(slots), "--max-lora-rank", str(RANK), "--max-model-len", str(LENGTH))
    folder, log = home / "bases" / base, home / "plain.log"
    with (
        serving(home, folder, *options) as server,
        plain_vllm(server.folder, log, slots, RANK, LENGTH) as url,
    ):
        targets = [
            Target(OURS, server.url, server.headers, base),
            Target(PLAIN, url, {}, base),
        ]
        yield server, targets


@contextmanager
def plain_vllm(folder: Path, log: Path, slots: int, rank: int, length: int) -> Iterator[str]:
    """vLLM's own API server on the base in `folder`, with this server's flags; its URL."""
    port = free_port()
    numbers = map(str, (port, slots, rank, length))
    command = [sys.executable, "-m", "bench.serve.plain", str(folder.resolve()), *numbers]
    environment = os.environ | {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, url, START_SECONDS, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
