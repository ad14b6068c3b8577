"""One chat request watched from arrival to end, then told once: to the metrics, the log and the trace."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from fastapi import Request
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from data.errors import UserError, shown
from serve.answer_reader import AnswerReader
from serve.errors import known
from serve.limits import Refused
from serve.metrics import Metrics
from serve.registry.records import Version
from serve.registry.usage import Usage
from serve.request_ids import REQUEST_LOG, current
from serve.tracing import Stage, Traces
from serve.usage import HiddenUsage, ask_for_usage

RECENT_LOADS = 64
"""Loads remembered, for the requests that waited for them."""

log = logging.getLogger(REQUEST_LOG)


class Watch:
    """Watches the chat requests and the loads of one server."""

    def __init__(self, metrics: Metrics, traces: Traces | None, usage: Usage) -> None:
        self.metrics = metrics
        self.usage = usage
        self.traces = traces
        self._loads: dict[str, Stage] = {}

    def load_phase(self, phase: str, version: Version, seconds: float, failed: bool) -> None:
        """A lifecycle's observer: one phase of a load has ended."""
        self.metrics.load_phase(version, phase, seconds, failed)
        now = time.perf_counter()
        load = self._loads.pop(version.reference, None)
        if load is None or phase == "verify":
            load = Stage("load", now - seconds, now)
        self._loads[version.reference] = load._replace(ended=now)
        if len(self._loads) > RECENT_LOADS:
            del self._loads[next(iter(self._loads))]

    def load_within(self, version: Version | None, began: float, ended: float) -> Stage | None:
        """As much of the version's last load as lies between these readings of the clock."""
        load = self._loads.get(version.reference) if version else None
        if load is None or load.ended <= began or load.began >= ended:
            return None
        return load._replace(began=max(load.began, began), ended=min(load.ended, ended))


