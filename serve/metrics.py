"""What a server measures of itself: Prometheus series for each adapter version, never too many of them."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from serve.registry.records import Version

M = TypeVar("M", bound=MetricWrapperBase)

# What the label `adapter` holds where it is no adapter's name: those have no parentheses.
BASE = "(base)"
OTHER = "(other)"
"""All versions together for which there was no room."""
NONE = "(none)"
"""Requests that ended before it was known what answers them."""

KEYS = 100
"""Keys with series of their own; all others together are `OTHER`."""

IDLE_SECONDS = 3600
"""A version unused for this long gives its series up to one that has none. So at most `most` versions have
series at a time, and at most as many new ones come in an hour, whatever clients ask for."""

WAITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
GAPS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10)

_WHOSE = ("adapter", "version")


class Metrics:
    """The metrics of one server, in a registry of its own. For the event loop's thread, but for `text`."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` versions have series of their own at a time; `clock` is in seconds."""
        self._most = most
        self._clock = clock
        self._registry = CollectorRegistry()
        self._owned: list[MetricWrapperBase] = []
        own = self._own
        self.requests = own(Counter, "requests", "Chat requests that ended, however they did.")
        self.in_flight = own(Gauge, "requests_in_flight", "Chat requests that have not ended.")
        self.errors = own(Counter, "errors", "Chat requests that ended in an error.", "code")
        self.finishes = own(Counter, "finishes", "Choices that came to their end.", "reason")
        self.broken_calls = own(
            Counter, "tool_call_failures", "Tool calls that no client can read, by what is wrong.", "kind"
        )
        self.prompt_tokens = own(Counter, "prompt_tokens", "Tokens in.")
        self.completion_tokens = own(Counter, "completion_tokens", "Tokens out.")
        self.first_token = own(
            Histogram,
            "time_to_first_token_seconds",
            "From a request's arrival to the first piece of its answer, where that is streamed.",
            buckets=WAITS,
        )
        self.gaps = own(
            Histogram, "inter_token_seconds", "From a streamed piece of a choice to the next.", buckets=GAPS
        )
        self.queue = own(
            Histogram, "queue_seconds", "How long a request waited for its version.", buckets=WAITS
        )
        self.duration = own(Histogram, "request_seconds", "From arrival to end.", buckets=WAITS)
        self.loads = own(Summary, "load_seconds", "Bringing a version into the engine.", "phase")
        self.failed_loads = own(Counter, "load_failures", "Loads that failed, and where.", "phase")
        self._loaded = own(Gauge, "adapter_loaded", "1 where the engine holds the version.")
        self.http = Counter(
            "enxerto_http_requests",
            "Answers of all routes.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._key_tokens = Counter(
            "enxerto_key_tokens",
            "Tokens of a key's requests and answers.",
            ("key", "kind"),
            registry=self._registry,
        )
        self._keys: set[str] = set()
        self._slots = self._single("slots", "Versions that the engine holds at most.")
        self._healthy = self._single("engine_up", "1 while the engine answers.")
        self._single("start_time_seconds", "When the server started, in Unix time.").set(time.time())
        self._versions: dict[tuple[str, str], Series] = {}
        """The least recently used one first."""
        self.base, self.none, self._other = (Series(self, name, "") for name in (BASE, NONE, OTHER))

    def of(self, version: Version | None) -> "Series":
        """The series of a version (None: of the base), or those for all that there is no room for."""
        if version is None:
            return self.base
        labels = (version.name, str(version.number))
        series = self._versions.pop(labels, None)
        if series is None:
            if len(self._versions) >= self._most and not self._make_room():
                return self._other
            series = Series(self, *labels)
        series.used = self._clock()
        self._versions[labels] = series
        return series

    def key_used(self, key: str, prompt_tokens: int, completion_tokens: int) -> None:
        """A request of this key has ended."""
        if key not in self._keys and len(self._keys) >= KEYS:
            key = OTHER
        self._keys.add(key)
        self._key_tokens.labels(key, "prompt").inc(prompt_tokens)
        self._key_tokens.labels(key, "completion").inc(completion_tokens)

    def load_phase(self, version: Version, phase: str, seconds: float, failed: bool) -> None:
        """One phase of a load has ended."""
        labels = (*self.of(version).labels, phase)
        self.loads.labels(*labels).observe(seconds)
        if failed:
            self.failed_loads.labels(*labels).inc()

    def versions(self) -> list[str]:
        """Those with series of their own, as `name@number`."""
        return [f"{name}@{number}" for name, number in self._versions]

    def drop(self, references: Iterable[str]) -> None:
        """Forget versions that are no more, once they have answered their last request."""
        for reference in references:
            labels = _labels(reference)
            if labels in self._versions and not self._versions[labels].answering:
                self._drop(labels)

    def look(self, loaded: Collection[str], slots: int, healthy: bool) -> None:
        """Set what is looked at only when somebody asks; `loaded` as in `versions`."""
        self._loaded.clear()
        for reference in {*self.versions(), *loaded}:
            self._loaded.labels(*_labels(reference)).set(reference in loaded)
        self._slots.set(slots)
        self._healthy.set(healthy)

    def text(self, reaches: Callable[[str], bool] = lambda adapter: True, key: str | None = None) -> bytes:
        """Everything in Prometheus's text format, without the adapters that `reaches` denies; of all keys, or
        of `key` alone."""
        return generate_latest(_View(self._registry, reaches, key))

    def _own(self, kind: type[M], name: str, what: str, *more: str, **options: Any) -> M:
        """A metric with series for each version."""
        made = kind(f"enxerto_{name}", what, (*_WHOSE, *more), registry=self._registry, **options)
        self._owned.append(made)
        return made

    def _single(self, name: str, what: str) -> Gauge:
        return Gauge(f"enxerto_{name}", what, registry=self._registry)

    def _make_room(self) -> bool:
        """Whether there is room after the version that was unused for longest has gone, if it may."""
        idle = next((labels for labels, one in self._versions.items() if not one.answering), None)
        if idle is None or self._clock() - self._versions[idle].used < IDLE_SECONDS:
            return False
        self._drop(idle)
        return True

    def _drop(self, labels: tuple[str, str]) -> None:
        del self._versions[labels]
        for metric in self._owned:
            metric.remove_by_labels(dict(zip(_WHOSE, labels, strict=True)))


