"""What this machine has: instructions, memory, GPU, disk."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serve.doctor.finding import Finding, ok, problem, warning

GB = 1e9
LITTLE_DISK = 2 * GB


@dataclass(frozen=True)
class Gpu:
    """Memory in bytes; `capability` as 90 for 9.0."""

    name: str
    memory: float
    free: float
    capability: int


@dataclass(frozen=True)
class Machine:
    """`free` is the memory in bytes that new processes may take; `flags` is empty where unknown."""

    cores: int
    flags: frozenset[str]
    free: float
    gpus: tuple[Gpu, ...]


def look() -> Machine:
    return Machine(len(os.sched_getaffinity(0)), _flags(), _free_memory(), tuple(_gpus()))


def findings(machine: Machine, kind: str | None, folder: Path) -> Iterator[Finding]:
    if kind == "gpu":
        yield from _gpu(machine)
    else:
        yield _cpu(machine)
        yield from _threads(machine)
    yield ok("memory", f"{machine.free / GB:.1f} GB are free for new processes.")
    yield _disk(folder)


def _cpu(machine: Machine) -> Finding:
    cores = f"{machine.cores} cores"
    if not machine.flags:
        return ok("cpu", f"{cores}; their instruction sets are not known here.")
    if "amx_bf16" in machine.flags:
        return ok("cpu", f"{cores} with AMX: bfloat16 matrix products at their fastest.")
    if "avx512_bf16" in machine.flags:
        return ok(
            "cpu", f"{cores} with AVX-512 and bfloat16 instructions, which vLLM's best build here uses."
        )
    if "avx512f" in machine.flags:
        return warning(
            "cpu", f"{cores} with AVX-512 and no bfloat16 instructions: each product converts first."
        )
    if "avx2" in machine.flags:
        return warning(
            "cpu",
            f"{cores} with AVX2 only: the engine keeps 4 bytes a weight of a base, where half a byte does "
            "with AVX-512, and all is several times slower.",
        )
    return problem("cpu", f"{cores} without AVX2, which vLLM's build for CPUs needs; use another machine.")


def _threads(machine: Machine) -> Iterator[Finding]:
    """Settings that vLLM and OpenMP take from the environment, and that cost speed."""
    given = os.environ.get("OMP_NUM_THREADS")
    if given and given.isdigit() and int(given) < machine.cores:
        yield warning(
            "threads", f"OMP_NUM_THREADS={given} leaves {machine.cores - int(given)} cores unused; unset it."
        )


def _gpu(machine: Machine) -> Iterator[Finding]:
    if not machine.gpus:
        yield problem("gpu", "vLLM is installed for GPUs, and nvidia-smi shows none; see the driver.")
    for gpu in machine.gpus:
        yield ok("gpu", f"{gpu.name}, {gpu.free / GB:.0f} of {gpu.memory / GB:.0f} GB free.")


def _disk(folder: Path) -> Finding:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / GB:.1f} GB free where the registry is ({there})"
    if free < LITTLE_DISK:
        return warning("disk", f"{said}; a full disk refuses uploads. Make room.")
    return ok("disk", f"{said}.")


def _flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def _free_memory() -> float:
    """What the kernel would give, and no more than this container's limit leaves."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (
            (group / "memory.max").read_text().strip(),
            float((group / "memory.current").read_text()),
        )
        counted = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return free
    # Of what is counted, the kernel takes back what it only keeps of files.
    taken = used - float(counted.get("inactive_file", 0))
    return free if limit == "max" else min(free, float(limit) - taken)


def _gpus() -> Iterator[Gpu]:
    asked = "name,memory.total,memory.free,compute_cap"
    command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for line in told.splitlines():
        name, memory, free, capability = (part.strip() for part in line.split(","))
        yield Gpu(name, float(memory) * 2**20, float(free) * 2**20, int(capability.replace(".", "")))
