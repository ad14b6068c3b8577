"""Where a version comes from, in the registry's own words: what lists and pages show of its manifest."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from data.errors import shown
from data.manifest import AdoptedManifest
from data.report import Metric
from serve.registry import strict_json
from serve.registry.validate import Checked

_NUMBERS = 64  # of a report's metrics, or a training's: a row of the index is for people

_METRICS = TypeAdapter(list[Metric])


def provenance(adapter: Checked, probed: str | None = None) -> dict[str, Any]:
    """Base, data, recipe, code and metrics of a checked adapter, as JSON; of one that was trained elsewhere
    what it claims. `probed` is why the server computed no probes for it, where there are none."""
    manifest = adapter.manifest
    known = {
        "trained_as": manifest.name,
        "base": manifest.base.model_dump(),
        "coverage": {"changed": adapter.changed, "modules": adapter.modules},
        "report": _report(adapter),
    }
    if isinstance(manifest, AdoptedManifest):
        return known | {"adopted": manifest.adopted.model_dump() | {"without_probes": probed}}
    data = manifest.dataset
    return known | {
        "renderer": manifest.renderer.model_dump(),
        "dataset": {
            "digest": data.digest,
            "sources": [source.path for source in data.sources],
            "conversations": data.conversations,
            "learnt_tokens": data.learnt_tokens,
        },
        "recipe": manifest.recipe_digest,
        "code": manifest.code,
        "trained": manifest.created,
        "training": _numbers(manifest.training),
    }


def _numbers(told: dict[str, Any]) -> dict[str, int | float]:
    numbers = {shown(key, 80): value for key, value in told.items() if isinstance(value, (int, float))}
    return dict(list(numbers.items())[:_NUMBERS])


def _report(adapter: Checked) -> dict[str, float] | None:
    """What the report beside an adapter measured over whole tasks, as `MODEL TASK MEASURE`; None without one.

    Empty where the file is no `data.report.EvalReport`, or measured nothing.
    """
    path = adapter.folder / "report.json"
    if not path.is_file():
        return None
    try:
        metrics = _METRICS.validate_python(strict_json.parse(path.read_bytes()).get("metrics"))
    except ValidationError:
        return {}
    numbers = {
        shown(f"{one.model} {one.task} {one.measure}", 80): one.value
        for one in metrics
        if one.category is None and one.value is not None
    }
    return dict(list(numbers.items())[:_NUMBERS])
