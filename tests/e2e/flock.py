"""The canaries on a server, what each says when it is alone, and what is wrong with any other answer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from serve.client.push import push
from tests.conftest import Server, serving
from tests.e2e import canaries
from tests.e2e.canaries import Words
from tests.serve.tiny import Base

ADAPTERS, VERSIONS, SLOTS = 12, 3, 4
BASE_TOKENS = 8
QUESTIONS = [f"Say number {number} in other words." for number in (3, 14, 159, 2653)]
PREFIX = "You are a clerk who answers in one word, and never in two. " * 12
"""More than one block of vLLM's prefix cache on a CPU, 128 tokens: most of a prompt comes from there."""


@dataclass(frozen=True)
class Canary:
    """One version: what it is called, where it lies, and its word."""

    name: str
    number: int
    digest: str
    code: int
    folder: Path


@dataclass(frozen=True)
class Request:
    """`model` and `adapter` as they are sent; `name` is the adapter meant, None for the base."""

    model: str
    adapter: str | None
    name: str | None
    question: str
    tokens: int
    stream: bool

    @property
    def body(self) -> dict[str, Any]:
        adapter = {"adapter": self.adapter} if self.adapter else {}
        return {
            "model": self.model,
            "messages": [{"role": "system", "content": PREFIX}, {"role": "user", "content": self.question}],
            "max_tokens": self.tokens,
            "temperature": 0,
            "stream": self.stream,
            "return_token_ids": True,
        } | adapter


@dataclass(frozen=True)
class Answer:
    ids: list[int]
    text: str
    served: list[Any]
    """What each piece of the answer said of its version: name, number and digest, or None."""
    headers: Any


class Flock:
    """The canaries on a server: 12 adapters of 3 versions each, 36 different words."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.words: Words = canaries.words(server.folder)
        self.versions: dict[tuple[str, int], Canary] = {}
        base = Base(server.folder, server.base)
        for code in range(ADAPTERS * VERSIONS):
            name, number = f"canary-{code % ADAPTERS}", code // ADAPTERS + 1
            made = canaries.make_adapter(folder / f"{name}-{number}", base, code, self.words)
            aliases = ["default"] if number == 1 else []
            pushed = push(made, name, aliases, server.url)
            assert pushed["version"] == number, pushed
            self.versions[name, number] = Canary(name, number, pushed["digest"], code, made)
        self.names = sorted({name for name, _ in self.versions})
        self.base_ids: dict[str, list[int]] = {}

    async def listen(self, client: httpx.AsyncClient) -> None:
        """Ask the base and each version alone: what all later answers are held against.

        The base is sure of each token by one nat and a canary by seventy, where rounding moves a tenth of
        one: no answer is a near tie, and all are compared exactly.
        """
        for question in QUESTIONS:
            request = Request(self.server.base.name, None, None, question, BASE_TOKENS, stream=False)
            answer = await ask(client, request)
            first = answer.ids[0]
            assert answer.ids == [*range(first, first + BASE_TOKENS)], f"the base says {answer.text!r}"
            self.base_ids[question] = answer.ids
        for one in self.versions.values():
            question, stream = QUESTIONS[one.code % len(QUESTIONS)], bool(one.code % 2)
            request = Request(f"{one.name}@{one.number}", None, one.name, question, 24, stream)
            answer = await ask(client, request)
            assert answer.ids == [self.words.ids[one.code]] * 24, f"{one} alone says {answer.text!r}"

    def wrong(self, request: Request, answer: Answer, allowed: set[int]) -> str | None:
        """What is wrong with an answer of one of the versions `allowed`, if anything is."""
        if request.name is None:
            expected, version, headers = self.base_ids[request.question][: request.tokens], None, {}
        else:
            number = int(answer.headers.get("x-adapter-version", 0))
            if number not in allowed:
                return f"version {number} answered, where only {sorted(allowed)} may"
            one = self.versions[request.name, number]
            expected = [self.words.ids[one.code]] * request.tokens
            version = {"name": one.name, "version": number, "digest": one.digest}
            headers = {
                "x-adapter": one.name, "x-adapter-version": str(number), "x-adapter-digest": one.digest
            }  # fmt: skip
            if answer.text.split() != [self.words.texts[one.code]] * request.tokens:
                return f"{one.name}@{number} said {answer.text!r}, not {self.words.texts[one.code]!r}"
        if answer.ids != expected:
            return f"said {answer.text!r}, tokens {answer.ids}, not {expected}"
        if any(served != version for served in answer.served):
            return f"its body says {answer.served}, not {version}"
        found = {name: value for name, value in answer.headers.items() if name.startswith("x-adapter")}
        return None if found == headers else f"its headers say {found}, not {headers}"


async def ask(client: httpx.AsyncClient, request: Request) -> Answer:
    """The whole answer; AssertionError where it is no success, or a stream that does not end as it should."""
    if not request.stream:
        response = await client.post("/v1/chat/completions", json=request.body)
        assert response.status_code == 200, f"status {response.status_code}: {response.text[:300]}"
        answer = response.json()
        [choice] = answer["choices"]
        text = choice["message"]["content"]
        return Answer(choice["token_ids"], text, [answer["adapter"]], response.headers)
    ids, text, served, last = [], "", [], ""
    async with client.stream("POST", "/v1/chat/completions", json=request.body) as response:
        if response.status_code != 200:
            await response.aread()
        assert response.status_code == 200, f"status {response.status_code}: {response.text[:300]}"
        async for line in response.aiter_lines():
            last = line or last
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            assert "error" not in event, line
            served.append(event["adapter"])
            for choice in event["choices"]:
                ids += choice.get("token_ids") or []
                text += choice["delta"].get("content") or ""
    assert last == "data: [DONE]", f"the stream ended with {last!r}"
    return Answer(ids, text, served, response.headers)


@contextmanager
def aviary(home: Path, tokenizer: Path) -> Iterator[Server]:
    """A server of the canaries' base, with `SLOTS` slots and everything of its own in `home`."""
    canaries.make_base(home / "bases" / canaries.NAME, tokenizer)
    options = ("--max-loras", str(SLOTS), "--max-lora-rank", "8", "--max-model-len", "512")
    with serving(home, home / "bases" / canaries.NAME, *options) as server:
        yield server


def connect(server: Server) -> httpx.AsyncClient:
    """Waits longer than any queue of this server is."""
    return httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=60)
