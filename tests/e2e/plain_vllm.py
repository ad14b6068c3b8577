"""vLLM's own API server with this project's flags: `python -m tests.e2e.plain_vllm BASE_FOLDER PORT`."""

import asyncio
import sys
from pathlib import Path

from vllm.entrypoints.launchers.api_server.entry import run_server

from data.manifest import read_base
from serve.engine import vllm as ours
from serve.settings import Settings
from tests.conftest import MAX_LEN, MAX_LORAS

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    ours._set_environment()
    settings = Settings(base=read_base(folder), folder=folder, max_loras=MAX_LORAS, max_model_len=MAX_LEN)
    args = ours._arguments(settings)
    args.host, args.port = "127.0.0.1", int(sys.argv[2])
    asyncio.run(run_server(args))
