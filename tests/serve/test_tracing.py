"""Traces of chats as a collector gets them: OTLP over HTTP, to a real server on this machine."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from serve import tracing
from tests.serve import talking, tiny
from tests.serve.talking import add, chat
from tests.serve.tiny import TinyServer


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The resource spans that came to the collector that the environment names."""
    found: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            found.extend(sent.resource_spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield found
        server.shutdown()


def make(tmp_path: Path) -> TinyServer:
    base = tiny.make_base(tmp_path / "base")
    server = tiny.make_server(tmp_path / "registry", base)
    add(server, tmp_path, base, "support", 0)
    server.app.state.engine = talking.TalkingEngine(base.manifest.name)
    return server


def spans(collected: list[Any]) -> dict[str, Any]:
    """By name, of one request's trace."""
    found = {one.name: one for resource in collected for scope in resource.scope_spans for one in scope.spans}
    assert len(found) == sum(len(scope.spans) for one in collected for scope in one.scope_spans)
    return found


def attributes(span: Any) -> dict[str, Any]:
    kinds = {
        "string_value": str,
        "int_value": int,
        "array_value": lambda a: [v.string_value for v in a.values],
    }
    found = {}
    for attribute in span.attributes:
        kind = attribute.value.WhichOneof("value")
        found[attribute.key] = kinds[kind](getattr(attribute.value, kind))
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_a_span_with_its_stages(tmp_path: Path, collected: list[Any], stream: bool) -> None:
    server = make(tmp_path)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    before = time.time_ns()
    with TestClient(server.app, headers={**server.headers, "traceparent": parent}) as http:
        answer = chat(http, "words 3", stream=stream)
    after = time.time_ns()
    (resource,) = collected
    named = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert named["service.name"] == "enxerto"
    found = spans(collected)
    assert set(found) == {"chat", "queue", "load", "generate"}
    whole = found["chat"]
    assert whole.trace_id.hex() == parent.split("-")[1]
    assert whole.parent_span_id.hex() == parent.split("-")[2]
    assert attributes(whole) == {
        "enxerto.request.id": answer.headers["x-request-id"],
        "enxerto.adapter": "support",
        "enxerto.version": 1,
        "enxerto.digest": server.registry.resolve("support").digest,
        "gen_ai.request.model": "support",
        "gen_ai.usage.input_tokens": talking.PROMPT_TOKENS,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ["stop"],
        "http.response.status_code": 200,
    }
    assert before < whole.start_time_unix_nano < whole.end_time_unix_nano < after
    edge = whole.start_time_unix_nano
    for name in ("queue", "load", "generate"):
        one = found[name]
        assert one.parent_span_id == whole.span_id
        assert edge <= one.start_time_unix_nano <= one.end_time_unix_nano <= whole.end_time_unix_nano
        edge = one.start_time_unix_nano


def test_a_failed_chat_is_marked(tmp_path: Path, collected: list[Any]) -> None:
    server = make(tmp_path)
    with TestClient(server.app, headers=server.headers) as http:
        chat(http, "hello", "suport")
    (whole,) = spans(collected).values()
    assert attributes(whole)["error.type"] == "model_not_found"
    assert whole.status.code == whole.status.STATUS_CODE_ERROR


def test_a_collector_that_is_away_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    server = make(tmp_path)
    with TestClient(server.app, headers=server.headers) as http:
        assert chat(http, "words 3").status_code == 200
        began = time.monotonic()
    # OpenTelemetry gives up after 10 s of its own; without that it would go on trying for a minute.
    assert time.monotonic() - began < 50


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    script = "import sys; from serve import app, tracing; assert tracing.start() is None; print(*sys.modules)"
    environment = {"PATH": "/usr/bin:/bin"}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert not [name for name in ran.stdout.split() if name.startswith("opentelemetry.sdk")]


def test_where_it_is_not_installed_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert tracing.start() is None
    assert "install opentelemetry-sdk" in caplog.text
