"""Examine conversations: rules, secrets, tokens, fingerprints. One `Examiner` lives in each process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data import duplicates, rules, secrets
from data.chat import AssistantMessage, Conversation, text_of
from finetune.render import Renderer, open_renderer
from finetune.validate.tally import SEVERITY, Category, Finding, Tally

Item = tuple[str, str]
"""A conversation to examine: its place, and its JSON, which costs less between processes than objects."""


@dataclass
class Examined:
    """Of a chunk of conversations: counts, findings, and their fingerprints one behind the other."""

    tally: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    fingerprints: bytes = b""


class Examiner:
    """`base` is the folder whose renderer counts the tokens; None leaves them out."""

    def __init__(self, base: Path | None, max_length: int | None) -> None:
        self._renderer: Renderer | None = open_renderer(base) if base else None
        self._max_length = max_length

    def chunk(self, items: Sequence[Item]) -> Examined:
        """Examine conversations in their order."""
        result = Examined()
        rows = []
        for where, text in items:
            conversation = Conversation.model_validate_json(text)
            self._count(conversation, result.tally)
            for problem in rules.problems(conversation):
                _note(result, problem.kind, f"{where}: {problem.where}", problem.message)
            # The JSON holds every text of the conversation, so one quick look serves them all.
            if secrets.suspicious(text):
                _secrets(conversation, where, result)
            if self._renderer:
                self._render(self._renderer, conversation, where, result)
            rows.append(duplicates.fingerprint(conversation))
        result.fingerprints = b"".join(rows)
        return result

    @staticmethod
    def _count(conversation: Conversation, tally: Tally) -> None:
        tally.records += 1
        tally.conversations += 1
        tally.with_tools += bool(conversation.tools)
        tally.tools.update(tool.function.name for tool in conversation.tools)
        tally.categories[category(conversation)] += 1
        learnt = sum(message.weight for message in _answers(conversation))
        tally.targets += learnt
        if not learnt:
            tally.dropped["no assistant message to learn"] += 1

    def _render(self, renderer: Renderer, conversation: Conversation, where: str, result: Examined) -> None:
        tally = result.tally
        try:
            samples = renderer.samples(conversation)
        except Exception as error:  # a base's template may raise anything; training would stop here
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            _note(
                result, "not_renderable", where, f"the base cannot render it ({reason}); mend or delete it."
            )
            tally.dropped["cannot be rendered"] += 1
            return
        for sample in samples:
            length = len(sample.input_ids)
            if self._max_length and length > self._max_length:
                tally.dropped[f"longer than {self._max_length} tokens"] += 1
                advice = f"shorten it, or set data.max_length to {length} or more."
                _note(result, "too_long", where, f"{length} tokens are left out of training; {advice}")
            else:
                tally.rows += 1
                tally.tokens += length
                tally.learnt_tokens += sum(sample.completion_mask)


def category(conversation: Conversation) -> Category:
    """By its calls: none, one (single), several in one message (parallel), or in several messages."""
    calls = [len(message.tool_calls) for message in _answers(conversation) if message.tool_calls]
    if not calls:
        return "none"
    if max(calls) > 1:
        return "parallel"
    return "single" if len(calls) == 1 else "multi_turn"


def _secrets(conversation: Conversation, where: str, result: Examined) -> None:
    for number, message in enumerate(conversation.messages, 1):
        texts = [text_of(message.content)]
        if isinstance(message, AssistantMessage):
            texts += [call.function.arguments for call in message.tool_calls]
        for secret in (found for text in texts for found in secrets.find(text)):
            place = f"{where}: message {number}"
            _note(
                result, "secret", place, f"this looks like {secret}; replace it, and revoke it if it is real."
            )
    for number, tool in enumerate(conversation.tools, 1):
        for secret in secrets.find(tool.model_dump_json()):
            place = f"{where}: tool {number}"
            _note(
                result, "secret", place, f"this looks like {secret}; replace it, and revoke it if it is real."
            )


def _note(result: Examined, kind: str, where: str, message: str) -> None:
    """Count a finding; notes are counted only."""
    result.tally.found[kind] += 1
    if SEVERITY[kind] != "note":
        result.findings.append(Finding(kind, where, message))


def _answers(conversation: Conversation) -> list[AssistantMessage]:
    return [message for message in conversation.messages if isinstance(message, AssistantMessage)]
