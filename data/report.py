"""What an evaluation found: every answer, every score, and the metrics with their uncertainty."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from data import digest
from data.errors import UserError
from data.manifest import one_line
from data.mistakes import first_error

MODELS, METRICS = 64, 256
"""In what a registry takes in, at most."""

MAX_TEXT = 300
"""Characters of each name in it, at most."""

FIRST_YEAR, CLOCKS_DIFFER = 1970, timedelta(minutes=5)
"""What a report's end lies between: a clock that was never set, and one that is a little ahead."""

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

    Accuracy is the share of right answers, a score the mean where answers can be partly right: both lie
    between 0 and 1. Perplexity is pooled over the answers' tokens. `n` samples were scored, and `unscored`
    more were asked: they count neither as right nor as wrong.
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

    Accuracy and score: the difference of the means. Perplexity: the ratio, so that 1.05 is 5% worse.
    """

    model: str
    against: str
    task: str
    category: str | None = None
    measure: Measure
    value: float | None
    low: float | None
    high: float | None
    p: float | None = None
    """McNemar's exact test, where all scores are 1 or 0: the bootstrap trusts a handful of pairs too much."""
    detectable: float | None = None
    """The smallest true difference (of perplexity: ratio above 1) that so many such pairs show 8 times in 10;
    None where they cannot show any, or do not vary."""
    n: int

    @property
    def direction(self) -> Literal["better", "worse"] | None:
        """Which way the model departs; None where the samples do not say so clearly."""
        none = 1.0 if self.measure == "perplexity" else 0.0
        if self.value is None or self.low is None or self.high is None:
            return None
        if self.low <= none <= self.high or (self.p is not None and self.p >= 0.05):
            return None
        return "better" if (self.value > none) != (self.measure == "perplexity") else "worse"


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

    @property
    def version(self) -> str | None:
        """The digest of the adapter's version; None for a base."""
        return self.adapter.digest if self.adapter else None

    @property
    def weights(self) -> str | None:
        """One digest of all weights that answered; None where the endpoint does not say what they are."""
        if self.fingerprint is None:
            return None
        return digest.of_json({"base": self.fingerprint, "adapter": self.version})


class SuiteEntry(_Shape):
    """The suite as it was read, with the digests of its data: enough to run it again."""

    name: str
    digest: str
    config: dict[str, Any]
    files: dict[str, str]


class Evidence(_Shape):
    """What decides whether an alias may move to a version: its numbers over a report's whole tasks."""

    schema_version: Literal[1] = 1
    report: str = Field(pattern=digest.PATTERN)
    """The report's `result_digest`."""
    suite: str = Field(min_length=1, max_length=200)
    suite_digest: str = Field(pattern=digest.PATTERN)
    models: list[Served] = Field(max_length=MODELS)
    finished: AwareDatetime
    metrics: list[Metric] = Field(max_length=METRICS)
    differences: list[Difference] = Field(max_length=8 * METRICS)

    @model_validator(mode="after")
    def _finite(self) -> "Evidence":
        numbers = (value for one in (*self.metrics, *self.differences) for value in vars(one).values())
        if not all(math.isfinite(value) for value in numbers if isinstance(value, float)):
            raise ValueError("a number is NaN or infinite")
        return self


_SEND = "send what `finetune eval` found"
Found = TypeVar("Found", Metric, Difference)


class NewEvidence(Evidence):
    """As it may come to a registry. What was kept before there were these rules is read as `Evidence`."""

    @field_validator("finished")
    @classmethod
    def _not_of_the_future(cls, finished: datetime) -> datetime:
        latest = datetime.now(UTC) + CLOCKS_DIFFER
        if not finished.year > FIRST_YEAR or finished > latest:
            raise ValueError(
                f"must lie after {FIRST_YEAR} and not later than now ({latest:%Y-%m-%d %H:%M} UTC); set the "
                "clock of the machine that evaluated, then evaluate again"
            )
        return finished

    @field_validator("metrics", "differences")
    @classmethod
    def _with_values(cls, found: list[Found]) -> list[Found]:
        """A mean over samples has a value, and one over several an interval around it."""
        for place, one in enumerate(found):
            if one.n < 0 or (one.n and one.value is None):
                raise ValueError(f"item {place} has n {one.n} and no value; {_SEND}")
            if one.n > 1 and (one.low is None or one.high is None or one.low > one.high):
                raise ValueError(f"item {place} has n {one.n} and no interval; {_SEND}")
        return found

    @model_validator(mode="after")
    def _shows_as_it_is(self) -> "NewEvidence":
        adapters = [one.adapter for one in self.models if one.adapter]
        for part in (self, *self.models, *adapters, *self.metrics, *self.differences):
            for key, text in vars(part).items():
                if isinstance(text, str) and (len(text) > MAX_TEXT or not _is_line(text)):
                    raise ValueError(
                        f"a {key} of {len(text)} characters is no line of at most {MAX_TEXT} that can be "
                        "shown; rename it in the suite"
                    )
        return self


def _is_line(text: str) -> bool:
    try:
        one_line(text)
    except ValueError:
        return False
    return True


class EvalReport(_Shape):
    """`report.json`."""

    schema_version: Literal[1] = 1
    suite: SuiteEntry
    endpoint: str
    models: list[Served]
    started: str
    finished: str
    reused: int
    """Answers known from earlier runs; the others were asked in this one."""
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

    def difference(
        self, model: str, task: str, category: str | None = None, against: str | None = None
    ) -> Difference | None:
        """How a model compares with another, by default the first; None where it was not compared."""
        pair = (model, against or self.models[0].name)
        for found in self.differences:
            if ((found.model, found.against), found.task, found.category) == (pair, task, category):
                return found
        return None

    def evidence(self, version: str) -> "Evidence":
        """What a registry keeps of it about the version with this digest; UserError if it is on others."""
        names = [one.name for one in self.models if one.version == version]
        if not names:
            asked = ", ".join(one.model for one in self.models)
            raise UserError(f"the report is on {asked}, not on {version[:19]}; evaluate that version.")
        return Evidence(
            report=self.result_digest,
            suite=self.suite.name,
            suite_digest=self.suite.digest,
            models=self.models,
            finished=datetime.fromisoformat(self.finished),
            metrics=[one for one in self.metrics if one.category is None and one.model in names],
            differences=[one for one in self.differences if one.category is None and one.model in names],
        )

    @property
    def result_digest(self) -> str:
        """The same for two runs that found the same, however long they took and wherever they asked."""
        found = self.model_dump(
            mode="json", exclude={"endpoint", "started", "finished", "reused", "versions"}
        )
        del found["suite"]["config"]  # it also says how fast to ask; the suite's digest covers the rest
        for sample in found["samples"]:
            for result in sample["results"].values():
                del result["latency_s"]
        return digest.of_json(found)


def read_report(path: Path) -> EvalReport:
    """`report.json`, or the one in a folder; UserError says why it is none."""
    path = path / "report.json" if path.is_dir() else path
    try:
        return EvalReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); make one with `finetune eval`.") from None
    except ValidationError as error:
        raise UserError(f"{path} is no evaluation report ({first_error(error)}); make it again.") from None
