"""The adapter folder: weights, config, manifest and model card."""

import platform
import shlex
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data import digest
from data.manifest import AdapterBase, AdapterManifest, BaseManifest, DatasetEntry, FileEntry
from finetune.commit import commit
from finetune.recipe import Recipe

PACKAGES = ("torch", "transformers", "peft", "trl")


def export(
    model: Any,
    recipe: Recipe,
    base: BaseManifest,
    dataset: DatasetEntry,
    training: dict[str, Any],
    folder: Path,
) -> AdapterManifest:
    """Write the adapter into `folder`, which the caller renames when it is whole."""
    folder.mkdir()
    config = model.peft_config["default"]
    # PEFT records where the base lay on this machine; its name is what another machine can use.
    config.base_model_name_or_path = base.name
    # How the matrices began says nothing of what they are now: every start on offer leaves the base as it
    # is, so this is plain LoRA, and whoever reads it needs to know no other.
    config.init_lora_weights = True
    # "auto" would look for the base's config.json on the hub, to see whether its vocabulary grew.
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    plain = recipe.model_dump(mode="json")
    files = {
        name: FileEntry(sha256=digest.of_file(folder / name), size=(folder / name).stat().st_size)
        for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    manifest = AdapterManifest(
        name=recipe.name,
        base=AdapterBase(name=base.name, fingerprint=base.fingerprint),
        renderer=base.identity.renderer,
        dataset=dataset,
        recipe=plain,
        recipe_digest=digest.of_json(plain),
        training=training,
        code=_code(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        files=files,
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(manifest, recipe.folder), encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner only
    return manifest


def card(manifest: AdapterManifest, place: Path) -> str:
    """The model card, from the manifest; `place` is the folder that the adapter goes to."""
    lora, data, run = manifest.recipe["lora"], manifest.dataset, manifest.training
    return f"""---
base_model: {manifest.base.name}
library_name: peft
pipeline_tag: text-generation
tags: [lora, awq, enxerto]
---
# {manifest.name}

A LoRA adapter (rank {lora["r"]}, alpha {lora["alpha"]}) trained on the AWQ weights of `{manifest.base.name}`.
It is right on that base only, with the renderer it was trained with.

| | |
| --- | --- |
| base | `{manifest.base.fingerprint}` |
| renderer | {manifest.renderer.name} v{manifest.renderer.version}, `{manifest.renderer.digest}` |
| data | {data.conversations} conversations, {data.targets} answers, `{data.digest}` |
| tokens | {data.learnt_tokens} of {data.tokens} learnt |
| recipe | `{manifest.recipe_digest}` |
| weights | `{manifest.files["adapter_model.safetensors"].sha256}` |
| run | {run["steps"]} steps, {run["seconds"]} s, mean loss {run["mean_loss"]:.4f} |
| made | {manifest.created} with enxerto {manifest.code["enxerto"]} |

    serve push {shlex.quote(str(place))} --name {manifest.name} --alias default
"""


def _code() -> dict[str, str]:
    return {
        "enxerto": version("enxerto"),
        "commit": commit(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
