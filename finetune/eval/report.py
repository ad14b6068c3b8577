"""From replies to an EvalReport: scores, metrics with intervals, differences, and the file."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version

from data.report import EvalReport, Result, Sample, Served
from finetune.eval import metrics
from finetune.eval import questions as asked
from finetune.eval.ask import Reply
from finetune.eval.question import Question
from finetune.eval.runner import Replies
from finetune.eval.suite import Suite


def build(
    suite: Suite,
    endpoint: str,
    models: list[Served],
    questions: list[Question],
    replies: Replies,
    started: str,
) -> EvalReport:
    """The whole report; each model is compared with every one before it."""
    samples = [_sample(question, models, replies) for question in questions]
    names = [served.name for served in models]
    return EvalReport(
        suite=asked.entry(suite),
        endpoint=endpoint,
        models=models,
        started=started,
        finished=now(),
        reused=replies.reused,
        versions={
            "enxerto": version("enxerto"),
            "numpy": version("numpy"),
            "python": platform.python_version(),
        },
        metrics=metrics.metrics(samples, names, suite.seed),
        differences=metrics.differences(samples, names, suite.seed),
        samples=samples,
    )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sample(question: Question, models: list[Served], replies: Replies) -> Sample:
    return Sample(
        task=question.task,
        kind=question.kind,
        id=question.id,
        category=question.category,
        messages=question.messages,
        tools=[tool.function.name for tool in question.tools],
        expected=question.expected,
        results={served.name: _result(question, replies.of(question, served.name)) for served in models},
    )


def _result(question: Question, reply: Reply) -> Result:
    score: float | None = None
    why, flags = reply.failure or "", list[str]()
    if reply.failure is None and question.kind == "perplexity":
        score, why = reply.nats, "log likelihood of the expected words"
    elif reply.failure is None and question.score is not None:
        assert reply.answer is not None
        verdict = question.score(reply.answer, reply.cut_off)
        score, why, flags = verdict.score, verdict.why, list(verdict.flags)
    elif reply.cut_off:
        flags = ["cut_off"]
    return Result(
        got=reply.answer,
        score=score,
        why=why,
        flags=flags,
        scored_tokens=reply.scored_tokens,
        latency_s=reply.latency_s,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
    )
