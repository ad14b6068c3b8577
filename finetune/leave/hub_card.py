"""The card of an adapter's repository: what it is, what it was measured to do, and how it is used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.bases import reference_to
from data.limits import LORA_RANKS
from data.manifest import BaseManifest, read_base
from data.report import Evidence, Metric
from finetune.base import catalogue
from finetune.leave.source import Source


@dataclass(frozen=True)
class Origin:
    """Where the base's weights can be had: a hub's repository, `own` where that holds the AWQ weights."""

    repo: str | None
    own: bool
    license: str | None

    @property
    def weights(self) -> str:
        """What vLLM and transformers are told to load."""
        return self.repo if self.own and self.repo else "path/to/base"


def card(source: Source, found: Evidence | None, repo: str | None) -> str:
    """The model card, with the figures of `found`; `repo` is the repository's name where it has one yet."""
    manifest, base = source.manifest, read_base(source.base)
    data, origin = manifest.dataset, origin_of(base, source.base)
    name = repo or "."
    return f"""---
{_front(source, found, origin)}
---
# {manifest.name}

A LoRA adapter (rank {source.rank}, scale {source.scale:g}) trained on the AWQ weights of `{base.name}`.
Use it with those: on other weights of the same model, quantized otherwise or not at all, it was not tried.
{_terms(origin)}

{_measured(found)}
## Use

With Enxerto, which checks that it answers as it did in training:

```sh
finetune base {_reference(base)}
serve up --base {_reference(base)}
serve push {f"hf:{repo}" if repo else name} --name {manifest.name} --alias default
```

With vLLM{"" if origin.own else ", on the folder of the base that the first command above prints"}:

```sh
vllm serve {origin.weights} --enable-lora --max-lora-rank {_room(source.rank)} \\
  --lora-modules {manifest.name}={name}
```

With PEFT:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained("{origin.weights}")
model = PeftModel.from_pretrained(base, "{name}")
```

## Where it comes from

| | |
| --- | --- |
| base | `{manifest.base.fingerprint}` |
| renderer | {manifest.renderer.name} v{manifest.renderer.version}, `{manifest.renderer.digest}` |
| data | {data.conversations} conversations, {data.targets} answers, `{data.digest}` |
| tokens | {data.learnt_tokens} of {data.tokens} learned |
| recipe | {manifest.recipe.get("method", "sft")}, `{manifest.recipe_digest}` |
| weights | `{manifest.files["adapter_model.safetensors"].sha256}` |
| made | {manifest.created} |

`manifest.json` has the whole recipe, and the versions that it was trained with.
"""


def _front(source: Source, found: Evidence | None, origin: Origin) -> str:
    """What the hub reads: base, license, and the figures as its own tables show them."""
    from huggingface_hub import EvalResult, ModelCardData

    figures = [one for one in _own(found) if one.value is not None] if found else []
    return str(
        ModelCardData(
            model_name=source.manifest.name,
            base_model=origin.repo,
            base_model_relation="adapter" if origin.repo else None,
            license=origin.license,
            library_name="peft",
            pipeline_tag="text-generation",
            tags=["lora", "awq", "enxerto"],
            eval_results=[
                EvalResult(
                    task_type="text-generation",
                    dataset_type=found.suite,
                    dataset_name=f"{found.suite}: {one.task}",
                    metric_type=one.measure,
                    metric_value=one.value,
                )
                for one in figures
                if found
            ]
            or None,
        ).to_yaml()
    )


def origin_of(base: BaseManifest, folder: Path) -> Origin:
    """What is known of a base's origin: from its manifest, the catalogue, and its own card."""
    entry = catalogue.load().get(base.name)
    own = base.source.get("repo")
    repo = own or (entry.model if entry else None)
    return Origin(repo, own is not None, (entry.license if entry else None) or _license(folder / "README.md"))


def _license(path: Path) -> str | None:
    """The license that a model card states; None where there is none, or no card."""
    from huggingface_hub import ModelCard

    try:
        stated: Any = ModelCard.load(path).data.license if path.is_file() else None
    except ValueError:
        return None
    return stated if isinstance(stated, str) else None


def _terms(origin: Origin) -> str:
    link = f"[{origin.repo}](https://huggingface.co/{origin.repo})"
    place = f"The base comes from {link}. " if origin.repo else ""
    if origin.license:
        return f"{place}Its license, `{origin.license}`, goes for the adapter too."
    return f"{place}The base's license is not recorded here: look it up before you pass the adapter on."


def _reference(base: BaseManifest) -> str:
    """What gets the base elsewhere; where it lies on this machine is nobody's business."""
    return f"path/to/{base.name}" if "folder" in base.source else reference_to(base)


def _room(rank: int) -> int:
    """vLLM's `--max-lora-rank` for an adapter of this rank."""
    return min((room for room in LORA_RANKS if room >= rank), default=max(LORA_RANKS))


def _own(found: Evidence) -> list[Metric]:
    """Each task once, however many names the adapter was asked by."""
    first: dict[str, Metric] = {}
    for metric in found.metrics:
        first.setdefault(metric.task, metric)
    return list(first.values())


def _measured(found: Evidence | None) -> str:
    if found is None:
        return "It has not been evaluated: no report came with it.\n"
    rows = [
        f"| {one.task} | {one.measure} | {_number(one.value)} | {_number(one.low)} to {_number(one.high)} |"
        f" {one.n} |"
        for one in _own(found)
    ]
    lines = [
        "## Evaluation",
        "",
        f"Suite `{found.suite}` (`{found.suite_digest[:19]}`) on {found.finished.date()}.",
        "",
        "| task | measure | value | 95% interval | samples |",
        "| --- | --- | ---: | --- | ---: |",
        *rows,
    ]
    for one in found.differences:
        if one.value is not None:
            word = one.direction or "no clear difference"
            lines += ["", f"Against {one.against} on {one.task}: {_number(one.value)} ({word})."]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
