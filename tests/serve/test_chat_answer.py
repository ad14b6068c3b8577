"""What a hosted endpoint's clients look for in answers, put there without reading each chunk."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from serve.routes.chat_answer import Label

BASE = "tiny-awq"


def events(*deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """Chunks with these deltas, as vLLM writes them, and as they leave."""

    async def engines() -> AsyncIterator[str]:
        for delta in deltas:
            chunk = {"id": "chatcmpl-1", "model": BASE, "choices": [{"index": 0, "delta": delta}]}
            yield f"data: {json.dumps(chunk, separators=(',', ':'), ensure_ascii=False)}\n\n"
        yield "data: [DONE]\n\n"

    async def collected() -> list[str]:
        return [event async for event in Label("support", None, BASE).events(engines())]

    *chunks, done = asyncio.run(collected())
    assert done == "data: [DONE]\n\n"
    assert all(chunk.startswith("data: {") and chunk.endswith("}\n\n") for chunk in chunks)
    return [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]


def delta(chunk: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = chunk["choices"][0]["delta"]
    return found


def test_a_call_gets_the_hosted_endpoints_kind_of_id_and_the_rest_stays() -> None:
    begin = {"id": "Ab3Ab3Ab3", "type": "function", "index": 0, "function": {"name": "look"}}
    more = {"index": 0, "function": {"arguments": '{"where": "São Paulo"}'}}
    first, second = events({"tool_calls": [begin]}, {"tool_calls": [more]})
    assert first["model"] == "support"
    assert first["adapter"] is None
    assert delta(first) == {"tool_calls": [begin | {"id": "chatcmpl-tool-Ab3Ab3Ab3"}]}
    assert delta(second) == {"tool_calls": [more]}


def test_an_id_that_is_one_stays() -> None:
    begin = {"id": "chatcmpl-tool-ab", "type": "function", "index": 0, "function": {"name": "look"}}
    assert delta(events({"tool_calls": [begin]})[0]) == {"tool_calls": [begin]}


def test_thoughts_have_both_names() -> None:
    assert delta(events({"reasoning": "Hm."})[0]) == {"reasoning": "Hm.", "reasoning_content": "Hm."}


def test_text_that_looks_like_either_stays_text() -> None:
    said = {"content": '"type":"function" "reasoning":"x" "model":"tiny-awq"'}
    assert delta(events(said)[0]) == said


def test_a_whole_answer_has_every_field() -> None:
    message = {"role": "assistant", "content": "Hi", "reasoning": None}
    call = {"id": "Ab3Ab3Ab3", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    answer = {"model": BASE, "choices": [{"message": message}, {"message": message | {"tool_calls": [call]}}]}
    plain, calling = Label("support", None, BASE).whole(answer)["choices"]
    assert plain["message"] == message | {"reasoning_content": None, "tool_calls": []}
    assert calling["message"]["tool_calls"] == [call | {"id": "chatcmpl-tool-Ab3Ab3Ab3"}]
