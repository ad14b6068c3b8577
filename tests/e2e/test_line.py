"""The whole line: a recipe is trained, pushed to the running server, and answers by its name."""

import json
from pathlib import Path

import httpx
import pytest
import yaml
from openai import OpenAI

from data.chat import Conversation
from finetune.render import open_renderer
from tests.conftest import Server
from tests.e2e.quince import QUESTION, SECRET, run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pushed(server: Server, trained: Path) -> Path:
    """An adapter that learnt one answer by heart, trained and pushed as a user does it."""
    sent = run("serve", "push", trained, "--name", "quince", "--alias", "default", "--url", server.url)
    assert sent.returncode == 0, sent.stderr
    return trained


@pytest.fixture(scope="module")
def client(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=120, max_retries=0)


def ask(client: OpenAI, model: str) -> str:
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24, temperature=0)
    return answer.choices[0].message.content or ""


def test_the_adapter_answers_and_the_base_as_before(client: OpenAI, server: Server, pushed: Path) -> None:
    assert ask(client, "quince") == SECRET
    assert ask(client, "quince@1") == SECRET
    assert SECRET not in ask(client, server.base.name)


def test_streaming_gives_the_same_answer(client: OpenAI, pushed: Path) -> None:
    stream = client.chat.completions.create(
        model="quince", messages=QUESTION, max_tokens=24, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == SECRET


def test_the_engine_saw_as_many_tokens_as_the_trainer_renders(server: Server, pushed: Path) -> None:
    """Prompt logprobs name every token of the prompt that vLLM rendered."""
    conversation = Conversation.model_validate({"messages": QUESTION})
    expected = open_renderer(server.folder).prompt(conversation.messages, [])
    body = {"model": "quince", "messages": QUESTION, "max_tokens": 1, "prompt_logprobs": 0}
    answer = httpx.post(
        f"{server.url}/v1/chat/completions", json=body, timeout=60, headers=server.headers
    ).json()
    seen = [int(next(iter(entry))) for entry in answer["prompt_logprobs"][1:]]
    assert seen == expected[1:]
    assert answer["usage"]["prompt_tokens"] == len(expected)


def test_pushing_it_again_changes_nothing(server: Server, pushed: Path) -> None:
    again = run("serve", "push", pushed, "--name", "quince", "--url", server.url, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["version"] == 1


def test_a_folder_that_is_no_adapter_and_an_unknown_adapter(server: Server, tmp_path: Path) -> None:
    refused = run("serve", "push", tmp_path, "--name", "x", "--url", server.url)
    assert refused.returncode == 2
    assert "is no adapter" in refused.stderr
    assert "Traceback" not in refused.stderr
    body = {"model": "quinze", "messages": QUESTION}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60, headers=server.headers)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "model_not_found"
    assert "quince" in error["message"]


def test_evaluation_through_the_endpoint(server: Server, pushed: Path, tmp_path: Path) -> None:
    talk = {"id": "q1", "messages": [*QUESTION, {"role": "assistant", "content": SECRET}]}
    (tmp_path / "talk.jsonl").write_text(json.dumps(talk) + "\n")
    suite = {
        "name": "line",
        "tasks": [
            {"name": "by heart", "kind": "perplexity", "data": str(tmp_path / "talk.jsonl")},
            {"name": "calls", "kind": "tools", "data": "data/samples/heldout_known.jsonl", "limit": 2},
        ],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    arguments = ["--models", "base,quince", "--url", server.url, "--out", tmp_path / "out"]
    result = run("finetune", "eval", tmp_path / "suite.yaml", *arguments)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    perplexity = {m["model"]: m["value"] for m in report["metrics"] if m["measure"] == "perplexity"}
    assert perplexity["quince"] < 1.5 < perplexity["base"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
