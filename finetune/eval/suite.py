"""A suite: the strict YAML file that says what is asked of every model, and how."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from finetune.strict import Strict, load_yaml


class ToolsTask(Strict):
    """Conversations whose last message is the expected answer: tool calls, or words where none fits."""

    name: str = Field(min_length=1)
    kind: Literal["tools"]
    data: Path
    limit: int | None = Field(default=None, ge=1)
    """At most so many conversations, drawn with the suite's seed; absent means all."""


class PerplexityTask(Strict):
    """Conversations whose last message is words: how likely does the model find them?"""

    name: str = Field(min_length=1)
    kind: Literal["perplexity"]
    data: Path
    limit: int | None = Field(default=None, ge=1)


class ChatTask(Strict):
    """Prompts whose answers are shown side by side; nothing is scored."""

    name: str = Field(min_length=1)
    kind: Literal["chat"]
    prompts: list[str] = Field(min_length=1)


Task = ToolsTask | PerplexityTask | ChatTask


class Suite(Strict):
    """Paths are relative to the folder in which the command runs."""

    name: str = Field(min_length=1)
    tasks: list[Annotated[Task, Field(discriminator="kind")]] = Field(min_length=1)
    max_tokens: int = Field(default=256, ge=1)
    """Answers longer than this are cut off, and flagged so."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    seed: int = Field(default=0, ge=0)
    """For drawing samples, for the endpoint's sampling and for the statistics."""
    concurrency: int = Field(default=8, ge=1, le=256)
    timeout_s: float = Field(default=300, gt=0)

    @field_validator("tasks")
    @classmethod
    def _names_differ(cls, tasks: list[Task]) -> list[Task]:
        names = [task.name for task in tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two tasks are called {twice[0]!r}; give each its own name")
        return tasks


def load(path: Path) -> Suite:
    """Read a suite file; UserError with every mistake when it is not one."""
    return load_yaml(path, Suite)
