"""What an evaluation found: every answer, every score, and the metrics with their uncertainty."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data.errors import UserError
from data.manifest import first_error

Measure = Literal["accuracy", "score", "perplexity"]
Kind = Literal["tools", "reference", "perplexity", "chat"]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Call(_Shape):
    """A call as it was written; `arguments` may be anything, since models write broken JSON too."""

    name: str
    arguments: str


class Answer(_Shape):
    """What a model said, or should have said: words, calls, or both."""

    content: str | None = None
    calls: list[Call] = []


class Result(_Shape):
    """One model's answer to one sample.

    `score` is None where the answer could not be scored, and `why` then says what stood in the way; chat
    answers are shown, never scored. For tools it is 1 or 0, against a reference between 0 and 1; for
    perplexity it is the negative log likelihood, in nats, of the expected answer's `scored_tokens` tokens.
    """

    got: Answer | None
    score: float | None
    why: str
    flags: list[str] = []
    """Kinds of mistake with stable names: `unknown_function`, `invalid_arguments`, `cut_off`."""
    scored_tokens: int | None = None
    latency_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Sample(_Shape):
    """One question: what was sent, what was expected, and every model's result by the model's name."""

    task: str
    kind: Kind
    id: str
    category: str
    messages: list[dict[str, Any]]
    tools: list[str] = []
    """Names of the functions on offer."""
    expected: Answer | None = None
    results: dict[str, Result]


class Metric(_Shape):
    """A mean with its 95% interval; None where too few samples were scored to say.

    Accuracy is a share between 0 and 1; a score, against references, is a mean between 0 and 1. Perplexity
    is pooled over the answers' tokens. `n` samples were scored, and `unscored` more were asked: they count
    neither as right nor as wrong.
    """

    model: str
    task: str
    category: str | None = None
    """None: over the whole task."""
    measure: Measure
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int


class Difference(_Shape):
    """`model` against `against` over the `n` samples that both scored, with its 95% interval.

    Accuracy and score: the difference. Perplexity: the ratio, so that 1.05 is 5% worse.
    """

    model: str
    against: str
    task: str
    category: str | None = None
    measure: Measure
    value: float | None
    low: float | None
    high: float | None
    n: int


class Adapter(_Shape):
    name: str
    version: int
    digest: str


class Served(_Shape):
    """What really answered under a model's name, as the endpoint said before and with each answer."""

    name: str
    """As it was asked for; `base` means the endpoint's base."""
    model: str
    """As it was sent in requests: an adapter is pinned to its digest, so that no alias moves midway."""
    adapter: Adapter | None = None
    base: str | None = None
    fingerprint: str | None = None

    @property
    def is_base(self) -> bool:
        return self.base is not None and self.adapter is None and self.model == self.base


class SuiteEntry(_Shape):
    """The suite as it was read, with the digests of its data: enough to run it again."""

    name: str
    digest: str
    config: dict[str, Any]
    files: dict[str, str]


class EvalReport(_Shape):
    """`report.json`."""

    schema_version: Literal[1] = 1
    suite: SuiteEntry
    endpoint: str
    models: list[Served]
    started: str
    finished: str
    reused: int
    """Answers taken over from an earlier, unfinished run; the others were asked in this one."""
    versions: dict[str, str]
    metrics: list[Metric]
    differences: list[Difference]
    samples: list[Sample]

    def metric(self, model: str, task: str, category: str | None = None) -> Metric | None:
        """The metric of a model on a task, or on one category of it; None when there is none."""
        for metric in self.metrics:
            if (metric.model, metric.task, metric.category) == (model, task, category):
                return metric
        return None

    def difference(self, model: str, task: str, category: str | None = None) -> Difference | None:
        """How a model compares with the report's first model; None for that model itself."""
        for difference in self.differences:
            if (difference.model, difference.task, difference.category) == (model, task, category):
                return difference
        return None


def read_report(path: Path) -> EvalReport:
    """`report.json`, or a UserError that says why it is none."""
    try:
        return EvalReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); make one with `finetune eval`.") from None
    except ValidationError as error:
        raise UserError(f"{path} is no evaluation report ({first_error(error)}); make it again.") from None
