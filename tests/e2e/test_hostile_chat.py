"""Hostile chat requests against the real engine: none is its fault, none is slow, and nobody else waits."""

import httpx
import psutil
import pytest

from tests.conftest import Server
from tests.serve.hostile_chat.attack import problems
from tests.waiting import PATIENCE

pytestmark = pytest.mark.e2e


def test_every_case_is_answered_soon_and_health_answers_meanwhile(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    body |= {"max_tokens": 8, "temperature": 0}

    def said() -> str:
        answer = httpx.post(
            f"{server.url}/v1/chat/completions", json=body, headers=server.headers, timeout=PATIENCE
        )
        text: str = answer.json()["choices"][0]["message"]["content"]
        return text

    before = said()
    process = psutil.Process(server.process)

    def computed() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    assert "\n".join(problems(server.url, server.headers, processor=computed)) == ""
    assert said() == before
