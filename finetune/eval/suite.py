"""A suite: the strict YAML file that says what is asked of every model, and how."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)

from data.strict import Strict, load_yaml
from finetune.eval import bfcl_data, scorers_named

Few = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
"""One item may stand without a list around it."""


class _Task(Strict):
    name: str = Field(min_length=1)
    """What the report calls it; each task has its own."""

    def files(self) -> dict[str, Path]:
        """What it reads, by the names that the suite's digest knows them by."""
        return {}

    def _read(self, *written: Path | None) -> dict[str, Path]:
        return {str(path): Path(self.opened(path)) for path in written if path}


class _DataTask(_Task):
    data: Path
    """A file of conversations, looked for in the working folder, then beside the suite."""
    ignore: Annotated[list[str], Few] = []
    """Keys of records to pass over, as a recipe's `data.ignore`."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many conversations, drawn with the suite's seed; absent means all."""

    def files(self) -> dict[str, Path]:
        return self._read(self.data)

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without an empty `ignore`: a suite that names no key keeps the digest that it always had."""
        written: dict[str, Any] = dump(self)
        return written if self.ignore else {key: value for key, value in written.items() if key != "ignore"}


class ToolsTask(_DataTask):
    """Conversations whose last message is the expected answer: tool calls, or words where none fits."""

    kind: Literal["tools"]


class BfclTask(_Task):
    """Questions of the Berkeley Function Calling Leaderboard, version 4, downloaded on first use."""

    kind: Literal["bfcl"]
    categories: Annotated[list[bfcl_data.Category], Few] = Field(min_length=1)
    """Parts of the leaderboard."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many questions of each category."""

    def files(self) -> dict[str, Path]:
        """By their name inside the package, which is the same on every machine."""
        found = [bfcl_data.questions_file(category) for category in self.categories]
        found += [path for category in self.categories if (path := bfcl_data.answers_file(category))]
        return {str(path.relative_to(bfcl_data.package())): path for path in found}


class ReferenceTask(_DataTask):
    """Conversations whose last message is words; `scorer` says how near the answer comes to them."""

    kind: Literal["reference"]
    scorer: str
    """`exact`, `contains`, `chrf`, `rouge_l`, `json_schema`, or one that an installed package offers."""
    schema_file: Path | None = Field(default=None, validate_default=True)
    """For `json_schema`: the schema that the answer, read as JSON, must keep to."""

    @field_validator("scorer")
    @classmethod
    def _is_known(cls, value: str) -> str:
        known = scorers_named.names()
        if value not in known:
            near = get_close_matches(value, known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"known scorers: {', '.join(known)}"
            raise ValueError(f"unknown scorer; {hint}")
        return value

    @field_validator("schema_file")
    @classmethod
    def _where_needed(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "scorer" in info.data and (info.data["scorer"] == "json_schema") != (value is not None):
            raise ValueError("`schema_file` goes with `scorer: json_schema`, and with no other")
        return value

    def files(self) -> dict[str, Path]:
        return self._read(self.data, self.schema_file)


class PerplexityTask(_DataTask):
    """Conversations whose last message is words: how likely does the model find them?"""

    kind: Literal["perplexity"]


class ChatTask(_Task):
    """Prompts whose answers are shown side by side; nothing is scored, unless by `finetune judge`."""

    kind: Literal["chat"]
    prompts: Annotated[list[str], Few] = Field(min_length=1)
    """What a user says."""


Task = ToolsTask | BfclTask | ReferenceTask | PerplexityTask | ChatTask


class Suite(Strict):
    """What is asked of every model, and how."""

    name: str = Field(min_length=1)
    """What reports and gates know it by."""
    tasks: list[Annotated[Task, Field(discriminator="kind")]] = Field(min_length=1)
    """What is asked, task by task; `kind` says which keys a task has."""
    max_tokens: int = Field(default=256, ge=1)
    """Answers longer than this are cut off, and flagged so."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0 answers with the likeliest token each time."""
    seed: int = Field(default=0, ge=0)
    """For drawing samples, for the endpoint's sampling and for the statistics."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Questions at a time."""
    timeout_s: float = Field(default=300, gt=0)
    """Seconds that an answer may take."""

    @field_validator("tasks")
    @classmethod
    def _names_differ(cls, tasks: list[Task]) -> list[Task]:
        names = [task.name for task in tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two tasks are called {twice[0]!r}; give each its own name")
        return tasks


_LIKE = {"type": "kind", "dataset": "data", "file": "data", "path": "data", "metric": "scorer"}

ELSEWHERE = {
    **{name: f"tasks.{here}" for name, here in _LIKE.items()},
    "models": "give `finetune eval` the option --models.",
    "model": "give `finetune eval` the option --models.",
    "num_fewshot": "write the examples into the conversations.",
    "max_gen_toks": "max_tokens",
    "max_new_tokens": "max_tokens",
    "batch_size": "concurrency",
    "timeout": "timeout_s",
    "samples": "tasks.limit",
}
"""What other evaluations call it; see `finetune.other_trainers`."""


def load(path: Path) -> Suite:
    """Read a suite file; UserError with every mistake when it is not one."""
    return load_yaml(path, Suite, ELSEWHERE)
