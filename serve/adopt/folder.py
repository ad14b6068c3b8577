"""What lies in a folder that somebody means to push, and where the adapter is if it is not there itself."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data.errors import UserError, shown
from data.manifest import ADAPTER_FILES, OPTIONAL_FILES
from serve.adopt import mistral, mlx

Layout = Literal["enxerto", "peft", "mistral-finetune", "mlx"]

CONFIG, WEIGHTS, MANIFEST = ADAPTER_FILES
README = "README.md"

_TRAINERS = ("unsloth", "axolotl", "llama-factory", "swift", "torchtune", "trl", "enxerto")
"""What model cards name, in this order: a card of Unsloth names TRL too."""

_SHARD = re.compile(r"adapter_model-\d+-of-\d+\.safetensors")
_WHOLE = re.compile(r"(model|consolidated|pytorch_model)\b.*\.(safetensors|bin|pth?|json)")
"""Files of a whole model, with the indexes of its parts."""

_NEAREST = 12
"""Folders within that are offered by name at most."""


@dataclass(frozen=True)
class Found:
    """An adapter's files: what is read of it, what goes with it, and what stays behind."""

    folder: Path
    layout: Layout
    files: list[str]
    left: list[str]
    trainer: str | None = None


def look(folder: Path) -> Found:
    """The adapter in `folder`; UserError with what is there instead, and what to do."""
    if not folder.is_dir():
        raise UserError(_no_folder(folder))
    names = {path.name for path in folder.iterdir() if path.is_file()}
    if MANIFEST in names and {CONFIG, WEIGHTS} <= names and _is_ours(folder / MANIFEST):
        optional = [name for name in OPTIONAL_FILES if name in names]
        return _found(folder, "enxerto", [*ADAPTER_FILES, *optional], "enxerto")
    readme = [README] if README in names else []
    if {CONFIG, WEIGHTS} <= names:
        return _found(folder, "peft", [CONFIG, WEIGHTS, *readme])
    if mistral.WEIGHTS in names:
        params = [mistral.PARAMS] if mistral.PARAMS in names else []
        return _found(folder, "mistral-finetune", [mistral.WEIGHTS, *params, *readme], "mistral-finetune")
    if {CONFIG, mlx.WEIGHTS} <= names:
        return _found(folder, "mlx", [CONFIG, mlx.WEIGHTS, *readme], "mlx-lm")
    raise UserError(f"{folder} is no adapter: {_instead(folder, names)}")


def within(folder: Path) -> list[Path]:
    """Adapters in the folders below, the newest checkpoint first."""
    found = [path for path in _below(folder, 3) if _is_adapter(path)]
    return sorted(found, key=lambda path: (_steps(path), path.as_posix()), reverse=True)[:_NEAREST]


def _found(folder: Path, layout: Layout, files: list[str], trainer: str | None = None) -> Found:
    left = sorted(
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if path.name not in files and not path.name.startswith(".")
    )
    return Found(folder, layout, files, left, trainer or _trainer(folder, left))


