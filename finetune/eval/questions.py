"""From a suite to its questions."""

import random
from collections import Counter
from pathlib import Path
from typing import TypeVar

from data import digest, formats
from data.chat import AssistantMessage, Conversation, text_of
from data.errors import UserError
from data.paths import sought
from data.report import Answer, Call, SuiteEntry
from finetune.eval import bfcl, scorers, scorers_named
from finetune.eval.question import Question
from finetune.eval.suite import BfclTask, ChatTask, PerplexityTask, ReferenceTask, Suite, Task, ToolsTask
from finetune.eval.verdict import Score

Item = TypeVar("Item")


def load(suite: Suite) -> list[Question]:
    """All questions in the suite's order; UserError names every file that cannot be used."""
    questions: list[Question] = []
    mistakes: list[str] = []
    for task in suite.tasks:
        try:
            questions += _of_task(task, suite.seed)
        except UserError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UserError("\n".join(dict.fromkeys(mistakes)))
    return questions


def entry(suite: Suite) -> SuiteEntry:
    """What a report keeps of the suite; its digest changes with any setting and any byte of data."""
    paths = {name: path for task in suite.tasks for name, path in task.files().items()}
    files = {name: digest.of_file(path) for name, path in sorted(paths.items())}
    config = suite.model_dump(mode="json")
    # How it is asked does not change what is asked.
    asked = {key: value for key, value in config.items() if key not in ("concurrency", "timeout_s")}
    return SuiteEntry(
        name=suite.name,
        digest=digest.of_json({"config": asked, "files": files}),
        config=config,
        files=files,
    )


def _of_task(task: Task, seed: int) -> list[Question]:
    if isinstance(task, ChatTask):
        return [
            Question(task.name, "chat", f"prompt {number}", "chat", [{"role": "user", "content": prompt}])
            for number, prompt in enumerate(task.prompts, 1)
        ]
    if isinstance(task, BfclTask):
        return [
            question
            for category in dict.fromkeys(task.categories)
            for question in _drawn(bfcl.questions(task.name, category), task.limit, seed)
        ]
    try:
        records = formats.scan(task.opened(task.data), ignore=frozenset(task.ignore))
        conversations = [record.taken() for record in records]
    except UserError as error:
        here = Path(task.opened(task.data)).exists()
        raise (error if here else sought(error, task.looked(task.data))) from None
    if not conversations:
        raise UserError(f"{task.data} holds no conversation; task {task.name!r} needs at least one.")
    named = zip(_unique_ids(conversations, task.data), conversations, strict=True)
    maker = _maker(task)
    return [_question(task, maker, name, sample) for name, sample in _drawn(list(named), task.limit, seed)]


def _drawn(items: list[Item], limit: int | None, seed: int) -> list[Item]:
    """At most `limit` of the items, in their order; the same ones for the same seed."""
    if limit is None or limit >= len(items):
        return items
    return [items[index] for index in sorted(random.Random(seed).sample(range(len(items)), limit))]


def _maker(task: ToolsTask | ReferenceTask | PerplexityTask) -> scorers_named.Maker | None:
    if not isinstance(task, ReferenceTask):
        return None
    schema = Path(task.opened(task.schema_file)) if task.schema_file else None
    return scorers_named.maker(task.scorer, schema)


def _unique_ids(conversations: list[Conversation], path: Path) -> list[str]:
    """An id may group several conversations of one origin; here each needs a name of its own."""
    given = [sample.id or f"{path.stem}-{number}" for number, sample in enumerate(conversations, 1)]
    often, seen = Counter(given), Counter[str]()
    unique = []
    for name in given:
        seen[name] += 1
        unique.append(f"{name}#{seen[name]}" if often[name] > 1 else name)
    return unique


def _question(
    task: ToolsTask | ReferenceTask | PerplexityTask,
    maker: scorers_named.Maker | None,
    name: str,
    sample: Conversation,
) -> Question:
    last = sample.messages[-1]
    if not isinstance(last, AssistantMessage) or len(sample.messages) < 2:
        raise UserError(
            f"conversation {name!r} of task {task.name!r} does not end with the assistant's answer to "
            "something; an evaluation needs the expected answer as the last message."
        )
    words = text_of(last.content) or None
    if task.kind != "tools" and (last.tool_calls or not words):
        raise UserError(
            f"conversation {name!r} of task {task.name!r} ends with tool calls; {task.kind} is measured on "
            "words. Use kind: tools."
        )
    messages = sample.plain()["messages"][:-1]
    calls = [Call(name=call.function.name, arguments=call.function.arguments) for call in last.tool_calls]
    expected = Answer(content=words, calls=calls)
    score: Score | None = maker(messages, expected) if maker else None
    if task.kind == "tools":
        score = _by_calls(expected, sample)
    return Question(
        task=task.name,
        kind=task.kind,
        id=name,
        category=sample.category or task.name,
        messages=messages,
        tools=sample.tools,
        expected=expected,
        score=score,
    )


def _by_calls(expected: Answer, sample: Conversation) -> Score:
    return lambda got, cut_off: scorers.tool_calls(expected, got, sample.tools, cut_off)
