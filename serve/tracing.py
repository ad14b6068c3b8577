"""OpenTelemetry traces of chat requests, for a collector that the environment names."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's own environment variables; without either of them nothing of it is imported."""

_ATTRIBUTES = {
    "enxerto.request.id": "id",
    "enxerto.adapter": "adapter",
    "enxerto.version": "version",
    "enxerto.digest": "digest",
    "gen_ai.request.model": "asked",
    "gen_ai.usage.input_tokens": "prompt_tokens",
    "gen_ai.usage.output_tokens": "completion_tokens",
    "gen_ai.response.finish_reasons": "finish",
    "http.response.status_code": "status",
    "error.type": "code",
}
"""OpenTelemetry's names, where it has one, of what the log says."""

log = logging.getLogger(__name__)


class Stage(NamedTuple):
    """A part of a request's life, between two readings of `time.perf_counter`."""

    name: str
    began: float
    ended: float


def start() -> "Traces | None":
    """What sends the traces; None where nobody asked for any, or OpenTelemetry is not installed."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        return Traces()
    except ImportError as error:
        log.warning("no traces: %s; install opentelemetry-sdk and opentelemetry-exporter-otlp.", error)
        return None


class Traces:
    """Sends spans in batches, from a thread of its own. All else is set by OpenTelemetry's environment."""

    def __init__(self) -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", "enxerto")})
        # Not OpenTelemetry's global provider: two servers in one process stay apart.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_exporter()))
        self._tracer = self._provider.get_tracer("enxerto")
        self._propagator = TraceContextTextMapPropagator()

    def tell(
        self, whole: Stage, parts: Sequence[Stage], told: Mapping[str, Any], headers: Mapping[str, str]
    ) -> None:
        """A span with a child for each part, in the trace that the request's headers name, if any.

        `told` is the request's line in the log.
        """
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        offset = time.time_ns() - time.perf_counter_ns()

        def at(reading: float) -> int:
            return offset + int(reading * 1e9)

        attributes = {name: told[field] for name, field in _ATTRIBUTES.items() if told[field] is not None}
        span = self._tracer.start_span(
            whole.name,
            context=self._propagator.extract(headers),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=at(whole.began),
        )
        if told["code"]:
            span.set_status(Status(StatusCode.ERROR))
        inside = set_span_in_context(span)
        for part in parts:
            child = self._tracer.start_span(part.name, context=inside, start_time=at(part.began))
            child.end(at(part.ended))
        span.end(at(whole.ended))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _exporter() -> Any:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol) == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

    return OverHttp()
