"""Sends every case, and asks for the server's health all the while."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from tests.serve.hostile_chat.cases import CASES, Case
from tests.waiting import PATIENCE, spent

ANSWER_SECONDS = 2.0
HEALTH_SECONDS = 0.25
"""Until an answer is there; of a processor where that is less, since other programs take a share of it."""
HEALTH_EVERY = 0.02


Clock = Callable[[], float]
"""Seconds that the server's process has computed."""


@dataclass
class Health:
    """How long /health took, each time that it was asked while the block ran."""

    url: str
    processor: Clock
    seconds: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Health":
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=PATIENCE) as http:
            while not self._over.wait(HEALTH_EVERY):
                with spent(self.processor) as took:
                    assert http.get("/health").status_code == 200
                self.seconds.append(took.own)


def problems(
    url: str, headers: dict[str, str], refused_only: bool = False, processor: Clock = time.process_time
) -> list[str]:
    """What was answered otherwise than it may be, or too late; a line for each."""
    found = []
    with (
        Health(url, processor) as health,
        httpx.Client(base_url=url, headers=headers, timeout=PATIENCE) as http,
    ):
        for case in CASES:
            if case.code or not refused_only:
                asked = len(health.seconds)
                try:
                    with spent(processor) as took:
                        answer = http.post("/v1/chat/completions", content=case.content)
                except httpx.TransportError as error:
                    found.append(f"{case.name}: no answer ({error!r})")
                    continue
                time.sleep(HEALTH_EVERY)
                slowest = max(health.seconds[asked:], default=0.0)
                found += [f"{case.name}: {wrong}" for wrong in _wrong(case, answer, took.own, slowest)]
    return found


def _wrong(case: Case, answer: httpx.Response, took: float, slowest: float) -> list[str]:
    wrong = []
    if took > ANSWER_SECONDS:
        wrong.append(f"answered after {took:.2f} s")
    if slowest > HEALTH_SECONDS:
        wrong.append(f"health answered after {slowest:.2f} s meanwhile")
    if answer.status_code == 200:
        return wrong if case.code is None else [*wrong, "it was answered"]
    error = answer.json()["error"]
    if answer.status_code != case.status or (case.code or error["code"]) != error["code"]:
        wrong.append(f"{answer.status_code} {error}")
    if error.keys() != {"message", "type", "param", "code"} or len(error["message"]) > 1000:
        wrong.append(f"an error that is none of OpenAI's, or too long: {str(error)[:200]}")
    return wrong
