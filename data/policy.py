"""What an alias asks for before it moves: reports on suites, and how much worse a version may be on them."""

from typing import Annotated

from pydantic import Field

from data import digest as digests
from data.strict import Strict

Bound = Annotated[float, Field(ge=0, le=1)]
SUITES = 32
TASKS = 256


class SuiteRule(Strict):
    """One suite that a version must have been asked, beside the version that the alias means."""

    name: str = Field(min_length=1, max_length=200)
    """The suite's own name, as its report has it."""
    digest: str | None = Field(default=None, pattern=digests.PATTERN)
    """The state of the suite and its data; absent means any."""
    most_worse: Bound = 0.02
    """By how much accuracy or score may clearly be lower, or perplexity higher as a share of what it was."""
    tasks: dict[str, Bound] = Field(default={}, max_length=TASKS)
    """Other bounds, for tasks by name. Each must be in the report."""


class Policy(Strict):
    """What a version must show before an alias moves to it."""

    suites: list[SuiteRule] = Field(min_length=1, max_length=SUITES)
    """The suites that it must have been asked; each has a rule of its own."""
