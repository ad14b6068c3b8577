"""From a suite to its questions: what is sent, and what is expected back."""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data import digest, formats
from data.chat import AssistantMessage, Conversation, Tool, text_of
from data.errors import UserError
from data.report import Answer, Call, Kind, SuiteEntry
from finetune.eval.suite import ChatTask, Suite, Task


@dataclass(frozen=True)
class Question:
    """`messages` end before the expected answer; ids are unique within a task."""

    task: str
    kind: Kind
    id: str
    category: str
    messages: list[dict[str, Any]]
    tools: list[Tool] = field(default_factory=list)
    expected: Answer | None = None


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
    paths = {task.data for task in suite.tasks if not isinstance(task, ChatTask)}
    files = {str(path): digest.of_file(path) for path in sorted(paths)}
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
    conversations = list(formats.read(task.data))
    if not conversations:
        raise UserError(f"{task.data} holds no conversation; task {task.name!r} needs at least one.")
    ids = _unique_ids(conversations, task.data)
    order = range(len(conversations))
    if task.limit is not None and task.limit < len(conversations):
        order = sorted(random.Random(seed).sample(order, task.limit))  # type: ignore[assignment]
    return [_question(task, ids[index], conversations[index]) for index in order]


def _unique_ids(conversations: list[Conversation], path: Path) -> list[str]:
    """An id may group several conversations of one origin; here each needs a name of its own."""
    given = [sample.id or f"{path.stem}-{number}" for number, sample in enumerate(conversations, 1)]
    often, seen = Counter(given), Counter[str]()
    unique = []
    for name in given:
        seen[name] += 1
        unique.append(f"{name}#{seen[name]}" if often[name] > 1 else name)
    return unique


def _question(task: Task, name: str, sample: Conversation) -> Question:
    last = sample.messages[-1]
    if not isinstance(last, AssistantMessage) or len(sample.messages) < 2:
        raise UserError(
            f"conversation {name!r} of task {task.name!r} does not end with the assistant's answer to "
            "something; an evaluation needs the expected answer as the last message."
        )
    words = text_of(last.content) or None
    if task.kind == "perplexity" and (last.tool_calls or not words):
        raise UserError(
            f"conversation {name!r} of task {task.name!r} ends with tool calls; perplexity is measured on "
            "words. Use kind: tools."
        )
    body = sample.plain()
    return Question(
        task=task.name,
        kind=task.kind,
        id=name,
        category=sample.category or task.name,
        messages=body["messages"][:-1],
        tools=sample.tools,
        expected=Answer(
            content=words,
            calls=[
                Call(name=call.function.name, arguments=call.function.arguments) for call in last.tool_calls
            ],
        ),
    )
