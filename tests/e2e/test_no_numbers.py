"""The real engine computes no numbers: the request is told, the version goes, the others stay."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tokenizers import Tokenizer

from serve.client.push import push
from tests.conftest import Server, serving
from tests.e2e import canaries, overflow
from tests.e2e.canaries import Words
from tests.serve.tiny import Base
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

TOKENS = 16
CODE = 5
UNSOUND = "adapter_unsound"
WHERE = ["prompt", "answer", "streamed"]


@dataclass(frozen=True)
class Scene:
    server: Server
    http: httpx.Client
    base: Base
    words: Words

    def body(self, model: str, said: str, **fields: Any) -> dict[str, Any]:
        """A greedy chat of `TOKENS` tokens."""
        return {
            "model": model,
            "messages": [{"role": "user", "content": said}],
            "max_tokens": TOKENS,
            "temperature": 0,
            "return_token_ids": True,
        } | fields

    def ask(self, model: str, said: str, **fields: Any) -> httpx.Response:
        return self.http.post("/v1/chat/completions", json=self.body(model, said, **fields))

    def ids(self, model: str, said: str, **fields: Any) -> list[int]:
        return told(self.ask(model, said, **fields))

    def push(self, name: str, folder: Path, kind: str, number: int, spreads: bool = True) -> None:
        """An adapter of its own number: what was found out of the same bytes before is remembered."""
        made = overflow.make_adapter(folder / name, self.base, kind, number, spreads)
        push(made, name, ["default"], self.server.url)

    @property
    def fatal(self) -> str:
        return f"Please say {self.words.texts[overflow.FATAL]} again"

    @property
    def fatal_to_base(self) -> str:
        return f"Please say {self.words.texts[overflow.FATAL_TO_BASE]} again"

    @property
    def begun(self) -> list[dict[str, Any]]:
        """An answer that goes on with the fatal word's number as its third token."""
        before = self.tokenizer.decode([self.words.ids[overflow.FATAL] - 3])
        said = {"role": "assistant", "content": f"Say{before}", "prefix": True}
        return [{"role": "user", "content": "Hello"}, said]

    @property
    def tokenizer(self) -> Any:
        return Tokenizer.from_file(str(self.base.folder / "tokenizer.json"))


