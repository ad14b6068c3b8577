"""Clients that people have, unchanged but for the address: OpenAI's for Python and npm, and LangChain."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any, Literal

import openai
import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from data.home import home
from tests.conftest import Server
from tests.waiting import HUNG

pytestmark = pytest.mark.e2e

NPM_CLIENT = "openai@7.59.0"
SCRIPT = Path(__file__).parent / "clients" / "openai.cjs"
QUESTION = "What is the weather in Paris?"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]


class Weather(BaseModel):
    """The weather in a city."""

    model_config = ConfigDict(extra="forbid")
    city: Literal["Paris", "Rome"]
    degrees: Annotated[int, Field(ge=0, le=40)]


class GetWeather(BaseModel):
    """Look up the weather in a city."""

    model_config = ConfigDict(extra="forbid")
    city: Literal["Paris", "Rome"]


@pytest.fixture(scope="module")
def client(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=120, max_retries=0)


@pytest.fixture(scope="module")
def said(client: OpenAI, server: Server) -> str:
    """The base's greedy answer, that every client has to get."""
    answer = client.chat.completions.create(
        model=server.base.name, messages=MESSAGES, max_tokens=16, temperature=0
    )
    text = answer.choices[0].message.content
    assert text
    return text


def test_python_streams_a_call(client: OpenAI, server: Server) -> None:
    with client.chat.completions.stream(
        model=server.base.name,
        messages=MESSAGES,
        tools=[openai.pydantic_function_tool(GetWeather)],
        tool_choice="required",
        parallel_tool_calls=False,
        max_completion_tokens=60,
        temperature=0,
    ) as stream:
        kinds = {event.type for event in stream}
        (choice,) = stream.get_final_completion().choices
    assert "tool_calls.function.arguments.delta" in kinds
    assert choice.message.tool_calls and choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.id.startswith("chatcmpl-tool-")
    assert isinstance(call.function.parsed_arguments, GetWeather)


def test_python_calls_a_named_function_or_none(client: OpenAI, server: Server) -> None:
    tools = [openai.pydantic_function_tool(GetWeather)]
    named = client.chat.completions.create(
        model=server.base.name,
        messages=MESSAGES,
        tools=tools,
        tool_choice={"type": "function", "function": {"name": "GetWeather"}},
        max_tokens=60,
        temperature=0,
    )
    (call,) = named.choices[0].message.tool_calls or []
    assert call.type == "function" and call.function.name == "GetWeather"
    none = client.chat.completions.create(
        model=server.base.name, messages=MESSAGES, tools=tools, tool_choice="none", max_tokens=8
    )
    assert not none.choices[0].message.tool_calls


def test_python_gets_a_structured_output(client: OpenAI, server: Server) -> None:
    answer = client.chat.completions.parse(
        model=server.base.name,
        messages=MESSAGES,
        response_format=Weather,
        max_completion_tokens=60,
        temperature=0,
        seed=1,
    )
    assert isinstance(answer.choices[0].message.parsed, Weather)
    loose = client.chat.completions.create(
        model=server.base.name,
        messages=[{"role": "user", "content": "Answer with a JSON object."}],
        response_format={"type": "json_object"},
        stop=["\n\n\n"],
        max_tokens=20,
        temperature=0,
    )
    assert (loose.choices[0].message.content or "").lstrip().startswith("{")


def test_python_gets_logprobs_and_choices(client: OpenAI, server: Server, said: str) -> None:
    answer = client.chat.completions.create(
        model=server.base.name,
        messages=MESSAGES,
        max_tokens=16,
        temperature=0,
        n=2,
        logprobs=True,
        top_logprobs=2,
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert {choice.message.content for choice in answer.choices} == {said}
    assert answer.choices[0].logprobs and answer.choices[0].logprobs.content
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2


def test_python_async(server: Server, said: str) -> None:
    async def scene() -> tuple[str | None, str, int]:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
            whole = await client.chat.completions.create(
                model=server.base.name, messages=MESSAGES, max_tokens=16, temperature=0
            )
            stream = await client.chat.completions.create(
                model=server.base.name,
                messages=MESSAGES,
                max_tokens=16,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            assert chunks[-1].usage
            return whole.choices[0].message.content, text, chunks[-1].usage.completion_tokens

    assert asyncio.run(scene()) == (said, said, 16)


def test_langchain(server: Server, said: str) -> None:
    @tool
    def get_weather(city: Literal["Paris", "Rome"]) -> str:
        """Look up the weather in a city."""
        return f"Sunny in {city}."

    model = ChatOpenAI(
        model=server.base.name,
        base_url=f"{server.url}/v1",
        api_key=SecretStr(server.key),
        temperature=0,
        max_retries=0,
        max_completion_tokens=16,
    )
    answer = model.invoke(QUESTION)
    assert answer.content == said
    assert isinstance(answer, AIMessage) and answer.usage_metadata
    assert "".join(str(chunk.content) for chunk in model.stream(QUESTION)) == said
    assert asyncio.run(model.ainvoke(QUESTION)).content == said

    longer = model.model_copy(update={"max_tokens": 60})
    calling = longer.bind_tools([get_weather], tool_choice="required")
    asked = calling.invoke(QUESTION)
    assert isinstance(asked, AIMessage)
    (call,) = asked.tool_calls
    assert call["name"] == "get_weather" and call["args"]["city"] in ("Paris", "Rome")
    followed_up = model.invoke([("user", QUESTION), asked, get_weather.invoke(call)])
    assert followed_up.content

    shaped = longer.with_structured_output(Weather, method="json_schema").invoke(QUESTION)
    assert isinstance(shaped, Weather)


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """The npm client, installed once beside this machine's bases."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("there is no node")
    folder = home() / "node"
    if not (folder / "node_modules" / "openai").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), NPM_CLIENT]
        subprocess.run(command, check=True, capture_output=True, timeout=HUNG)
    return folder / "node_modules"


def test_npm(server: Server, node_modules: Path, said: str) -> None:
    form = {"name": "weather", "strict": True, "schema": Weather.model_json_schema()}
    given: dict[str, Any] = {
        "question": QUESTION,
        "tools": [openai.pydantic_function_tool(GetWeather)],
        "zodless": {"type": "json_schema", "json_schema": form},
    }
    environment = os.environ | {
        "NODE_PATH": str(node_modules),
        "BASE_URL": f"{server.url}/v1",
        "API_KEY": server.key,
        "MODEL": server.base.name,
    }
    command = ["node", str(SCRIPT), json.dumps(given)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HUNG, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert server.base.name in found["models"]
    assert found["whole"] == found["streamed"] == said
    assert found["usage"]["completion_tokens"] == 16
    assert found["call"]["id"].startswith("chatcmpl-tool-")
    GetWeather.model_validate_json(found["call"]["function"]["arguments"])
    Weather.model_validate_json(found["shaped"])
    assert found["error"] == {"type": "NotFoundError", "status": 404, "code": "model_not_found"}