def _is_ours(path: Path) -> bool:
    """Whether a `manifest.json` is an adapter's, and not of some other tool."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True  # what is broken is not passed over
    return not isinstance(told, dict) or bool({"base", "files", "recipe", "adopted"} & told.keys())


def _trainer(folder: Path, left: list[str]) -> str | None:
    try:
        with (folder / README).open(encoding="utf-8", errors="replace") as card:
            text = card.read(8192).lower()
    except OSError:
        text = ""
    for name in _TRAINERS:
        if re.search(rf"\b{name}\b", text):
            return name
    if "args.json" in left:
        return "swift"
    if "llamaboard_config.yaml" in left or "trainer_log.jsonl" in left:
        return "llama-factory"
    return "transformers" if "training_args.bin" in left else None


def _instead(folder: Path, names: set[str]) -> str:
    if offered := within(folder):
        listed = ", ".join(str(path) for path in offered)
        more = "s are" if len(offered) > 1 else " is"
        return f"it holds none itself, but the adapter{more} within: push {listed}."
    pickles = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl")))
    adapters = [name for name in pickles if "adapter" in name or "lora" in name]
    if adapters:
        return (
            f"its weights are a pickle ({shown(adapters[0])}), which may run any code when it is read, so "
            "it is "
            "not read here; write it as safetensors where you trust it: "
            f"{convert_command(folder, adapters[0])}."
        )
    if any(
        path.is_dir() and re.fullmatch(r"global_step\d+|pytorch_model_fsdp_0", path.name)
        for path in folder.iterdir()
    ):
        return (
            "it is a DeepSpeed or FSDP checkpoint, in parts that only its trainer puts together; load it"
            " there and write the adapter with model.save_pretrained(OUT)."
        )
    if shards := sorted(name for name in names if _SHARD.fullmatch(name)):
        return (
            f"its weights are in {len(shards)} parts ({shards[0]}), where one file is read; save the adapter "
            "with model.save_pretrained(OUT, max_shard_size='100GB')."
        )
    for wanted in (CONFIG, WEIGHTS):
        if wanted not in names and (near := _misnamed(names, wanted)):
            return f"{shown(near)} is not called {wanted}, as it must be; rename it."
    if dangling := sorted(path.name for path in folder.iterdir() if path.is_symlink() and not path.exists()):
        return (
            f"{shown(dangling[0])} is a link to a file that is not there; copy the file itself, or download "
            "the repository again."
        )
    if "pytorch_lora_weights.safetensors" in names:
        return "its LoRA is an image model's (diffusers); push one of a language model."
    if any(name.endswith(".gguf") for name in names):
        return "it holds GGUF files, which are llama.cpp's; push the folder that they were converted from."
    if any(_WHOLE.fullmatch(name) for name in names):
        return (
            "it holds a whole model (merged, or fully fine-tuned), and this server adds adapters to one "
            "base; "
            "push the adapter from before the merge, or retrain with LoRA."
        )
    if CONFIG in names:
        return f"it has {CONFIG} and no {WEIGHTS}; copy the weights there too, or save with PEFT again."
    if WEIGHTS in names or mlx.WEIGHTS in names:
        return f"it has weights and no {CONFIG}, which says rank and scale; copy that there too."
    here = ", ".join(sorted(names)[:6]) or "nothing"
    return (
        f"it has {shown(here, 200)}; give the folder that a trainer wrote, with {CONFIG} and {WEIGHTS} "
        "(PEFT) or "
        f"{mistral.WEIGHTS} (mistral-finetune)."
    )


def _misnamed(names: set[str], wanted: str) -> str | None:
    """A file that is called nearly so: in capitals, as a second download, with an ending more."""
    stem, _, ending = wanted.rpartition(".")
    near = re.compile(rf"{stem}( ?\(\d+\)|[ _-]copy)?\.{ending}(\.txt)?", re.IGNORECASE)
    return next((name for name in sorted(names) if near.fullmatch(name)), None)


def convert_command(folder: Path, name: str) -> str:
    """A command that writes a pickle of tensors as safetensors, reading tensors alone."""
    return (
        f'python -c "import torch; from safetensors.torch import save_file; '
        f"save_file({{k: v.contiguous() for k, v in torch.load('{folder / name}', map_location='cpu', "
        f"weights_only=True).items()}}, '{folder / WEIGHTS}')\""
    )


def _no_folder(path: Path) -> str:
    if not path.exists():
        return f"{path} does not exist; give the folder that training wrote, hf:OWNER/NAME, or s3://BUCKET/PREFIX."
    if path.name.endswith((".safetensors", ".json")):
        return f"{path} is a file; give its folder, {path.parent}."
    if path.name.endswith((".zip", ".tar", ".gz", ".tgz", ".7z")):
        return f"{path} is an archive, which is not opened here; unpack it, and give the folder."
    if path.name.endswith(".gguf"):
        return f"{path} is llama.cpp's; push the folder that it was converted from."
    return f"{path} is no folder; give the folder that training wrote."


def _is_adapter(folder: Path) -> bool:
    has = {name for name in (CONFIG, WEIGHTS, mistral.WEIGHTS, mlx.WEIGHTS) if (folder / name).is_file()}
    return mistral.WEIGHTS in has or (CONFIG in has and len(has) > 1)


def _below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink()][:200]
    except OSError:
        return
    for path in inner:
        yield path
        if depth > 1:
            yield from _below(path, depth - 1)


def _steps(path: Path) -> int:
    """The step of a checkpoint's folder; those without come first: they are the finished ones."""
    found = re.search(r"checkpoint[-_](\d+)", path.as_posix())
    return int(found[1]) if found else 10**12
