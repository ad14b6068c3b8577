"""Plain vLLM's API server: `python -m bench.serve.plain FOLDER PORT SLOTS RANK LENGTH`.

Its own HTTP surface with this server's arguments and environment, from where this server gets them: what
`python -m vllm.entrypoints.openai.api_server` runs.
"""

import sys
from pathlib import Path

import uvloop
from vllm.entrypoints.launchers.api_server.entry import run_server

from data.manifest import read_base
from serve.engine.vllm import _arguments, _set_environment
from serve.settings import Settings


def main(folder: Path, port: int, slots: int, rank: int, length: int) -> None:
    _set_environment()
    settings = Settings(
        base=read_base(folder), folder=folder, max_loras=slots, max_lora_rank=rank, max_model_len=length
    )
    args = _arguments(settings)
    args.host, args.port = "127.0.0.1", port
    args.uvicorn_log_level, args.disable_uvicorn_access_log = "warning", True
    uvloop.run(run_server(args))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
