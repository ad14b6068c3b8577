"""Conversations out of tools, templates and pools; the same seed always gives the same bytes."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data.chat import (
    AssistantMessage,
    Conversation,
    FunctionCall,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from data.formats import call_id
from data.generate import phrases
from data.generate.kinds import Draw
from data.generate.names import other_face
from data.generate.pools import Split
from data.generate.spec import Face, Spec, fill, tell
from data.generate.tools import DOMAINS, clash

_TOOLS_SHOWN = (1, 1, 1, 2, 2, 2, 3)
_SYSTEM_SHARE = 0.3
_OTHER_NAMES_SHARE = 0.15
_BRIEF_SHARE = 0.7
# Where a request of a series falls by chance: below the first share it is for two tools, and so on.
_TWO_SPECS_SHARE, _BOTH_SHARE, _PORTUGUESE_SHARE = 0.1, 0.18, 0.28


def strangers(spec: Spec, specs: Sequence[Spec]) -> list[Spec]:
    """Those of `specs` that nobody would mistake for `spec`: the ones of other domains."""
    home = next((domain for domain in DOMAINS if spec in domain), (spec,))
    return [other for other in specs if other not in home]


@dataclass
class Builder:
    """Makes the conversations of one file; `specs` are the tools that it may show.

    `renamed` lets half of the conversations show tools under other names (training only).
    """

    name: str
    split: Split
    specs: Sequence[Spec]
    renamed: bool = False

    def __post_init__(self) -> None:
        self._rng = random.Random(f"enxerto {self.name}")
        self._count = 0
        self._asked: dict[str, int] = {}
        self._said: set[str] = set()

    def single(self, spec: Spec, category: str = "single") -> Conversation:
        scene = self._scene(spec)
        wording = spec.pt if category == "portuguese" else spec.ask
        scene.ask(spec, wording.of(self.split))
        return scene.end(category)

    def parallel(self, spec: Spec, other: Spec | None = None) -> Conversation:
        """Two calls at once: of one tool where it has a template for that, else of two tools."""
        if other is None:
            scene = self._scene(spec)
            scene.ask(spec, spec.both.of(self.split))
        else:
            scene = self._scene(spec, other)
            scene.ask_two(spec, other)
        return scene.end("parallel")

    def answer(self, spec: Spec) -> Conversation:
        scene = self._scene(spec)
        scene.ask(spec, spec.ask.of(self.split))
        scene.tell()
        return scene.end("answer")

    def multi_turn(self, *specs: Spec) -> Conversation:
        """One request after another: each is answered in words, except the last, which ends in its call."""
        *answered, last = specs
        scene = self._scene(*dict.fromkeys(specs))
        for place, spec in enumerate(answered):
            scene.ask(spec, spec.ask.of(self.split), following=place > 0)
            scene.tell()
        scene.ask(last, last.ask.of(self.split), following=True)
        return scene.end("multi_turn")

    def series(self, specs: Sequence[Spec], stranger: Spec, length: int) -> Conversation:
        """A long talk over some tools: request after request, some for two calls at once, some for what
        none of the tools can do. Most results are acknowledged in a word."""
        scene = self._scene(*specs, extra=False)
        refused = self._rng.randrange(1, 2 * length)  # in almost half of them never, in some at the end
        for place in range(length):
            if place == refused:
                scene.refuse(stranger, following=True)
            one, other = self._rng.sample(specs, 2)
            kind = self._rng.random()
            if kind < _TWO_SPECS_SHARE:
                scene.ask_two(one, other, following=place > 0)
            elif kind < _BOTH_SHARE and one.both.of(self.split):
                scene.ask(one, one.both.of(self.split), following=place > 0)
            elif kind < _PORTUGUESE_SHARE and one.pt.of(self.split):
                scene.ask(one, one.pt.of(self.split), following=place > 0)
            else:
                scene.ask(one, one.ask.of(self.split), following=place > 0)
            if place < length - 1 or refused == length:
                scene.tell(briefly=self._rng.random() < _BRIEF_SHARE)
        if refused == length:
            scene.refuse(stranger, following=True)
            return scene.end("answer")
        return scene.end("parallel" if scene.ends_in_two else "multi_turn")

    def none(self, wanted: Spec) -> Conversation:
        """The user wants what only a tool that is not shown could do."""
        scene = self._scene(*self._some(strangers(wanted, self.specs)), extra=False)
        scene.refuse(wanted)
        return scene.end("none")

    def fact(self, question: str, reply: str) -> Conversation:
        """A question that needs no tool, asked while tools are there."""
        scene = self._scene(*self._some(self.specs), extra=False)
        scene.talk(question, reply)
        return scene.end("none")

    def chat(self, question: str, reply: str) -> Conversation:
        scene = Scene(self, [], system=False)
        scene.talk(question, reply)
        return scene.end("chat")

    def _scene(self, *specs: Spec, extra: bool = True) -> "Scene":
        shown = list(specs)
        if extra:
            self._add(shown, self.specs, max(self._rng.choice(_TOOLS_SHOWN), len(shown)))
        self._rng.shuffle(shown)
        return Scene(self, shown, system=self._rng.random() < _SYSTEM_SHARE)

    def _some(self, specs: Sequence[Spec]) -> list[Spec]:
        shown: list[Spec] = []
        self._add(shown, specs, self._rng.randint(1, 3))
        return shown

    def _add(self, shown: list[Spec], specs: Sequence[Spec], wanted: int) -> None:
        """Tools out of `specs` that cannot be mistaken for one that is shown, until `wanted` are."""
        for spec in self._rng.sample(specs, len(specs)):
            if len(shown) < wanted and not any(clash(spec, present) for present in shown):
                shown.append(spec)

    def faces(self, specs: Sequence[Spec]) -> dict[str, Face]:
        if self.renamed and self._rng.random() < _OTHER_NAMES_SHARE:
            return {spec.name: other_face(spec, self._rng) for spec in specs}
        return {spec.name: Face.plain(spec) for spec in specs}

    def next_id(self) -> str:
        self._count += 1
        return f"{self.name}-{self._count:04}"

    def turn(self, key: str, templates: Sequence[str]) -> str:
        """The templates of one kind in turn, so that each is used before any is used again."""
        place = self._asked.get(key, 0)
        self._asked[key] = place + 1
        return templates[place % len(templates)]

    def draw(self) -> Draw:
        return Draw(self._rng, self.split)

    def fresh(self, text: str) -> bool:
        """Whether no conversation of this file has asked this yet; remembers it."""
        new = text not in self._said
        self._said.add(text)
        return new


class Scene:
    """One conversation while it is being written."""

    def __init__(self, builder: Builder, specs: Sequence[Spec], *, system: bool) -> None:
        self.id = builder.next_id()
        self._builder = builder
        self._draw = builder.draw()
        self._faces = builder.faces(specs)
        self._messages: list[Message] = []
        self._calls = 0
        self._last: list[tuple[ToolCall, Spec, dict[str, Any]]] = []
        if system:
            self._messages.append(
                SystemMessage(role="system", content=self._draw.pick(phrases.SYSTEM.of(builder.split)))
            )

    def ask(self, spec: Spec, templates: Sequence[str], following: bool = False) -> None:
        text, calls = self._fill(spec, self._wording(spec, templates))
        self._user(text, following)
        self._call([(spec, values) for values in calls])

    def ask_two(self, spec: Spec, other: Spec, following: bool = False) -> None:
        texts: list[str] = []
        calls: list[tuple[Spec, dict[str, Any]]] = []
        for each in (spec, other):
            text, (values,) = self._fill(each, self._wording(each, each.ask.of(self._draw.split)))
            texts.append(text)
            calls.append((each, values))
        joined = self._draw.pick(phrases.TWO_REQUESTS.of(self._draw.split)).format(*texts)
        self._user(joined, following)
        self._call(calls)

    def tell(self, briefly: bool = False) -> None:
        """The results of the last calls, and the words that pass them on, or just that it is done."""
        said: list[str] = []
        for call, spec, values in self._last:
            result = {name: kind.draw(self._draw) for name, kind in (spec.result or {}).items()}
            content = json.dumps(result or {"status": "ok"}, ensure_ascii=False)
            self._messages.append(ToolMessage(role="tool", content=content, tool_call_id=call.id))
            if not briefly:
                template = self._builder.turn(f"{spec.name} say", spec.say.of(self._draw.split))
                said.append(tell(spec, template, values | result, self._draw.split))
        self._say(" ".join(said) or phrases.BRIEF)

    def refuse(self, wanted: Spec, following: bool = False) -> None:
        text, _ = self._fill(wanted, self._draw.pick(wanted.ask.of(self._draw.split)))
        offer = self._draw.pick(list(self._faces.values())).spec.about
        reply = self._builder.turn("refuse", phrases.NO_TOOL.of(self._draw.split))
        self._user(text, following)
        self._say(reply.format(offer=offer[0].lower() + offer[1:]))

    def talk(self, question: str, reply: str) -> None:
        self._user(question)
        self._say(reply)

    @property
    def ends_in_two(self) -> bool:
        return len(self._last) > 1

    def end(self, category: str) -> Conversation:
        tools = [face.tool() for face in self._faces.values()]
        return Conversation(id=self.id, category=category, tools=tools, messages=self._messages)

    def _fill(self, spec: Spec, template: str) -> tuple[str, list[dict[str, Any]]]:
        """A filled template that this file has not used yet, where the pools still have one."""
        for _ in range(20):
            text, calls = fill(spec, template, self._draw)
            if self._builder.fresh(text):
                break
        return text, calls

    def _wording(self, spec: Spec, templates: Sequence[str]) -> str:
        return self._builder.turn(f"{spec.name} {templates[0]}", templates)

    def _user(self, text: str, following: bool = False) -> None:
        if following:
            text = self._draw.pick(phrases.NEXT_REQUEST.of(self._draw.split)).format(text)
        self._messages.append(UserMessage(role="user", content=text))

    def _say(self, text: str) -> None:
        self._messages.append(AssistantMessage(role="assistant", content=text))

    def _call(self, calls: Sequence[tuple[Spec, dict[str, Any]]]) -> None:
        made: list[ToolCall] = []
        for spec, values in calls:
            face = self._faces[spec.name]
            arguments = json.dumps(face.arguments(values), ensure_ascii=False)
            self._calls += 1
            called = FunctionCall(name=face.name, arguments=arguments)
            made.append(ToolCall(id=call_id(f"{self.id} {self._calls}"), function=called))
        self._messages.append(AssistantMessage(role="assistant", tool_calls=made))
        self._last = [(call, *asked) for call, asked in zip(made, calls, strict=True)]
