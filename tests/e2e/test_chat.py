"""Chat Completions on the real engine, asked by OpenAI's own client."""

import json
import time
from pathlib import Path

import httpx
import jsonschema
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from serve.settings import BASE_ALIASES
from tests.conftest import Server
from tests.e2e import strong
from tests.waiting import PATIENCE

pytestmark = pytest.mark.e2e

RELEASE_SECONDS = 40
"""For what an idle machine does in two; no more, since the two answers themselves end in a minute."""

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "maxLength": 20},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]


@pytest.fixture(scope="module")
def client(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=120, max_retries=0)


@pytest.fixture(scope="module")
def adapter(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    strong.push(server, tmp_path_factory.mktemp("adapters"), "support", seed=11)
    return "support"


def test_the_base_answers(client: OpenAI, server: Server) -> None:
    answer = client.chat.completions.create(
        model=server.base.name, messages=QUESTION, max_tokens=20, temperature=0, stop=["Paris"]
    )
    assert (answer.choices[0].message.content or "").startswith("The capital of France is")
    assert answer.model == server.base.name
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.completion_tokens > 3
    assert answer.model_dump()["adapter"] is None


def test_a_hosted_endpoints_name_means_the_base(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=BASE_ALIASES[0], messages=QUESTION, max_tokens=20, temperature=0
    )
    assert answer.model == BASE_ALIASES[0]
    assert "Paris" in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("which", ["base", "adapter"])
def test_a_stream_says_what_a_whole_answer_says(
    client: OpenAI, server: Server, adapter: str, which: str
) -> None:
    model = server.base.name if which == "base" else adapter
    whole = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=16, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=QUESTION,
            max_tokens=16,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert {chunk.model for chunk in chunks} == {model}
    assert {json.dumps(chunk.model_dump()["adapter"]) for chunk in chunks} == {
        json.dumps(whole.model_dump()["adapter"])
    }
    assert chunks[-1].usage and whole.usage
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_an_adapter_answers_under_every_name_and_says_so(
    client: OpenAI, server: Server, adapter: str
) -> None:
    base = client.chat.completions.create(
        model=server.base.name, messages=QUESTION, max_tokens=16, temperature=0
    )
    known = httpx.get(f"{server.url}/v1/adapters/{adapter}", headers=server.headers, timeout=PATIENCE).json()[
        "versions"
    ][0]
    named: list[tuple[str, dict[str, str]]] = [
        (adapter, {}),
        (f"{adapter}:default", {}),
        (f"{adapter}@1", {}),
        (f"{adapter}@{known['digest']}", {}),
        (server.base.name, {"adapter": adapter}),
    ]
    for model, extra in named:
        raw = client.chat.completions.with_raw_response.create(
            model=model, messages=QUESTION, max_tokens=16, temperature=0, extra_body=extra
        )
        answer = raw.parse()
        assert answer.choices[0].message.content != base.choices[0].message.content
        assert answer.model == model
        assert raw.headers["x-adapter"] == adapter
        assert raw.headers["x-adapter-version"] == "1"
        assert raw.headers["x-adapter-digest"] == known["digest"]
        assert answer.model_dump()["adapter"] == {"name": adapter, "version": 1, "digest": known["digest"]}


def test_tools(client: OpenAI, server: Server) -> None:
    answer = client.chat.completions.create(
        model=server.base.name,
        messages=[{"role": "user", "content": "What is the weather in Lisbon?"}],
        tools=TOOLS,
        tool_choice="required",
        max_tokens=100,
        temperature=0,
    )
    calls = answer.choices[0].message.tool_calls
    assert calls and calls[0].type == "function"
    assert calls[0].function.name == "get_weather"
    # The base left to itself copies the schema into the arguments, until its tokens end.
    jsonschema.validate(json.loads(calls[0].function.arguments), TOOLS[0]["function"]["parameters"])
    followed_up = client.chat.completions.create(
        model=server.base.name,
        messages=[
            {"role": "user", "content": "What is the weather in Lisbon?"},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city": "Lisbon"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "Sunny, 24 degrees."},
        ],
        tools=TOOLS,
        max_tokens=30,
        temperature=0,
    )
    assert followed_up.choices[0].message.content


def test_prompt_logprobs_for_perplexity(client: OpenAI, server: Server) -> None:
    answer = client.chat.completions.create(
        model=server.base.name,
        messages=[*QUESTION, {"role": "assistant", "content": "Paris."}],
        max_tokens=1,
        extra_body={
            "prompt_logprobs": 1,
            "add_generation_prompt": False,
            "continue_final_message": True,
            "return_token_ids": True,
        },
    )
    body = answer.model_dump()
    assert len(body["prompt_logprobs"]) == len(body["prompt_token_ids"]) > 20
    last = body["prompt_logprobs"][-1][str(body["prompt_token_ids"][-1])]
    assert last["logprob"] <= 0


def test_an_unknown_adapter_is_a_404_with_the_nearest_name(client: OpenAI, adapter: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="suport", messages=QUESTION)
    error = caught.value.body
    assert isinstance(error, dict)
    assert error["code"] == "model_not_found"
    assert adapter in error["message"]
    assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"chat_template": "{{ 1 }}"}, "chat_template"),
        ({"n": 17}, "n"),
        ({"temperature": "warm"}, "temperature"),
        ({"messages": "hello"}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"adapter": 3}, "adapter"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "dict"}}}]},
            "tools[0].function.parameters",
        ),
        ({"model": 3}, "model"),
    ],
)
def test_bad_requests_name_their_field(server: Server, change: dict[str, object], param: str) -> None:
    body = {"model": server.base.name, "messages": QUESTION, "max_tokens": 4} | change
    answer = httpx.post(
        f"{server.url}/v1/chat/completions", json=body, headers=server.headers, timeout=PATIENCE
    )
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert error["param"] == param
    assert isinstance(error["code"], str)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b"\xff\xfe{}", 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b" " * (4 * 2**20 + 1), 413, "body_too_large"),
    ],
    ids=["cut off", "a list", "not UTF-8", "deep", "large"],
)
def test_what_is_no_request_is_refused(server: Server, content: bytes, status: int, code: str) -> None:
    answer = httpx.post(
        f"{server.url}/v1/chat/completions", content=content, headers=server.headers, timeout=PATIENCE
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_only_the_listed_routes_exist(server: Server) -> None:
    for path in ("/tokenize", "/metrics", "/v1/load_lora_adapter", "/docs", "/v1/completions"):
        assert httpx.post(
            f"{server.url}{path}", json={}, headers=server.headers, timeout=PATIENCE
        ).status_code in (404, 405), path


def test_models_lists_base_and_adapter(client: OpenAI, server: Server, adapter: str) -> None:
    models = {model.id: model.model_dump() for model in client.models.list()}
    assert server.base.name in models
    assert models[adapter]["parent"] == server.base.name
    assert models[adapter]["version"] == 1
    assert models[adapter]["state"] in ("ready", "stored")


SYSTEM = " ".join(f"Rule {number}: answer in short words." for number in range(60))
"""Of several blocks of the engine's cache."""


@pytest.mark.parametrize("which", ["base", "adapter"])
def test_cached_tokens_tell_a_key_of_its_own_prompts_and_its_groups_alone(
    server: Server, adapter: str, which: str
) -> None:
    """Finding 9, on vLLM's own cache of prefixes."""
    model = server.base.name if which == "base" else adapter
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=PATIENCE) as http:

        def made(name: str, group: str | None = None) -> str:
            key = {"name": f"{name}-{which}", "scopes": ["chat"], "group": group}
            secret: str = http.post("/v1/keys", json=key).raise_for_status().json()["secret"]
            return secret

        def cached(secret: str) -> int:
            body = {"model": model, "max_tokens": 1}
            body["messages"] = [{"role": "system", "content": f"{SYSTEM} ({which})"}, *QUESTION]
            headers = {"authorization": f"Bearer {secret}"}
            usage = http.post("/v1/chat/completions", json=body, headers=headers).json()["usage"]
            assert usage["prompt_tokens"] > 400
            return int((usage["prompt_tokens_details"] or {"cached_tokens": 0})["cached_tokens"])

        one, other = made("one"), made("other")
        web, app = made("web", "shop"), made("app", "shop")
        asked = [one, one, other, other, web, app, server.key]
        assert [cached(secret) > 0 for secret in asked] == [False, True, False, True, False, True, False]


