"""One question to one model: the requests that it takes, and the reply that they give."""

import math
import time
from typing import Any

from pydantic import BaseModel, ConfigDict

from data import digest
from data.errors import UserError
from data.report import Answer, Call, Served
from finetune.eval.endpoint import Endpoint, RefusedError, SlowError
from finetune.eval.question import Question
from finetune.eval.served import adapter_of
from finetune.eval.suite import Suite


class Reply(BaseModel):
    """What came back, before any scoring, so that a better scorer needs no new answers.

    `nats` is the negative log likelihood of the expected answer's `scored_tokens` tokens. `failure` says
    why there is neither an answer nor a likelihood; such a question is asked again by the next run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: Answer | None = None
    cut_off: bool = False
    nats: float | None = None
    scored_tokens: int | None = None
    latency_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    failure: str | None = None


class UnusableError(Exception):
    """The endpoint answered, but not with what the question needs."""


def requests(question: Question, served: Served, suite: Suite) -> list[dict[str, Any]]:
    """The bodies of the chat completions that answer the question."""
    body: dict[str, Any] = {"model": served.model, "messages": question.messages}
    if question.tools:
        body["tools"] = [tool.model_dump(mode="json", exclude_none=True) for tool in question.tools]
    if question.kind == "perplexity":
        return _likelihood_requests(body, question)
    settings = {"temperature": suite.temperature, "max_tokens": suite.max_tokens, "seed": suite.seed}
    return [{**body, **settings}]


def key(bodies: list[dict[str, Any]], served: Served, url: str) -> str:
    """The same for the same requests to the same weights, and for nothing else.

    The name in `model` does not count where the weights are known: one adapter may have several.
    """
    if served.weights is None:
        return digest.of_json({"endpoint": url, "requests": bodies})
    requests = [{name: value for name, value in body.items() if name != "model"} for body in bodies]
    return digest.of_json({"weights": served.weights, "requests": requests})


async def ask(endpoint: Endpoint, question: Question, served: Served, bodies: list[dict[str, Any]]) -> Reply:
    """The reply; UserError when the endpoint is gone or another adapter than the pinned one answered."""
    started = time.perf_counter()
    try:
        answers = [await endpoint.chat(body) for body in bodies]
        latency = round(time.perf_counter() - started, 4)
        for answer in answers:
            _check_who(answer, served)
        if question.kind == "perplexity":
            return _likelihood(answers[0], answers[1], latency)
        return read_answer(answers[0], latency)
    except (RefusedError, SlowError, UnusableError) as error:
        return Reply(failure=str(error))


def _check_who(answer: dict[str, Any], served: Served) -> None:
    if (told := adapter_of(answer)) != served.adapter:
        raise UserError(
            f"asked {served.model}, answered by {told.digest if told else 'the base'}: the answers would be "
            "judged under a wrong name, so the evaluation stops; this is a fault of the endpoint."
        )


def read_answer(body: dict[str, Any], latency: float | None = None) -> Reply:
    """The reply in a chat completion; UnusableError where the body is none."""
    try:
        choice, usage = body["choices"][0], body.get("usage") or {}
        message = choice["message"]
        calls = [
            Call(name=call["function"]["name"], arguments=call["function"]["arguments"])
            for call in message.get("tool_calls") or []
        ]
        return Reply(
            answer=Answer(content=message.get("content") or None, calls=calls),
            cut_off=choice.get("finish_reason") == "length",
            latency_s=latency,
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnusableError(f"the answer is no chat completion ({type(error).__name__}: {error})") from None


def _likelihood_requests(body: dict[str, Any], question: Question) -> list[dict[str, Any]]:
    """The prompt alone, and the prompt with the expected answer left open at its end.

    Both ask for the log probabilities of the prompt's tokens (vLLM's `prompt_logprobs`; 0 means those
    tokens alone): where the prompt ends is then known from the tokens themselves. An answer left open has
    no end-of-turn token, so none is counted.
    """
    assert question.expected is not None
    settings = {"max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
    answered = [*question.messages, {"role": "assistant", "content": question.expected.content}]
    opened = {"add_generation_prompt": False, "continue_final_message": True}
    return [{**body, **settings}, {**body, **settings, "messages": answered, **opened}]


def _likelihood(prompt: dict[str, Any], whole: dict[str, Any], latency: float) -> Reply:
    before, all_tokens = _tokens(prompt), _tokens(whole)
    # The first token has no probability, so its id is unknown: both lists open with the same blank.
    if [token for token, _ in all_tokens[: len(before)]] != [token for token, _ in before]:
        raise UnusableError(
            "the prompt's tokens change when the answer follows; its likelihood is not defined"
        )
    answer = [logprob for _, logprob in all_tokens[len(before) :]]
    if not answer or not all(math.isfinite(logprob) for logprob in answer):
        raise UnusableError("the endpoint gave no finite log probability for the answer's tokens")
    return Reply(
        nats=-math.fsum(answer), scored_tokens=len(answer), latency_s=latency, prompt_tokens=len(all_tokens)
    )


def _tokens(body: dict[str, Any]) -> list[tuple[str, float]]:
    """(token id, log probability) of every token of the prompt; ("", 0) for the first."""
    listed = body.get("prompt_logprobs")
    if not isinstance(listed, list):
        raise UnusableError("the endpoint returns no prompt_logprobs, which perplexity is measured with")
    try:
        found = [next(iter(entry.items())) if entry else ("", {"logprob": 0.0}) for entry in listed]
        return [(token, float(told["logprob"])) for token, told in found]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnusableError(f"prompt_logprobs are not as vLLM writes them ({type(error).__name__})") from None
