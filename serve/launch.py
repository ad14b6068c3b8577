"""`serve up`: from a base's folder to a server that answers, and cleanly down again."""

import gc
import logging
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from rich.console import Console

from data.bases import find_base
from data.errors import UserError
from data.home import key_file, own_files, registry_folder
from data.limits import LORA_RANKS
from data.manifest import read_base
from serve.log_file import captured, leave_to
from serve.own_key import known_by_port, own_key
from serve.settings import Settings, ToolStrictLevel, context_of

if TYPE_CHECKING:
    from serve.registry.storage import Storage


def up(
    host: str = "127.0.0.1",
    port: int = 8321,
    base: str = "smollm2-135m-instruct-awq",
    max_loras: int = Settings.max_loras,
    max_lora_rank: int = Settings.max_lora_rank,
    max_model_len: int | None = None,
    tool_strict_level: ToolStrictLevel = Settings.tool_strict_level,
    max_inflight: int = Settings.max_inflight,
    max_queue: int = Settings.max_queue,
    preload: str = "",
    registry: Path | None = None,
    database: str | None = None,
    blobs: str | None = None,
    request_seconds: float = Settings.request_seconds,
    cors_origins: tuple[str, ...] = (),
    log_to: str | None = None,
    max_connections: int = Settings.max_connections,
    max_connections_per_address: int = Settings.max_connections_per_address,
    drain_seconds: float = Settings.drain_seconds,
) -> None:
    """Serve `base` (a built base's name, or a folder with a base.json) until Ctrl-C or SIGTERM."""
    if max_lora_rank not in LORA_RANKS:
        raise UserError(f"--max-lora-rank {max_lora_rank} is not possible; choose one of {LORA_RANKS}.")
    folder = find_base(base)
    if folder is None:
        raise UserError(f"there is no base {base!r} here; get it with `finetune base {base}`.")
    if max_model_len and (longest := context_of(folder)) and max_model_len > longest:
        raise UserError(
            f"--max-model-len {max_model_len} is more than the {longest} tokens that {folder.name} was made "
            "for; ask for less."
        )
    settings = Settings(
        base=read_base(folder),
        folder=folder.resolve(),
        host=host,
        port=port,
        max_loras=max_loras,
        max_lora_rank=max_lora_rank,
        max_model_len=max_model_len,
        tool_strict_level=tool_strict_level,
        max_inflight=max_inflight,
        max_queue=max_queue,
        preload=tuple(name.strip() for name in preload.split(",") if name.strip()),
        request_seconds=request_seconds,
        cors_origins=cors_origins,
        max_connections=max_connections,
        max_connections_per_address=max_connections_per_address,
        drain_seconds=drain_seconds,
    )
    own_files()
    with _listener(host, port) as listener:
        # FastAPI and SQLAlchemy, and only once the arguments are right
        from serve.hosting import allow_descriptors
        from serve.registry.storage import open_storage

        allow_descriptors(max_connections)
        storage = open_storage(registry or registry_folder(), database, blobs)
        file = key_file(registry, database)
        aside = own_key(storage.keys, file)
        with known_by_port(port, registry, database), captured(port, log_to) as (log, terminal):
            if aside:
                terminal.print(
                    f"{file} is this registry's new key; the one that lay there is kept in {aside}"
                )
            uvloop.run(_serve(settings, storage, listener, log, file, terminal))
    leave_to(log)  # nothing follows but the process's end, at which native libraries complain of each other


async def _serve(
    settings: Settings, storage: "Storage", listener: socket.socket, log: str, key: Path, terminal: Console
) -> None:
    from serve.preload import named, preload
    from serve.registry.registry import Registry

    registry = Registry(storage, settings.base, settings.max_lora_rank)
    wanted = named(registry, settings)
    # Until the server runs, Ctrl-C ends this process on the spot, as SIGTERM does, and the engine follows:
    # vLLM waits for its engine in a call that would let no handler of Python's run.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    terminal.print(f"starting vLLM on {settings.base.name}; its log is {log}")
    began = time.monotonic()

    # Heavy, and only now: a mistake in the arguments was said long before.
    from serve.app import create_app
    from serve.engine.supervisor import Supervisor
    from serve.engine.vllm import VllmEngine
    from serve.hosting import Server, config
    from serve.lifecycle import Bounds, Lifecycle
    from serve.probing import Prober
    from serve.request_ids import log_to_standard_error

    log_to_standard_error()
    # A collection walks through all objects, and nothing is answered meanwhile. The 750 000 that came with
    # the imports stay for good, so it need not: half a second of processor time, several where others want it
    # too. Before the first engine, which has to be collected when it dies.
    gc.collect()
    gc.freeze()
    engine = Supervisor(lambda: VllmEngine(settings))
    prober = Prober(engine, registry.storage)
    lifecycle = engine.adapters = Lifecycle(
        engine, registry.make_ready, Bounds.of(settings), agrees=prober, remember=prober.remember
    )
    try:
        await engine.start()
        await preload(lifecycle, wanted)
        app = create_app(settings, registry, engine, lifecycle)
        bounds = settings.max_connections, settings.max_connections_per_address
        server = Server(config(app, *bounds, log_config=None), app.state.deadlines, settings.drain_seconds)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.stop)
        terminal.print(f"engine ready in {time.monotonic() - began:.0f} s")
        terminal.print(f"serving on {settings.url}, for example:\n{_example(settings, key)}")
        await server.serve(sockets=[listener])
    except UserError:
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("the server failed")
        terminal.print(f"the server failed ({type(error).__name__}); its log says why: {log}")
        raise SystemExit(1) from None
    finally:
        terminal.print("stopping")
        await lifecycle.close()
        await engine.close()
        registry.close()


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    """The bound socket: a port in use is found before minutes go into the engine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or the event loop would leave Nagle's algorithm on: 40 ms before a first token.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A client whose machine is gone says so to nobody, so connections, which inherit this, are asked.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):  # macOS has one of them less
                listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UserError(
                f"cannot listen on {host}:{port} ({error.strerror}); stop what is there, or choose another "
                "port with --port."
            ) from None
        yield listener


def _example(settings: Settings, file: Path) -> str:
    question = f'{{"model": "{settings.base.name}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    key = f'-H "authorization: Bearer $(cat {file})"'
    return (
        f"  curl {settings.url}/v1/chat/completions {key} -H 'content-type: application/json' -d '{question}'"
    )
