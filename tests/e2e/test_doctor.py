"""What `serve doctor` calculates, against a server that runs."""

import re
from pathlib import Path

import psutil
import pytest

from serve.doctor import kernels, room
from serve.doctor.machine import GB
from serve.engine.defaults import KV_CACHE_GIB_ON_CPU
from serve.settings import Settings
from tests.conftest import MAX_LORAS, Server

pytestmark = pytest.mark.e2e


def test_the_engine_says_what_the_doctor_said(server: Server, base: Path) -> None:
    log = server.log.read_text()
    assert f"Using {kernels.CPU_KERNEL} for" in log
    [tokens] = re.findall(r"KV cache size: ([\d,]+) tokens", log)
    said = KV_CACHE_GIB_ON_CPU * 2**30 / room.Base.read(base, Settings.max_lora_rank).token
    assert float(tokens.replace(",", "")) == pytest.approx(said, rel=0.01)


def test_the_memory_is_about_what_was_calculated(server: Server, base: Path) -> None:
    """Without the KV cache, whose pages the kernel gives out when they are first written."""
    read = room.Base.read(base, Settings.max_lora_rank)
    said = room.PROCESSES + read.weights + read.step + room.COPIES_ON_CPU * MAX_LORAS * read.slot
    process = psutil.Process(server.process)
    taken = sum(one.memory_full_info().uss for one in (process, *process.children(recursive=True)))
    cache = KV_CACHE_GIB_ON_CPU * 2**30
    print(f"calculated {said / GB:.2f} GB and {cache / GB:.2f} GB of cache, taken {taken / GB:.2f} GB")
    assert 0.7 * said < taken < 1.2 * said + cache
