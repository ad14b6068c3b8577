"""A question: what is sent, what is expected back, and what scores the answer."""

from dataclasses import dataclass, field
from typing import Any

from data.chat import Tool
from data.report import Answer, Kind
from finetune.eval.verdict import Score


@dataclass(frozen=True)
class Question:
    """`messages` end before the expected answer; ids are unique within a task.

    `score` is None where the answer is not scored (chat), or not by what it says (perplexity).
    """

    task: str
    kind: Kind
    id: str
    category: str
    messages: list[dict[str, Any]]
    tools: list[Tool] = field(default_factory=list)
    expected: Answer | None = None
    score: Score | None = None
