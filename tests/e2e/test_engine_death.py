"""`kill -9` of vLLM's process under load: each request gets a right answer or a typed error."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from openai import APIError, AsyncOpenAI, InternalServerError

from serve.client.push import push
from serve.engine.cpu_awq import has_kernel
from tests.conftest import Server, serving
from tests.e2e import strong
from tests.finetune import tiny_awq
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.e2e

TOKENS = 150
READY_SECONDS = 300
"""A loaded machine of 2 cores needs a multiple of the 20 s that an idle one does."""

LEAK_MB = 25
LEAK_FILES = 5
"""A restart may cost the server so much on average: an engine's tokenizer is 40 MB, its sockets 15 files."""


@pytest.fixture(scope="module")
def tiny(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, on a random base whose engine starts quickly, with one adapter."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_awq.make_base(folder / "tiny-awq", base)
    with serving(folder / "home", folder / "tiny-awq", "--max-loras", "2") as server:
        strong.make(folder / "other", server, seed=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ENXERTO_API_KEY", server.key)
            push(folder / "other", "other", ["default"], server.url)
        yield server


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_killed_under_load_it_comes_back(tiny: Server, kills: int) -> None:
    asyncio.run(_kill(tiny, kills))


async def _kill(server: Server, kills: int) -> None:
    process = psutil.Process(server.process)
    models = [server.base.name, "other"]
    async with _client(server) as client:
        right = {model: await _whole(client, model) for model in models}
    assert not _began_as(right["other"][0], right[models[0]][0]), "the adapter is too weak to tell apart"
    files, memory, took, broken = [], [], [], 0
    for _ in range(kills):
        async with _client(server) as client:
            begun = asyncio.Event()
            requests = {
                asyncio.create_task(_stream(client, model, begun) if stream else _whole(client, model)): model
                for model in models
                for stream in (True, True, False, False)
            }
            await begun.wait()
            os.kill(_engine(process).pid, signal.SIGKILL)
            killed = time.monotonic()
            trouble = await _until_ready(server)
            took.append(time.monotonic() - killed)
            assert trouble == {"engine_restarting"}, "and no other way of not being ready"
            for request, model in requests.items():
                said, error = await request
                if error is None:
                    assert _is(said, right[model][0])
                    continue
                broken += 1
                assert said, "what had no token is asked once more"
                assert _began_as(said, right[model][0])
                assert error.code == "engine_died"
            for model in models:
                assert _is((await _whole(client, model))[0], right[model][0])
        assert await _loaded(server) == ["ready"]
        _engine(process)  # one, and no zombie beside it
        await asyncio.to_thread(eventually, lambda: not _connected(process, server.url))
        files.append(process.num_fds())
        memory.append(process.memory_info().rss / 1e6)
    assert broken >= kills, "the engine was killed when nothing was under way"
    print(
        f"\n{kills} kills: ready again in {min(took):.0f} to {max(took):.0f} s; {broken} streams ended early"
    )
    print(f"the server's MB: {[round(size) for size in memory]}; its open files: {files}")
    assert memory[-1] - memory[0] < LEAK_MB * (kills - 1)
    assert files[-1] - files[0] < LEAK_FILES * (kills - 1)


Said = tuple[str, APIError | None]


def _is(said: str, right: str) -> bool:
    """Whether an answer is the model's own."""
    return said == right or (not has_kernel() and _began_as(said, right))


def _began_as(said: str, right: str) -> bool:
    """Whether it began as what the model says alone.

    On a CPU without AVX-512 the order of a product's sums hangs on how many rows it has, so that late in a
    long answer another token may come; a quarter of it has to be the same there.
    """
    shared = min(len(said), len(right))
    alike = next((at for at in range(shared) if said[at] != right[at]), shared)
    return alike == len(said) or (not has_kernel() and alike >= len(right) // 4)


def _client(server: Server) -> AsyncOpenAI:
    # On a machine so loaded that the server's patience ends first, the client is told when to come again.
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=READY_SECONDS, max_retries=3)


async def _whole(client: AsyncOpenAI, model: str) -> Said:
    answer = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], max_tokens=TOKENS, temperature=0
    )
    return answer.choices[0].message.content or "", None


async def _stream(client: AsyncOpenAI, model: str, begun: asyncio.Event) -> Said:
    """What came, and the error that ended it; a bare end fails."""
    said, finished = "", None
    try:
        events = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=TOKENS,
            temperature=0,
            stream=True,
        )
        async for event in events:
            said += event.choices[0].delta.content or ""
            finished = finished or event.choices[0].finish_reason
            if len(said) > 20:
                begun.set()
    except InternalServerError:
        raise
    except APIError as error:
        return said, error
    assert finished, f"a bare end after {said!r}"
    return said, None


async def _until_ready(server: Server) -> set[str]:
    """Wait for health; returns the codes with which it refused before."""
    codes: set[str] = set()
    end = time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient() as http:
        while time.monotonic() < end:
            answer = await http.get(f"{server.url}/health", timeout=PATIENCE)
            if answer.status_code == 200 and codes:
                return codes
            if answer.status_code != 200:
                codes.add(answer.json()["error"]["code"])
            await asyncio.sleep(0.05)
    pytest.fail(f"not ready again; health said {codes}; the log ends:\n{server.log.read_text()[-4000:]}")


async def _loaded(server: Server) -> list[str]:
    async with httpx.AsyncClient(headers=server.headers) as http:
        cards = (await http.get(f"{server.url}/v1/models", timeout=PATIENCE)).json()["data"]
    return [card["state"] for card in cards if "parent" in card]


def _connected(server: psutil.Process, url: str) -> bool:
    """Whether the server holds a connection of a client: it closes one a moment after the client did."""
    port = httpx.URL(url).port
    open_ones = (psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT)
    return any(one.laddr.port == port and one.status in open_ones for one in server.net_connections("tcp"))


def _engine(server: psutil.Process) -> psutil.Process:
    """vLLM's process under the server; one, beside one that tries grammars, and none dead."""
    engines, compilers = [], []
    for child in server.children():
        with suppress(psutil.NoSuchProcess):
            assert child.status() != psutil.STATUS_ZOMBIE
            line = " ".join(child.cmdline())
            if "serve.engine.compiler" in line:
                compilers.append(child)
            elif "resource_tracker" not in line:
                engines.append(child)
    [engine], [_] = engines, compilers
    return engine
