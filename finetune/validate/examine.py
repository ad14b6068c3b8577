"""Examine conversations: rules, secrets, tokens, fingerprints. One `Examiner` lives in each process."""

import marshal
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from data import duplicates, rules, secrets
from data.chat import AssistantMessage, Conversation, text_of
from data.formats import Raw, record
from data.splits import Keys, keys_of
from finetune.render import Learn, Renderer, open_renderer, targets
from finetune.validate.tally import SEVERITY, Category, Finding, Tally


@dataclass
class Chunk:
    """Records of one source, as their file holds them: importing them is work for many processes too."""

    records: list[Raw]
    format: str | None


@dataclass
class Examined:
    """Of a chunk: counts, findings, and the places and fingerprints of the conversations in it."""

    tally: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    fingerprints: bytes = b""
    """One behind the other, in the order of `places`."""
    keys: list[Keys] = field(default_factory=list)
    """For the split, in the order of `places`; none where nothing is split."""

    def note(self, kind: str, where: str, message: str) -> None:
        """Count a finding; what costs nothing is counted only."""
        self.tally.found[kind] += 1
        if SEVERITY[kind] != "note":
            self.findings.append(Finding(kind, where, message))


@dataclass(frozen=True)
class Settings:
    """What training would do: `base` is the folder whose renderer counts tokens; None leaves them out."""

    base: Path | None
    max_length: int | None = None
    learn: Learn = "all"
    split: bool = False
    """Whether training will hold out a part of what it reads."""


class Examiner:
    def __init__(self, settings: Settings) -> None:
        self._renderer: Renderer | None = open_renderer(settings.base) if settings.base else None
        self._max_length = settings.max_length
        self._learn = settings.learn
        self._split = settings.split

    def chunk(self, chunk: Chunk) -> Examined:
        """Examine records in their order."""
        result = Examined()
        rows = []
        for raw in chunk.records:
            result.tally.records += 1
            one = record(raw, chunk.format)
            if one.conversation is None:
                result.tally.dropped["cannot be read"] += 1
                result.note("unreadable", one.where, one.problem or "it cannot be read; mend it.")
                continue
            self._examine(one.conversation, one.where, result)
            result.places.append(one.where)
            rows.append(duplicates.fingerprint(one.conversation))
            if self._split:
                result.keys.append(keys_of(one.conversation))
        result.fingerprints = b"".join(rows)
        return result

    def _examine(self, conversation: Conversation, where: str, result: Examined) -> None:
        learnt = len(targets(conversation, self._learn))
        _count(conversation, learnt, result.tally)
        for problem in rules.problems(conversation):
            result.note(problem.kind, f"{where}: {problem.where}", problem.message)
        for place, secret in _secrets(conversation):
            advice = "replace it, and revoke it if it is real."
            result.note("secret", f"{where}: {place}", f"this looks like {secret}; {advice}")
        if self._renderer:
            self._render(self._renderer, conversation, where, result)
        else:
            result.tally.rows += bool(learnt)

    def _render(self, renderer: Renderer, conversation: Conversation, where: str, result: Examined) -> None:
        tally = result.tally
        try:
            samples = renderer.samples(conversation, self._learn)
        except Exception as error:  # a base's template may raise anything; training would stop here
            reason = " ".join(str(error).split())[:200].removesuffix(".") or type(error).__name__
            result.note("not_renderable", where, f"the base cannot render it ({reason}); mend or delete it.")
            tally.dropped["cannot be rendered"] += 1
            return
        for sample in samples:
            length = len(sample.input_ids)
            if self._max_length and length > self._max_length:
                tally.dropped[f"longer than {self._max_length} tokens"] += 1
                advice = f"shorten it, or set data.max_length to {length} or more."
                result.note("too_long", where, f"{length} tokens are left out of training; {advice}")
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


def _count(conversation: Conversation, learnt: int, tally: Tally) -> None:
    tally.conversations += 1
    tally.with_tools += bool(conversation.tools)
    tally.tools.update(tool.function.name for tool in conversation.tools)
    tally.categories[category(conversation)] += 1
    tally.targets += learnt
    if not learnt:
        tally.dropped["no assistant message to learn"] += 1


def _secrets(conversation: Conversation) -> list[tuple[str, secrets.Secret]]:
    """Probable secrets with the place in the conversation."""
    texts: list[tuple[str, str]] = []
    for number, message in enumerate(conversation.messages, 1):
        texts.append((f"message {number}", text_of(message.content)))
        if isinstance(message, AssistantMessage):
            texts += [(f"message {number}", call.function.arguments) for call in message.tool_calls]
    found = []
    # One quick look at everything that was said; almost always it is the last.
    if secrets.suspicious("\n".join(text for _, text in texts)):
        found = [
            (place, secret)
            for place, text in texts
            if secrets.suspicious(text)
            for secret in secrets.find(text)
        ]
    for number, tool in enumerate(conversation.tools, 1):
        function = tool.function
        key = marshal.dumps((function.name, function.description, function.parameters), 2)
        found += [(f"tool {number}", secret) for secret in _in_definition(key)]
    return found


@lru_cache(maxsize=8192)
def _in_definition(key: bytes) -> tuple[secrets.Secret, ...]:
    """The same tools stand in many conversations; `key` is the quickest that tells them apart."""
    text = repr(marshal.loads(key))
    return tuple(secrets.find(text)) if secrets.suspicious(text) else ()


def _answers(conversation: Conversation) -> list[AssistantMessage]:
    return [message for message in conversation.messages if isinstance(message, AssistantMessage)]
