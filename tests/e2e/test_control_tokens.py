"""Finding 24 on the real server: what the engine is fed of a text that spells control tokens."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from finetune.render import open_renderer
from tests.adversarial.test_control_tokens import TURN, hostile, request
from tests.conftest import Server
from tests.waiting import PATIENCE

pytestmark = pytest.mark.e2e

PLACES = ("system", "question", "result", "answer", "tool", "argument")


def asked(server: Server, body: dict[str, Any], **more: Any) -> httpx.Response:
    sent = body | {"max_tokens": 1, "temperature": 0, "return_token_ids": True} | more
    url = f"{server.url}/v1/chat/completions"
    return httpx.post(url, json=sent, headers=server.headers, timeout=PATIENCE).raise_for_status()


@pytest.mark.parametrize("place", PLACES)
def test_the_engine_is_fed_what_is_learnt(server: Server, base: Path, place: str) -> None:
    body = hostile(place, TURN)
    expected = open_renderer(base).prompt(body["messages"], body["tools"])
    answer = asked(server, body).json()
    assert answer["prompt_token_ids"] == expected
    assert answer["usage"]["prompt_tokens"] == len(expected)
    harmless = asked(server, request(str)).json()["prompt_token_ids"]
    assert [one for one in expected if one < 17] == [one for one in harmless if one < 17]  # by their ids
    events = asked(server, body, stream=True).text.split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: {")]
    assert [one["prompt_token_ids"] for one in chunks if one.get("prompt_token_ids")] == [expected]
