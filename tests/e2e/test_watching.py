"""What a real server says of itself, beside what OpenAI's own client counted."""

import json
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from typer.testing import CliRunner

from serve.cli import app
from serve.client import metrics
from tests.conftest import Server
from tests.e2e import strong

pytestmark = pytest.mark.e2e

NAME = "watched"
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def client(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=120, max_retries=0)


def test_the_metrics_say_what_the_client_counted(
    client: OpenAI, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strong.push(server, tmp_path, NAME, seed=5)
    before = metrics.reading(server.url)
    asked = {"model": NAME, "messages": QUESTION, "max_tokens": 24, "temperature": 0}
    tokens_in = tokens_out = 0
    for _ in range(2):
        answer = client.chat.completions.create(**asked)  # type: ignore[call-overload]
        tokens_in += answer.usage.prompt_tokens
        tokens_out += answer.usage.completion_tokens
        chunks = list(
            client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})  # type: ignore[call-overload]
        )
        tokens_in += chunks[-1].usage.prompt_tokens
        tokens_out += chunks[-1].usage.completion_tokens
    # The same again without being told: the server counts it all the same, and the stream is vLLM's own.
    silent = list(client.chat.completions.create(**asked, stream=True))  # type: ignore[call-overload]
    assert all(chunk.usage is None and chunk.choices for chunk in silent)
    assert silent[-1].choices[0].finish_reason == chunks[-2].choices[0].finish_reason
    assert silent[-1].system_fingerprint == answer.system_fingerprint == chunks[-1].system_fingerprint
    tokens_in += chunks[-1].usage.prompt_tokens
    tokens_out += chunks[-1].usage.completion_tokens
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "word " * 3000}])
    now = metrics.reading(server.url)

    def counted(name: str) -> float:
        return now.values[name][NAME, "1"] - before.values.get(name, {}).get((NAME, "1"), 0)

    assert counted("requests_total") == 6
    assert counted("errors_total") == 1
    assert counted("prompt_tokens_total") == tokens_in
    assert counted("completion_tokens_total") == tokens_out
    assert counted("time_to_first_token_seconds_count") == 3
    assert now.values["adapter_loaded"][NAME, "1"] == 1
    assert now.values["load_seconds_count"][NAME, "1"] == 4  # phases
    ran = CliRunner().invoke(app, ["top", "--once", "--url", server.url], env={"COLUMNS": "110"})
    assert NAME in ran.output
    with capsys.disabled():
        print(f"\n{ran.output}")


def test_an_answer_and_its_line_in_the_log_have_one_id(server: Server) -> None:
    body = {"model": server.base.name, "messages": QUESTION, "max_tokens": 4}
    headers = {**server.headers, "x-request-id": "watched-1"}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=120)
    assert answer.headers["x-request-id"] == "watched-1"
    lines = [line for line in server.log.read_text().splitlines() if '"id": "watched-1"' in line]
    (line,) = map(json.loads, lines)
    assert (line["key"], line["adapter"], line["status"]) == ("local", None, 200)
    assert line["completion_tokens"] == answer.json()["usage"]["completion_tokens"] == 4
