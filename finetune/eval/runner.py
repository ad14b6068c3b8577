"""Asks every question of every model, many at a time, and keeps each reply as soon as it is there."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from data.errors import UserError
from data.report import Served
from finetune.eval import ask
from finetune.eval.answers import AnswerCache
from finetune.eval.ask import Reply
from finetune.eval.endpoint import Endpoint
from finetune.eval.journal import Journal
from finetune.eval.question import Question
from finetune.eval.suite import Suite
from finetune.progress import moving


@dataclass
class Replies:
    """`of` gives a model's reply to a question; `reused` were known before."""

    by_place: dict[tuple[str, str, str], Reply]
    reused: int = 0

    def of(self, question: Question, model: str) -> Reply:
        return self.by_place[question.task, question.id, model]


@dataclass(frozen=True)
class _Job:
    question: Question
    served: Served
    key: str

    @property
    def place(self) -> tuple[str, str, str]:
        return self.question.task, self.question.id, self.served.name


async def run(
    endpoint: Endpoint,
    suite: Suite,
    questions: list[Question],
    models: list[Served],
    journal: Journal,
    cache: AnswerCache,
) -> Replies:
    """All replies. UserError when the endpoint goes away: what was answered stays in the journal."""
    replies = Replies({})
    waiting: list[_Job] = []
    # Models take turns, so that all of them meet the same load.
    for question in questions:
        for served in models:
            key = ask.key(ask.requests(question, served, suite), served, endpoint.url)
            job = _Job(question, served, key)
            if known := _known(job, journal, cache):
                replies.by_place[job.place] = known
                replies.reused += 1
            else:
                waiting.append(job)
    with _progress() as bar:
        bars = _bars(bar, suite, questions, models, waiting)

        async def answer(job: _Job) -> None:
            bodies = ask.requests(job.question, job.served, suite)
            reply = await ask.ask(endpoint, job.question, job.served, bodies)
            if reply.failure is None:
                _note(job, reply, journal)
                _remember(job, reply, cache)
            replies.by_place[job.place] = reply
            bar.advance(bars[job.question.task])

        async def work(jobs: Iterator[_Job]) -> None:
            for job in jobs:
                await answer(job)

        jobs = iter(waiting)  # which all workers share
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(suite.concurrency, len(waiting))):
                    group.create_task(work(jobs))
        except* UserError as problems:
            raise UserError(
                f"{problems.exceptions[0]}\n{len(replies.by_place)} of {len(questions) * len(models)} "
                "answers are kept; run the same command again to go on from there."
            ) from None
    return replies


def _known(job: _Job, journal: Journal, cache: AnswerCache) -> Reply | None:
    if found := journal.get(job.key):
        # A run that was killed may not have come to that.
        _remember(job, found, cache)
        return found
    if found := cache.get(job.key):
        _note(job, found, journal)
        return found
    return None


def _note(job: _Job, reply: Reply, journal: Journal) -> None:
    journal.add(job.key, job.served.name, job.question.task, job.question.id, reply)


def _remember(job: _Job, reply: Reply, cache: AnswerCache) -> None:
    """Only where it is known what answered: a name alone may mean other weights tomorrow."""
    if job.served.weights is not None:
        cache.add(job.key, reply)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(28), MofNCompleteColumn(), TimeRemainingColumn())
    return moving(*columns, console=Console(stderr=True), live=True)


def _bars(
    bar: Progress, suite: Suite, questions: list[Question], models: list[Served], waiting: list[_Job]
) -> dict[str, TaskID]:
    """One line a task; what the journal already holds counts as done."""
    bars = {}
    for task in suite.tasks:
        total = len(models) * sum(question.task == task.name for question in questions)
        left = sum(job.question.task == task.name for job in waiting)
        bars[task.name] = bar.add_task(task.name, total=total, completed=total - left)
    return bars
