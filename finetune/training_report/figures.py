"""The run's key numbers, each with what it says and what it stands on."""

import math
from dataclasses import dataclass
from statistics import median
from typing import Any

from data.manifest import AdapterManifest
from finetune.training_report.curves import Curves, best_evaluation, number, of_pairs
from finetune.training_report.plots import Point


@dataclass(frozen=True)
class Figure:
    """`value` is told in parts of number and unit, such as 10 min 12 s; the unit may be empty."""

    name: str
    value: list[tuple[str, str]]
    note: str


def of_run(manifest: AdapterManifest, curves: Curves) -> list[Figure]:
    """What is known of the run; a number that was not recorded has no figure."""
    run = manifest.training
    first = [_steps(run, curves), _time(run, curves), _speed(curves), _memory(curves)]
    return [figure for figure in first if figure] + [_learnt(manifest, curves), *_losses(run, curves)]


def duration(seconds: float) -> list[tuple[str, str]]:
    """The two largest units, such as 2 h 05 min."""
    if seconds < 59.5:
        return [(f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}", "s")]
    whole, parts = round(seconds), ("min", "s")
    if whole >= 3600:
        whole, parts = round(seconds / 60), ("h", "min")
    if whole >= 24 * 60 and parts[0] == "h":
        return [(f"{round(seconds / 3600) // 24}", "d"), (f"{round(seconds / 3600) % 24:02}", "h")]
    return [(f"{whole // 60}", parts[0]), (f"{whole % 60:02}", parts[1])]


def _steps(run: dict[str, Any], curves: Curves) -> Figure | None:
    steps, planned, stopped = number(run.get("steps")), number(run.get("planned_steps")), run.get("stopped")
    if steps is None and curves["loss"]:
        steps = curves["loss"][-1][0]
    if steps is None:
        return None
    if planned is None or steps == planned:
        return _figure("steps", f"{steps:,.0f}", "", "as planned" if planned else "")
    note = [str(stopped)] if stopped and stopped != "finished" else []
    return _figure("steps", f"{steps:,.0f}", "", ", ".join([*note, f"of {planned:,.0f} planned"]))


def _time(run: dict[str, Any], curves: Curves) -> Figure | None:
    seconds = number(run.get("seconds"))
    if seconds is None:
        seconds = max((value for _, value in curves["seconds"]), default=None)
    if seconds is None:
        return None
    device, processes = run.get("device"), number(run.get("processes"))
    note = [f"on {device}"] if device else []
    note += [f"{processes:.0f} processes"] if processes and processes > 1 else []
    return Figure("time", duration(seconds), ", ".join(note))


def _speed(curves: Curves) -> Figure | None:
    speeds = [value for _, value in curves["tokens_per_second"]]
    return _figure("speed", f"{median(speeds):,.0f}", "tokens/s", "median of the steps") if speeds else None


def _memory(curves: Curves) -> Figure | None:
    peaks = [value for _, value in curves["memory_gb"]]
    return _figure("peak memory", f"{max(peaks):,.1f}", "GB", "of the process") if peaks else None


def _learnt(manifest: AdapterManifest, curves: Curves) -> Figure:
    """Over all steps; from before steps counted them, once over the data."""
    learnt, trained = (sum(value for _, value in curves[key]) for key in ("learnt_tokens", "tokens"))
    if learnt and trained:
        return _figure("learnt tokens", *_short(learnt), f"of {trained:,.0f} trained on")
    data = manifest.dataset
    return _figure("learnt tokens", *_short(data.learnt_tokens), f"of {data.tokens:,} in the data")


def _short(count: float) -> tuple[str, str]:
    """A count that stays narrow: from ten million on in millions or billions."""
    if count < 1e7:
        return f"{count:,.0f}", ""
    return (f"{count / 1e6:,.1f}", "million") if count < 1e9 else (f"{count / 1e9:,.1f}", "billion")


def _losses(run: dict[str, Any], curves: Curves) -> list[Figure]:
    """Best and final on the held-out side; where there is none, what training itself saw."""
    heldout, mean = curves["heldout_loss"], number(run.get("mean_loss"))
    best = best_evaluation(heldout, run.get("best_step"))
    if best:
        named = {"best held-out loss": best, "final held-out loss": heldout[-1]}
        return [
            _figure(name, f"{point[1]:.3f}", "", _where(point, of_pairs(curves)))
            for name, point in named.items()
        ]
    note = "mean of the run; no held-out loss"
    return [] if mean is None else [_figure("training loss", f"{mean:.3f}", "", note)]


def _where(point: Point, pairs: bool) -> str:
    """With the perplexity, where the loss is that of a language model."""
    perplexity = f", perplexity {math.exp(point[1]):,.2f}" if not pairs and point[1] < 20 else ""
    return f"at step {point[0]:,.0f}{perplexity}"


def _figure(name: str, value: str, unit: str, note: str) -> Figure:
    return Figure(name, [(value, unit)], note)
