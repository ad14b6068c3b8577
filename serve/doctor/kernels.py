"""Which of vLLM 0.32's kernels each kind of layer will get.

By vLLM's own rules (`layers/quantization/auto_awq.py`, `kernels/linear/mixed_precision/`), so that it need
not be imported; `tests/e2e/test_doctor.py` compares with what the engine's log says.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from serve.doctor.finding import Finding, ok, problem, warning
from serve.doctor.machine import Machine
from serve.registry import base_modules

CPU_KERNEL = "CPUWNA16LinearKernel"
MACHETE_GROUPS = (-1, 128)
OLDEST = 75
"""Compute capability 7.5, Turing: what vLLM's AWQ asks for."""


def findings(folder: Path, machine: Machine, kind: str | None) -> Iterator[Finding]:
    config = json.loads((folder / "config.json").read_text())
    quantization = config.get("quantization_config", {})
    if quantization.get("quant_method") != "awq":
        yield problem("4-bit layers", f"{folder.name} is not quantised by AWQ; make it with `finetune base`.")
        return
    group = quantization.get("group_size") or quantization.get("q_group_size")
    if kind == "gpu":
        yield _on_gpu(machine, group)
        yield ok("attention", "The fastest that the GPU offers (FlashAttention, where it has it).")
    else:
        yield _on_cpu(folder, machine, group)
        yield ok("attention", "CPU_ATTN, vLLM's only one on a CPU.")
    yield ok("other layers", "Embedding, output head and norms stay in 16 bits.")


def _on_cpu(folder: Path, machine: Machine, group: int) -> Finding:
    for name, sides in base_modules.read(folder).items():
        if odd := [side for side in sides if side % 32]:
            return problem(
                "4-bit layers", f"{name} is {odd[0]} wide, and {CPU_KERNEL} needs multiples of 32: no kernel."
            )
    if group % 2:
        return problem("4-bit layers", f"Groups of {group} are odd, and {CPU_KERNEL} needs even ones.")
    how = "with AMX tiles" if "amx_tile" in machine.flags else "with vector instructions"
    return ok("4-bit layers", f"{CPU_KERNEL}, {how}, in groups of {group}.")


def _on_gpu(machine: Machine, group: int) -> Finding:
    if not machine.gpus:
        return problem("4-bit layers", "No GPU, no kernel.")
    capability = min(gpu.capability for gpu in machine.gpus)
    shown = f"{capability // 10}.{capability % 10}"
    if capability < OLDEST:
        return problem("4-bit layers", f"Compute capability {shown} is too old: AWQ needs 7.5 or more.")
    if capability == 90 and group in MACHETE_GROUPS:
        return ok("4-bit layers", "MacheteLinearKernel, Hopper's own; MarlinLinearKernel for odd shapes.")
    if capability < 80:
        return warning(
            "4-bit layers", f"MarlinLinearKernel; with compute capability {shown} in float16 only."
        )
    return ok("4-bit layers", "MarlinLinearKernel.")
