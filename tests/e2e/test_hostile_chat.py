"""Hostile chat requests against the real engine: none is its fault, none is slow, and nobody else waits."""

import httpx
import pytest

from tests.conftest import Server
from tests.serve.hostile_chat.attack import problems

pytestmark = pytest.mark.e2e


def test_every_case_is_answered_soon_and_health_answers_meanwhile(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    body |= {"max_tokens": 8, "temperature": 0}

    def said() -> str:
        answer = httpx.post(
            f"{server.url}/v1/chat/completions", json=body, headers=server.headers, timeout=60
        )
        text: str = answer.json()["choices"][0]["message"]["content"]
        return text

    before = said()
    assert "\n".join(problems(server.url, server.headers)) == ""
    assert said() == before
