"""The production path, small: Mistral's architecture, tokenizer and chat format, AutoAWQ's own quantisation,
a recipe's training, and vLLM's mistral mode with its parser, up to `tool_calls` in OpenAI's client.
"""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openai import OpenAI

from data.chat import Conversation
from data.ids import fits
from finetune.render import Sample, open_renderer
from serve.routes.chat_answer import CALL_PREFIX
from tests.conftest import Server, serving
from tests.e2e import tiny_mistral
from tests.serve.test_played_back import NOISE, TALK, encoded
from tests.waiting import HUNG

pytestmark = pytest.mark.e2e

ADAPTER = "caller"
RECIPE: dict[str, Any] = {
    "name": ADAPTER,
    "base": tiny_mistral.NAME,
    "data": {"max_length": 512},
    "lora": {"r": 32, "alpha": 64},
    "train": {"steps": 90, "batch": 5, "learning_rate": 4e-3},
    "track": {"wandb": "off", "tensorboard": "off", "generations": 0},
}
"""Five answers by heart, all in each step."""


def tool(name: str, description: str, **types: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {field: {"type": kind} for field, kind in types.items()},
        "required": list(types),
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
    }


TOOLS = [
    tool("get_weather", "The weather in a city.", city="string", days="integer"),
    tool("find_train", "Trains between two cities.", origin="string", destination="string"),
]
WEATHER = call("abcdefgh1", "get_weather", city="São Paulo", days=3)
TALKS: dict[str, list[dict[str, Any]]] = {
    "one call": [
        {"role": "user", "content": "Will it rain in São Paulo these 3 days?"},
        {"role": "assistant", "tool_calls": [WEATHER]},
    ],
    "the other tool": [
        {"role": "user", "content": "A train from Porto to Madrid, please."},
        {
            "role": "assistant",
            "tool_calls": [call("abcdefgh2", "find_train", origin="Porto", destination="Madrid")],
        },
    ],
    "two calls": [
        {"role": "user", "content": "What is the weather in Oslo and in Rome for 2 days?"},
        {
            "role": "assistant",
            "tool_calls": [
                call("abcdefgh3", "get_weather", city="Oslo", days=2),
                call("abcdefgh4", "get_weather", city="Rome", days=2),
            ],
        },
    ],
    "a tool's result": [
        {"role": "user", "content": "Will it rain in São Paulo these 3 days?"},
        {"role": "assistant", "tool_calls": [WEATHER]},
        {"role": "tool", "tool_call_id": "abcdefgh1", "content": '{"sky": "clear"}'},
        {"role": "assistant", "content": "No, it stays clear."},
    ],
}
CALLING = [name for name, talk in TALKS.items() if "tool_calls" in talk[-1]]