class WatchedChat:
    """What has happened to one request; `close` tells it. Times are readings of `time.perf_counter`."""

    def __init__(self, watch: Watch, request: Request, key: str) -> None:
        """A request has arrived, with the key of this name."""
        self._watch = watch
        self._headers = request.headers
        self._key = key
        self._asked: str | None = None
        self._version: Version | None = None
        self._series = watch.metrics.none
        self._streams = False
        self._hidden: HiddenUsage | None = None
        self._reader = AnswerReader(tools=False)
        self._began = time.perf_counter()
        self._named: float | None = None
        self._lent: float | None = None
        self._first: float | None = None
        self._last: dict[int, float] = {}
        self._complete = False
        self._error: tuple[int, str] | None = None

    def asks(self, body: dict[str, Any]) -> None:
        """This is what it asks. A stream is made to say its usage, which `events` takes out again."""
        asked = body.get("adapter") or body.get("model")
        self._asked = shown(asked) if isinstance(asked, str) else None
        self._streams = bool(body.get("stream"))
        self._reader = AnswerReader(tools=bool(body.get("tools")) and body.get("tool_choice") != "none")
        self._hidden = HiddenUsage() if ask_for_usage(body) else None

    def serves(self, version: Version | None) -> None:
        """This shall answer it; None is the base."""
        self._named = time.perf_counter()
        self._version = version
        self._series = self._watch.metrics.of(version)
        self._series.begin()

    def lent(self) -> None:
        """What shall answer it is in the engine, and stays."""
        self._lent = time.perf_counter()
        self._series.queue.observe(self._lent - (self._named or self._began))

    def failed(self, error: BaseException) -> None:
        """It ended in this."""
        self._error = _status_and_code(error)

    def answered(self, answer: dict[str, Any]) -> None:
        """It got this whole answer."""
        self._reader.whole(answer)
        self._complete = True

    def used(self) -> int | None:
        """Tokens that it cost; None where nobody knows: its client left, or its time was up, while the engine
        was at it."""
        status = self._error[0] if self._error else None
        if self._lent and not self._reader.told and (status in (499, 504) or not (self._complete or status)):
            return None
        return self._reader.prompt_tokens + self._reader.completion_tokens

    async def events(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """The events of its answer as the client gets them. Closing this closes them."""
        try:
            async with aclosing(cast(AsyncGenerator[str, None], events)):
                async for event in events:
                    chunk = self._look_at(event)
                    for passed in self._hidden.pass_on(event, chunk) if self._hidden else (event,):
                        yield passed
            self._complete = True
        except Exception as error:
            self.failed(error)
            raise

    def _look_at(self, event: str) -> dict[str, Any] | None:
        """Take note of an event; the chunk in it."""
        now = time.perf_counter()
        _, _, data = event.partition("data: ")
        if not data.startswith("{"):
            self._complete |= data.startswith("[DONE]")
            return None
        chunk: dict[str, Any] = from_json(data)  # in half of json's time, for every token
        if error := chunk.get("error"):
            # The engine's own code may be a number, its HTTP status.
            code = error.get("code")
            self._error = (200, code if isinstance(code, str) else "engine_error")
            return chunk
        for index in self._reader.chunk(chunk):
            if self._first is None:
                self._first = now
                self._series.first_token.observe(now - self._began)
            last = self._last.get(index)
            if last is not None:
                self._series.gaps.observe(now - last)
            self._last[index] = now
        return chunk

    def close(self) -> None:
        """It is over; a stream that did not come to its end was left by its client."""
        ended = time.perf_counter()
        status, code = self._error or ((200, None) if self._complete else _GONE)
        series, reader = self._series, self._reader
        broken = reader.broken_calls()
        series.requests.inc()
        series.duration.observe(ended - self._began)
        series.prompt_tokens.inc(reader.prompt_tokens)
        series.completion_tokens.inc(reader.completion_tokens)
        adapter = self._version.name if self._version else None
        self._watch.usage.add(self._key, adapter, reader.prompt_tokens, reader.completion_tokens)
        self._watch.metrics.key_used(self._key, reader.prompt_tokens, reader.completion_tokens)
        for reason in reader.finishes:
            series.finished(reason)
        for kind in broken:
            series.broken_call(kind)
        if code:
            series.error(code)
        if self._named:
            series.end()
        stages = self._stages(ended)
        version = self._version
        # No text of the chat, and no secret.
        told = {
            "id": current.get(),
            "key": self._key,
            "asked": self._asked,
            "adapter": version.name if version else None,
            "version": version.number if version else None,
            "digest": version.digest if version else None,
            "stream": self._streams,
            "status": status,
            "code": code,
            "prompt_tokens": reader.prompt_tokens,
            "completion_tokens": reader.completion_tokens,
            "ttft": round(self._first - self._began, 6) if self._first else None,
            "seconds": round(ended - self._began, 6),
            "stages": {stage.name: round(stage.ended - stage.began, 6) for stage in stages},
            "finish": reader.finishes,
            "tool_call_failures": broken,
        }
        log.info(json.dumps(told))
        if self._watch.traces:
            whole = Stage("chat", self._began, ended)
            self._watch.traces.tell(whole, stages, told, self._headers)

    def _stages(self, ended: float) -> list[Stage]:
        """How its time went, once it was known what it means: queue, load, generate."""
        if self._named is None:
            return []
        lent = self._lent or ended
        load = self._watch.load_within(self._version, self._named, lent)
        stages = [Stage("queue", self._named, load.began if load else lent)]
        if load:
            stages.append(load)
        if self._lent:
            stages.append(Stage("generate", self._lent, ended))
        return stages


_GONE = (499, "client_closed")


def _status_and_code(error: BaseException) -> tuple[int, str]:
    if isinstance(error, Refused):
        error = error.error
    if isinstance(error, UserError):
        told = known(error)
        return told.status, told.code
    if isinstance(error, asyncio.CancelledError | ClientDisconnect):
        return _GONE
    return 500, "internal_error"
