"""A suite: the strict YAML file that says what is asked of every model, and how."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from data.strict import Strict, load_yaml
from finetune.eval import bfcl_data, scorers_named


class ToolsTask(Strict):
    """Conversations whose last message is the expected answer: tool calls, or words where none fits."""

    name: str = Field(min_length=1)
    kind: Literal["tools"]
    data: Path
    limit: int | None = Field(default=None, ge=1)
    """At most so many conversations, drawn with the suite's seed; absent means all."""

    def files(self) -> dict[str, Path]:
        return {str(self.data): self.data}


class BfclTask(Strict):
    """Questions of the Berkeley Function Calling Leaderboard, version 4, downloaded on first use."""

    name: str = Field(min_length=1)
    kind: Literal["bfcl"]
    categories: list[bfcl_data.Category] = Field(min_length=1)
    limit: int | None = Field(default=None, ge=1)
    """At most so many questions of each category."""

    def files(self) -> dict[str, Path]:
        """By their name inside the package, which is the same on every machine."""
        found = [bfcl_data.questions_file(category) for category in self.categories]
        found += [path for category in self.categories if (path := bfcl_data.answers_file(category))]
        return {str(path.relative_to(bfcl_data.package())): path for path in found}


class ReferenceTask(Strict):
    """Conversations whose last message is words; `scorer` says how near the answer comes to them."""

    name: str = Field(min_length=1)
    kind: Literal["reference"]
    data: Path
    scorer: str
    """`exact`, `contains`, `chrf`, `rouge_l`, `json_schema`, or one that an installed package offers."""
    schema_file: Path | None = None
    """For `json_schema`: the schema that the answer, read as JSON, must keep to."""
    limit: int | None = Field(default=None, ge=1)

    @field_validator("scorer")
    @classmethod
    def _is_known(cls, value: str) -> str:
        known = scorers_named.names()
        if value not in known:
            near = get_close_matches(value, known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"known scorers: {', '.join(known)}"
            raise ValueError(f"unknown scorer; {hint}")
        return value

    @model_validator(mode="after")
    def _schema_where_needed(self) -> "ReferenceTask":
        if (self.scorer == "json_schema") != (self.schema_file is not None):
            raise ValueError("`schema_file` goes with `scorer: json_schema`, and with no other")
        return self

    def files(self) -> dict[str, Path]:
        return {str(path): path for path in (self.data, self.schema_file) if path}


class PerplexityTask(Strict):
    """Conversations whose last message is words: how likely does the model find them?"""

    name: str = Field(min_length=1)
    kind: Literal["perplexity"]
    data: Path
    limit: int | None = Field(default=None, ge=1)

    def files(self) -> dict[str, Path]:
        return {str(self.data): self.data}


class ChatTask(Strict):
    """Prompts whose answers are shown side by side; nothing is scored, unless by `finetune judge`."""

    name: str = Field(min_length=1)
    kind: Literal["chat"]
    prompts: list[str] = Field(min_length=1)

    def files(self) -> dict[str, Path]:
        return {}


Task = ToolsTask | BfclTask | ReferenceTask | PerplexityTask | ChatTask


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