class Series:
    """What is counted of one version, the base, or the rest."""

    def __init__(self, metrics: Metrics, adapter: str, version: str) -> None:
        self.labels = labels = (adapter, version)
        self.used = 0.0
        self.answering = 0
        self._metrics = metrics
        # Looked up once: some of them are written for every token.
        self.requests = metrics.requests.labels(*labels)
        self.prompt_tokens = metrics.prompt_tokens.labels(*labels)
        self.completion_tokens = metrics.completion_tokens.labels(*labels)
        self.first_token = metrics.first_token.labels(*labels)
        self.gaps = metrics.gaps.labels(*labels)
        self.queue = metrics.queue.labels(*labels)
        self.duration = metrics.duration.labels(*labels)
        self._in_flight = metrics.in_flight.labels(*labels)

    def begin(self) -> None:
        """A request is about to be answered."""
        self.answering += 1
        self._in_flight.set(self.answering)

    def end(self) -> None:
        """It was, or not."""
        self.answering -= 1
        self._in_flight.set(self.answering)

    def error(self, code: str) -> None:
        self._metrics.errors.labels(*self.labels, code).inc()

    def finished(self, reason: str) -> None:
        self._metrics.finishes.labels(*self.labels, reason).inc()

    def broken_call(self, kind: str) -> None:
        self._metrics.broken_calls.labels(*self.labels, kind).inc()


class _View(Collector):
    """What one reader sees of the metrics; no creation times, which would double the series."""

    def __init__(self, registry: CollectorRegistry, reaches: Callable[[str], bool], key: str | None) -> None:
        self._registry = registry
        self._reaches = reaches
        self._key = key

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                sample
                for sample in metric.samples
                if not sample.name.endswith("_created") and self._shown(sample.labels)
            ]
            yield metric

    def _shown(self, labels: Mapping[str, str]) -> bool:
        if (key := labels.get("key")) is not None:
            return self._key in (None, key)
        adapter = labels.get("adapter")
        return adapter in (None, BASE, OTHER, NONE) or self._reaches(adapter)


def _labels(reference: str) -> tuple[str, str]:
    name, _, number = reference.partition("@")
    return name, number