def told(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    [choice] = answer.json()["choices"]
    ids: list[int] = choice["token_ids"]
    assert len(ids) == TOKENS
    return ids


def error(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code, answer.text
    return str(answer.json()["error"]["message"])


@pytest.fixture(scope="module")
def scene(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = tmp_path_factory.mktemp("overflow")
    folder = home / "bases" / overflow.NAME
    made = overflow.make_base(folder, base)
    options = ("--max-loras", "3", "--max-lora-rank", "8", "--max-model-len", "512")
    with (
        serving(home, folder, *options) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as http,
    ):
        words = canaries.words(folder)
        push(overflow.make_canary(home / "canary", made, CODE, words), "canary", ["default"], server.url)
        yield Scene(server, http, made, words)


def test_the_words_are_single_tokens(scene: Scene) -> None:
    """Else nothing here would be fatal."""
    for said, code in ((scene.fatal, overflow.FATAL), (scene.fatal_to_base, overflow.FATAL_TO_BASE)):
        assert scene.words.ids[code] in scene.tokenizer.encode(said).ids


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("kind", list(overflow.WRITTEN))
def test_a_version_that_computes_no_numbers_is_told_and_goes(
    scene: Scene, tmp_path: Path, kind: str, where: str
) -> None:
    """In the answer the word comes by itself: the base counts up to it."""
    name, base = f"{kind}-{where}", scene.server.base.name
    scene.push(name, tmp_path, kind, number=WHERE.index(where))
    fine = scene.ids(base, "Hello")
    assert scene.ids(name, "Hello") == fine, "it changes nothing without the word"
    if where == "prompt":
        assert scene.ids(base, scene.fatal), "the base has numbers for the word"
        why = error(scene.ask(name, scene.fatal), 500, UNSOUND)
    else:
        fatal = scene.words.ids[overflow.FATAL]
        assert scene.ids(base, "", messages=scene.begun)[:3] == [fatal - 2, fatal - 1, fatal]
        answer = scene.ask(name, "", messages=scene.begun, stream=where == "streamed")
        if where == "streamed":
            ids, last = streamed(answer)
            assert ids, "it ended within the answer"
            assert ids == [fatal - 2, fatal - 1, fatal][: len(ids)], "no token behind the fatal one is said"
            why = str(last["error"]["message"])
            assert last["error"] == {
                "message": why, "type": "server_error", "param": "model", "code": UNSOUND
            }  # fmt: skip
        else:
            why = error(answer, 500, UNSOUND)
    assert why.startswith(f"With adapter {name}@1 the engine computes no numbers (NaN or infinity)")

    again = error(scene.ask(name, "Hello"), 503, "adapter_failed")
    assert again.startswith(f"adapter {name}@1 is not served any more: while serving, the engine computed no")
    eventually(lambda: shown(scene, name)["state"] == "failed")
    [verdict] = shown(scene, name)["parity"]
    assert verdict["why"].startswith("while serving, the engine computed no numbers with it")
    assert f"adapter {name}@1 is not served any more" in scene.server.log.read_text()
    measured = scene.http.get("/metrics").text
    assert f'enxerto_errors_total{{adapter="{name}",code="{UNSOUND}",version="1"}} 1.0' in measured
    assert scene.ids(base, "Hello") == fine


def streamed(answer: httpx.Response) -> tuple[list[int], dict[str, Any]]:
    """The tokens of a stream, and its last event before [DONE]."""
    assert answer.status_code == 200, answer.text
    *events, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert done == "[DONE]"
    *chunks, last = map(json.loads, events)
    return [one for chunk in chunks for c in chunk["choices"] for one in c.get("token_ids") or []], last


def shown(scene: Scene, name: str) -> dict[str, Any]:
    answer = scene.http.get(f"/v1/adapters/{name}")
    assert answer.status_code == 200, answer.text
    version: dict[str, Any] = answer.json()["versions"][0]
    return version


def test_others_in_the_same_batch_and_after_it_are_answered_as_alone(scene: Scene, tmp_path: Path) -> None:
    """The fatal rows are in steps with theirs, and leave NaN in the cache's blocks, which others get next."""
    name = "shared"
    scene.push(name, tmp_path, "nan", number=3)
    base = scene.server.base.name
    asked = [(model, f"Count from {number}") for number in range(6) for model in (base, "canary", name)]
    alone = {one: scene.ids(*one) for one in asked}
    word = scene.words.ids[CODE]
    assert {tuple(ids) for (model, _), ids in alone.items() if model == "canary"} == {(word,) * TOKENS}

    async def together() -> tuple[list[httpx.Response], list[httpx.Response]]:
        async with httpx.AsyncClient(
            base_url=scene.server.url, headers=scene.server.headers, timeout=120
        ) as http:

            def sent(model: str, said: str, **fields: Any) -> Any:
                return http.post("/v1/chat/completions", json=scene.body(model, said, **fields))

            # What the version already answers when the first fatal one comes is sound, and ends so.
            others = [asyncio.create_task(sent(*one)) for one in asked]
            await asyncio.sleep(0.3)
            bad = [asyncio.create_task(sent(name, scene.fatal)) for _ in range(3)]
            return await asyncio.gather(*others), await asyncio.gather(*bad)

    others, bad = asyncio.run(together())
    codes = {answer.json()["error"]["code"] for answer in bad}
    assert UNSOUND in codes and codes <= {UNSOUND, "adapter_failed"}, codes
    for one, answer in zip(asked, others, strict=True):
        assert told(answer) == alone[one], one
    for one, ids in alone.items():  # in the blocks that held NaN
        if one[0] != name:
            assert scene.ids(*one) == ids, one


def test_a_base_without_numbers_is_the_base_fault(scene: Scene, tmp_path: Path) -> None:
    """Also where an adapter was asked, which would have been blamed for it."""
    name = "innocent"
    scene.push(name, tmp_path, "nan", number=4)
    for model in (scene.server.base.name, "canary", name):
        for stream in (False, True):
            answer = scene.ask(model, scene.fatal_to_base, stream=stream)
            assert "The base itself" in error(answer, 500, "base_unsound")
    assert scene.ids(name, "Hello") == scene.ids(scene.server.base.name, "Hello")
    assert set(scene.ids("canary", "Hello")) == {scene.words.ids[CODE]}
    assert [one for one in shown(scene, name)["parity"] if one["why"]] == []


def test_a_prompts_log_probabilities_are_looked_at(scene: Scene, tmp_path: Path) -> None:
    """They may be none where the answer's are some: for a chat that does not ask for them all is well."""
    name = "prompted"
    scene.push(name, tmp_path, "infinity", number=0, spreads=False)
    for prompt_logprobs in ({}, {"prompt_logprobs": 1}):
        assert scene.ask(scene.server.base.name, scene.fatal, **prompt_logprobs).status_code == 200
    assert scene.ids(name, scene.fatal)
    error(scene.ask(name, scene.fatal, prompt_logprobs=1), 500, UNSOUND)
    error(scene.ask(name, "Hello"), 503, "adapter_failed")


def test_what_a_request_forbids_itself_is_no_infinity(scene: Scene) -> None:
    """Minus infinity is what masks are made of; temperatures and penalties at their bounds stay finite."""
    schema = {"type": "object", "properties": {"a": {"enum": ["b"]}}, "required": ["a"]}
    shaped = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    fields: list[dict[str, Any]] = [
        {"response_format": shaped, "max_tokens": 64},
        {"logit_bias": {str(number): -100 for number in range(200)}},
        {"logit_bias": {str(number): 100 for number in range(200)}},
        {"repetition_penalty": 0.01, "temperature": 2},
        {"repetition_penalty": 2, "frequency_penalty": 2, "presence_penalty": 2},
        {"temperature": 1e-4, "top_p": 0.01, "top_k": 1, "min_p": 1},
        {"logprobs": True, "top_logprobs": 20},
        {"n": 4, "temperature": 1},
    ]
    for more in fields:
        for model in (scene.server.base.name, "canary"):
            answer = scene.ask(model, "Hello", **more)
            assert answer.status_code == 200, (more, answer.text)
