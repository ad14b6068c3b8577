"""Never another adapter's answer: requests in one batch against the same requests one by one.

On a CPU, vLLM 0.32 gives the base's rows of a mixed batch the last slot's adapter; the cure is in
`serve/engine/cpu_lora.py`.
"""

import asyncio

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionTokenLogprob

from tests.conftest import Server
from tests.e2e import strong

pytestmark = pytest.mark.e2e

TOKENS = 12
TIE = 0.25
"""Nats. The base's logprobs are bit for bit the same in every batch; an adapter's differ by up to 0.06,
because oneDNN sums in another order from 64 rows on, and 30 layers magnify the last bit of a bfloat16."""

QUESTIONS = [
    "What is the capital of France?",
    "Name three colours.",
    "Write one sentence about the sea.",
    "How many days has a week?",
    "What do bees make?",
    "Say good morning in Portuguese.",
]


@pytest.fixture(scope="module")
def models(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The base twice for each adapter; both slots are full, since an empty last one would hide the fault."""
    folder = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("first", "second"), 1):
        strong.push(server, folder, name, seed)
    return [server.base.name, "first", server.base.name, "second"]


def test_mixed_answers_are_the_solo_answers(server: Server, models: list[str]) -> None:
    requests = [(model, question) for question in QUESTIONS for model in models]

    async def scene() -> None:
        client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=300)
        alone = {request: await _answer(client, *request) for request in set(requests)}
        for question in QUESTIONS:
            texts = {_text(alone[model, question]) for model in set(models)}
            assert len(texts) == len(set(models)), f"the adapters are too weak to tell apart: {texts}"
        for _ in range(2):
            mixed = await asyncio.gather(*(_answer(client, *request) for request in requests))
            for request, answer in zip(requests, mixed, strict=True):
                _assert_same(request, alone[request], answer)

    asyncio.run(scene())


async def _answer(client: AsyncOpenAI, model: str, question: str) -> list[ChatCompletionTokenLogprob]:
    """The greedy answer, token by token."""
    answer = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=TOKENS,
        temperature=0,
        logprobs=True,
        top_logprobs=2,
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs and logprobs.content
    return logprobs.content


def _assert_same(
    request: tuple[str, str], alone: list[ChatCompletionTokenLogprob], mixed: list[ChatCompletionTokenLogprob]
) -> None:
    """Token for token the same choice with the same logprob, until rounding tosses the coin of a tie."""
    for one, other in zip(alone, mixed, strict=False):
        # Several, where two tokens are pieces of a character and read the same.
        logprobs = [top.logprob for top in one.top_logprobs if top.token == other.token]
        said = f"{request}: {_text(alone)!r} alone, {_text(mixed)!r} in the batch"
        assert any(abs(logprob - other.logprob) < TIE for logprob in logprobs), said
        if one.token != other.token:
            assert abs(one.logprob - other.logprob) < TIE, said
            return
    assert len(alone) == len(mixed), request


def _text(tokens: list[ChatCompletionTokenLogprob]) -> str:
    return "".join(token.token for token in tokens)
