"""A preference: one question and two answers, the first of which is better. `method: dpo` learns from it."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data import digest, rules
from data.chat import AssistantMessage, Conversation, Message, Tool, text_of
from data.rules import Problem

_A_WRONG_ANSWER_MAY = frozenset({
    "call_as_text", "empty_question", "empty_target", "invalid_arguments", "media_placeholder",
    "unknown_tool",
})  # fmt: skip
"""Kinds of `rules.problems` that a rejected answer is free to show, since that may be why it was rejected, or
that the chosen one shows too."""


class Preference(BaseModel):
    """`prompt` ends where the assistant is to speak; `chosen` and `rejected` differ in words or calls.

    `id`, `group` and `category` are as in `Conversation`. Earlier answers of the prompt are context: their
    weights say nothing here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: list[Message] = Field(min_length=1)
    tools: list[Tool] = []
    chosen: AssistantMessage
    rejected: AssistantMessage
    id: str | None = None
    group: str | None = None
    category: str | None = None

    @model_validator(mode="after")
    def _can_be_preferred(self) -> "Preference":
        if (role := self.prompt[-1].role) not in ("user", "tool"):
            raise ValueError(
                f"the prompt ends in a message of the role {role}, but answers follow a user or tool message"
            )
        for name in ("chosen", "rejected"):
            if not getattr(self, name).weight:
                raise ValueError(f"{name} has weight 0, but both answers are needed to compare them")
        if _said(self.chosen) == _said(self.rejected):
            raise ValueError("chosen and rejected are the same answer, so neither can be preferred")
        return self

    def asked(self) -> Conversation:
        """The question alone, without tools: preferences that share it belong to the same side of a split."""
        return Conversation(messages=self.prompt, id=self.id, group=self.group)

    def answered(self, answer: AssistantMessage) -> Conversation:
        """The conversation in which `answer` is the last message, and the only one to learn."""
        before = [
            message.model_copy(update={"weight": 0}) if isinstance(message, AssistantMessage) else message
            for message in self.prompt
        ]
        return Conversation(
            messages=[*before, answer], tools=self.tools, id=self.id, group=self.group, category=self.category
        )

    def plain(self) -> dict[str, Any]:
        """As OpenAI's preference fine-tuning files have it."""
        chosen, rejected = (self.answered(answer).plain() for answer in (self.chosen, self.rejected))
        *asked, preferred = chosen.pop("messages")
        return {
            "input": {"messages": asked} | chosen,
            "preferred_output": [preferred],
            "non_preferred_output": rejected["messages"][-1:],
        }


def problems(preference: Preference) -> list[Problem]:
    """What `rules.problems` finds in the prompt and in each answer; `where` is then `chosen` or `rejected`.

    Of the rejected answer only what cannot be rendered or asked for counts: that it calls a tool that is not
    there, or wrongly, may be the very thing to unlearn.
    """
    answer = f"message {len(preference.prompt) + 1}"
    chosen = rules.problems(preference.answered(preference.chosen))
    rejected = rules.problems(preference.answered(preference.rejected))
    found = [replace(problem, where="chosen") if problem.where == answer else problem for problem in chosen]
    return found + [
        replace(problem, where="rejected")
        for problem in rejected
        if problem.where == answer and problem.kind not in _A_WRONG_ANSWER_MAY
    ]


def _said(answer: AssistantMessage) -> str:
    """What an answer says and calls, whatever its calls' ids and the spelling of their JSON."""
    calls = [[call.function.name, call.function.parsed()] for call in answer.tool_calls]
    return digest.canonical([text_of(answer.content), calls])