@pytest.mark.parametrize("stream", [False, True])
def test_hanging_up_stops_the_generation_and_gives_the_lease_back(
    server: Server, tmp_path: Path, stream: bool
) -> None:
    """Two answers of 1900 tokens, minutes of work here, hold both slots; a third adapter needs one."""
    names = [f"{name}-{'stream' if stream else 'whole'}" for name in ("left", "right", "third")]
    for seed, name in enumerate(names, 21):
        strong.push(server, tmp_path, name, seed)
    url = f"{server.url}/v1/chat/completions"
    body = {"messages": QUESTION, "max_tokens": 1900, "logit_bias": {"2": -100}, "stream": stream}
    for name in names[:2]:
        if stream:
            with httpx.stream(
                "POST", url, json=body | {"model": name}, headers=server.headers, timeout=60
            ) as events:
                assert "chat.completion.chunk" in next(events.iter_lines())
        else:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url, json=body | {"model": name}, headers=server.headers, timeout=5)
    began = time.monotonic()
    answer = httpx.post(
        url,
        json={"model": names[2], "messages": QUESTION, "max_tokens": 2},
        headers=server.headers,
        timeout=RELEASE_SECONDS,
    )
    assert answer.status_code == 200, f"after {time.monotonic() - began:.0f} s"
