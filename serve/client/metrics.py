"""What a running server says of itself in /metrics and /v1/models, made into a row for each version."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from serve.client.connection import connect, read, require_success

Whose = tuple[str, str]
"""The labels `adapter` and `version`; those of the base and of all others together have parentheses."""

Buckets = dict[float, float]
"""Upper bound in seconds to how many were not above it."""


@dataclass(frozen=True)
class Reading:
    """What a server said once. `at` is this machine's clock, `uptime` the server's own; in seconds."""

    at: float
    uptime: float
    engine_up: bool
    slots: int
    base: str
    models: dict[Whose, str]
    """State of each version that an alias names."""
    values: Mapping[str, Mapping[Whose, float]]
    """By metric; what has more labels is summed over those."""
    buckets: Mapping[str, Mapping[Whose, Buckets]]


@dataclass(frozen=True)
class Row:
    """One version, or the base. Rates are per second, times in seconds; None where nothing was measured."""

    adapter: str
    version: str
    state: str
    in_flight: int
    requests: int
    requests_rate: float
    tokens_rate: float
    ttft_p50: float | None
    ttft_p95: float | None
    itl_p50: float | None
    errors: int


def reading(url: str | None = None) -> Reading:
    """Ask the server once."""
    from prometheus_client.parser import text_string_to_metric_families

    with connect(url) as client:
        answer = client.get("/metrics")
        require_success(answer)
        listed = read(client.get("/v1/models"))["data"]
    samples = [one for family in text_string_to_metric_families(answer.text) for one in family.samples]
    values: defaultdict[str, defaultdict[Whose, float]] = defaultdict(lambda: defaultdict(float))
    buckets: defaultdict[str, defaultdict[Whose, Buckets]] = defaultdict(lambda: defaultdict(dict))
    for sample in samples:
        name, labels = sample.name.removeprefix("enxerto_"), sample.labels
        whose = (labels.get("adapter", ""), labels.get("version", ""))
        if "le" in labels:
            buckets[name.removesuffix("_bucket")][whose][float(labels["le"])] = sample.value
        else:
            values[name][whose] += sample.value
    server = ("", "")
    now = parsedate_to_datetime(answer.headers["date"]).timestamp()
    return Reading(
        at=time.monotonic(),
        uptime=max(1.0, now - values["start_time_seconds"][server]),
        engine_up=bool(values["engine_up"][server]),
        slots=int(values["slots"][server]),
        base=listed[0]["id"],
        models=_states(listed[1:]),
        values=values,
        buckets=buckets,
    )


def rows(now: Reading, before: Reading | None = None) -> list[Row]:
    """What happened between two readings, or since the server started: the base, versions, the rest."""
    seconds = now.at - before.at if before else now.uptime

    def counted(name: str, whose: Whose) -> float:
        then = before.values.get(name, {}).get(whose, 0.0) if before else 0.0
        value = now.values.get(name, {}).get(whose, 0.0)
        return value - then if value >= then else value  # less than then: counted anew

    def quantile(q: float, name: str, whose: Whose) -> float | None:
        ends = now.buckets.get(name, {}).get(whose, {})
        begins = before.buckets.get(name, {}).get(whose, {}) if before else {}
        return quantile_of(q, {bound: count - begins.get(bound, 0.0) for bound, count in ends.items()})

    def row(whose: Whose) -> Row:
        requests = counted("requests_total", whose)
        return Row(
            adapter=whose[0],
            version=whose[1],
            state=_state(now, whose),
            in_flight=int(now.values.get("requests_in_flight", {}).get(whose, 0)),
            requests=int(requests),
            requests_rate=requests / seconds,
            tokens_rate=counted("completion_tokens_total", whose) / seconds,
            ttft_p50=quantile(0.5, "time_to_first_token_seconds", whose),
            ttft_p95=quantile(0.95, "time_to_first_token_seconds", whose),
            itl_p50=quantile(0.5, "inter_token_seconds", whose),
            errors=int(counted("errors_total", whose)),
        )

    known = {*now.values.get("requests_total", {}), *now.values.get("adapter_loaded", {}), *now.models}
    named = sorted((one for one in known if not _is_rest(one)), key=_by_number)
    rest = [
        one for one in map(row, sorted(filter(_is_rest, known))) if one.adapter == "(base)" or one.requests
    ]
    return [*rest[:1], *map(row, named), *rest[1:]]


def quantile_of(q: float, buckets: Buckets) -> float | None:
    """As Prometheus's histogram_quantile: straight between the bounds of the bucket that it falls into."""
    total = max(buckets.values(), default=0.0)
    if total <= 0:
        return None
    rank, lower, below = q * total, 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= rank:
            if bound == float("inf") or count == below:
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


def _states(cards: Iterable[dict[str, Any]]) -> dict[Whose, str]:
    return {(card["id"].partition(":")[0], str(card["version"])): card["state"] for card in cards}


def _state(now: Reading, whose: Whose) -> str:
    if whose[0] == "(base)":
        return "ready" if now.engine_up else "down"
    if _is_rest(whose):
        return ""
    loaded = now.values.get("adapter_loaded", {}).get(whose)
    return now.models.get(whose) or ("ready" if loaded else "stored")


def _is_rest(whose: Whose) -> bool:
    return whose[0].startswith("(")


def _by_number(whose: Whose) -> tuple[str, int]:
    return whose[0], int(whose[1])