@pytest.fixture(scope="module")
def home(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("production")
    tiny_mistral.make_base(home / "bases" / tiny_mistral.NAME, tokenizer=base)
    return home


@pytest.fixture(scope="module")
def adapter(home: Path) -> Path:
    """Trained by the command that `make train` runs."""
    talks, recipe, output = home / "talks.jsonl", home / "recipe.yaml", home / ADAPTER
    talks.write_text(
        "".join(json.dumps({"messages": talk, "tools": TOOLS}) + "\n" for talk in TALKS.values())
    )
    data = RECIPE["data"] | {"train": [str(talks)]}
    recipe.write_text(yaml.safe_dump(RECIPE | {"data": data, "output": str(output)}))
    command = [sys.executable, "-m", "finetune", "train", str(recipe)]
    environment = os.environ | {"ENXERTO_HOME": str(home)}
    trained = subprocess.run(
        command, capture_output=True, text=True, timeout=HUNG, check=False, env=environment
    )
    assert trained.returncode == 0, trained.stderr
    return output


@pytest.fixture(scope="module")
def mistral(home: Path, adapter: Path) -> Iterator[Server]:
    with serving(
        home, home / "bases" / tiny_mistral.NAME, "--max-loras", "2", "--max-model-len", "1024"
    ) as server:
        push = [sys.executable, "-m", "serve", "push", str(adapter), "--name", ADAPTER, "--alias", "default"]
        sent = subprocess.run(
            [*push, "--url", server.url], capture_output=True, text=True, timeout=HUNG, check=False
        )
        assert sent.returncode == 0, sent.stderr
        yield server


@pytest.fixture(scope="module")
def client(mistral: Server) -> OpenAI:
    return OpenAI(base_url=f"{mistral.url}/v1", api_key=mistral.key, timeout=120, max_retries=0)


def ask(client: OpenAI, talk: list[dict[str, Any]], model: str = ADAPTER, **more: Any) -> Any:
    """The answer to all but the talk's last message."""
    return client.chat.completions.create(
        **{"model": model, "messages": talk[:-1], "tools": TOOLS, "max_tokens": 80, "temperature": 0} | more
    )


def calls_of(message: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (one["function"]["name"], json.loads(one["function"]["arguments"])) for one in message["tool_calls"]
    ]


@pytest.mark.parametrize("name", CALLING)
def test_tool_calls_come_out_whole(client: OpenAI, name: str) -> None:
    [choice] = ask(client, TALKS[name]).choices
    assert calls_of(choice.message.model_dump()) == calls_of(TALKS[name][-1])
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    ids = [one.id for one in choice.message.tool_calls]
    assert all(map(_hosted, ids)), ids
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", CALLING)
def test_tool_calls_come_out_as_a_stream(client: OpenAI, name: str) -> None:
    calls: dict[int, dict[str, str]] = {}
    finished = []
    for chunk in ask(client, TALKS[name], stream=True):
        [choice] = chunk.choices
        assert not choice.delta.content
        finished += [choice.finish_reason] if choice.finish_reason else []
        for part in choice.delta.tool_calls or []:
            found = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
            found["id"] += part.id or ""
            found["name"] += part.function.name or ""
            found["arguments"] += part.function.arguments or ""
    made = [(one["name"], json.loads(one["arguments"])) for _, one in sorted(calls.items())]
    assert made == calls_of(TALKS[name][-1])
    assert finished == ["tool_calls"]
    assert all(_hosted(one["id"]) for one in calls.values()), calls


def test_a_text_follows_a_tools_result(client: OpenAI) -> None:
    [choice] = ask(client, TALKS["a tool's result"]).choices
    assert choice.message.content == "No, it stays clear."
    assert not choice.message.tool_calls
    assert choice.finish_reason == "stop"


def test_the_base_alone_calls_nothing(client: OpenAI) -> None:
    [choice] = ask(client, TALKS["one call"], model=tiny_mistral.NAME, max_tokens=20).choices
    assert not choice.message.tool_calls


@pytest.mark.parametrize("name", TALKS)
def test_the_engine_saw_and_said_the_trainers_tokens(client: OpenAI, mistral: Server, name: str) -> None:
    """The prompt is the row's part that is not learnt, the answer the part that is, its stop token too."""
    answer = ask(client, TALKS[name], extra_body={"return_token_ids": True}).model_dump()
    learnt = _sample(mistral.folder, TALKS[name])
    prompt = [token for token, is_learnt in _tokens(learnt) if not is_learnt]
    assert answer["prompt_token_ids"] == prompt
    assert answer["usage"]["prompt_tokens"] == len(prompt)
    assert answer["choices"][0]["token_ids"] == [token for token, is_learnt in _tokens(learnt) if is_learnt]


def prompt_of(mistral: Server, talk: list[dict[str, Any]], **fields: Any) -> list[int]:
    """The token ids of a request's prompt, as the engine saw them."""
    body = {"messages": talk, "max_tokens": 1, "return_token_ids": True, **fields}
    url = f"{mistral.url}/v1/chat/completions"
    answer = httpx.post(url, json=body, headers=mistral.headers, timeout=120)
    assert answer.status_code == 200, answer.text
    ids: list[int] = answer.json()["prompt_token_ids"]
    return ids


@pytest.mark.parametrize("noise", NOISE)
def test_what_comes_back_bears_no_trace(mistral: Server, noise: str) -> None:
    talk = copy.deepcopy(TALK)
    NOISE[noise](talk)
    assert prompt_of(mistral, talk, tools=TOOLS) == prompt_of(mistral, TALK, tools=TOOLS)


def test_a_prompt_is_mistral_commons_own(mistral: Server) -> None:
    assert prompt_of(mistral, TALK) == encoded("V7 Tekken", copy.deepcopy(TALK))
    begun = {"role": "assistant", "content": "It will"}
    for prefix in (True, False):
        goes_on = encoded("V7 Tekken", [*copy.deepcopy(TALK), {**begun, "prefix": True}], goes_on=True)
        assert prompt_of(mistral, [*TALK, {**begun, "prefix": prefix}]) == goes_on


def test_bounds_of_draft_4_are_taken(mistral: Server) -> None:
    old = {
        "type": "object",
        "properties": {"ttl": {"type": "integer", "exclusiveMinimum": True, "minimum": 0}},
    }
    function = {"name": "set", "description": "Sets it.", "parameters": old}
    new = {"type": "object", "properties": {"ttl": {"type": "integer", "exclusiveMinimum": 0}}}
    one = [{"type": "function", "function": function}]
    other = [{"type": "function", "function": {**function, "parameters": new}}]
    assert prompt_of(mistral, TALK, tools=one) == prompt_of(mistral, TALK, tools=other)


def _hosted(identity: str) -> bool:
    """The hosted endpoint's prefix before an id that Mistral's format can carry back."""
    return identity.startswith(CALL_PREFIX) and fits(identity.removeprefix(CALL_PREFIX))


def _sample(folder: Path, talk: list[dict[str, Any]]) -> Sample:
    conversation = Conversation.model_validate({"messages": talk, "tools": TOOLS})
    [sample] = open_renderer(folder).samples(conversation, learn="last")
    return sample


def _tokens(sample: Sample) -> Iterator[tuple[int, int]]:
    return zip(sample.input_ids, sample.completion_mask, strict=True)
