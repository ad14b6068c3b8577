"""Evaluations with chosen scores; what follows from the scores is computed as in any report."""

from collections.abc import Sequence

from data import digest
from data.report import Adapter, EvalReport, Kind, Result, Sample, Served, SuiteEntry
from finetune.eval import metrics

Scores = Sequence[float | None]
TOKENS = 10
"""Of each answer whose perplexity is asked for."""


def served(name: str, version: str | None, fingerprint: str) -> Served:
    """The adapter version with this digest as an endpoint describes it; without one, the base."""
    number = int(name.partition("@")[2] or 1)
    adapter = Adapter(name=name.partition("@")[0], version=number, digest=version) if version else None
    model = f"{adapter.name}@{version}" if adapter else "tiny-awq"
    return Served(name=name, model=model, adapter=adapter, base="tiny-awq", fingerprint=fingerprint)


def report(
    models: Sequence[Served], tasks: dict[str, dict[str, Scores]], suite: str = "quickstart"
) -> EvalReport:
    """`tasks`: every model's scores on each. Those above 1 are nats; None could not be scored."""
    samples = [
        _sample(task, number, {name: of[number] for name, of in scores.items()})
        for task, scores in tasks.items()
        for number in range(len(next(iter(scores.values()))))
    ]
    names = [one.name for one in models]
    return EvalReport(
        suite=SuiteEntry(name=suite, digest=digest.of_bytes(suite.encode()), config={}, files={}),
        endpoint="http://127.0.0.1:8321",
        models=list(models),
        started="2026-05-04T09:30:00Z",
        finished="2026-05-04T09:40:00Z",
        reused=0,
        versions={},
        metrics=metrics.metrics(samples, names, seed=0),
        differences=metrics.differences(samples, names, seed=0),
        samples=samples,
    )


def _sample(task: str, number: int, scores: dict[str, float | None]) -> Sample:
    kind: Kind = "perplexity" if any((score or 0) > 1 for score in scores.values()) else "tools"
    results = {
        name: Result(got=None, score=score, why="", scored_tokens=TOKENS if kind == "perplexity" else None)
        for name, score in scores.items()
    }
    return Sample(task=task, kind=kind, id=str(number), category=task, messages=[], results=results)
