"""What a record means, whatever its format: who says what, which calls are made, what is learned.

Two things are compared by their `Slot`s, in order: what the made-up talk means, and what a reader read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from bench.fuzz_data.marks import Mint, marks_of

_TYPES = ("string", "integer", "number", "boolean", "array", "object")


@dataclass(frozen=True)
class Call:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """Words of one role; of an assistant also calls, and their results with the number of the call."""

    role: str
    text: str | None = None
    calls: tuple[Call, ...] = ()
    results: tuple[tuple[int, str], ...] = ()
    learned: bool = True


@dataclass(frozen=True)
class Tool:
    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Talk:
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    system: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


class Slot(NamedTuple):
    """One thing that is said: `kind` says by whom, `said` what, `learned` whether its tokens are learned."""

    kind: str
    said: tuple[str, ...]
    learned: bool = False

    @property
    def marks(self) -> frozenset[str]:
        return frozenset().union(*map(marks_of, self.said))

    @property
    def own(self) -> frozenset[str]:
        """The marks that no other slot has: of a call its arguments' values, since names are its tool's."""
        if self.kind.rpartition(" ")[2] == "call":
            return frozenset().union(*map(marks_of, _values(json.loads(self.said[1]))))
        return marks_of(self.said[0])


def _values(value: Any) -> Iterator[Any]:
    """Every value in a value that holds no other."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item)
    else:
        yield value


def written(value: Any) -> str:
    """JSON with one spelling."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def slots(talk: Talk) -> list[Slot]:
    """What the talk means."""
    found = [Slot("tool", (tool.name, tool.description, written(tool.parameters))) for tool in talk.tools]
    found += [Slot(kind, (value,)) for kind, value in sorted(talk.labels.items())]
    if talk.system is not None:
        found.append(Slot("system", (talk.system,)))
    return found + [slot for turn in talk.turns for slot in slots_of(turn)]


def slots_of(turn: Turn) -> Iterator[Slot]:
    learned = turn.learned and turn.role == "assistant"
    if turn.text is not None:
        yield Slot(turn.role, (turn.text,), learned)
    for call in turn.calls:
        yield Slot("call", (call.name, written(call.arguments)), learned)
    for number, text in turn.results:
        call = turn.calls[number]
        yield Slot("result", (text, call.name, written(call.arguments)))


def forgotten(talk: Talk) -> Talk:
    """The same talk with nothing to learn."""
    return replace(talk, turns=tuple(replace(turn, learned=False) for turn in talk.turns))


@dataclass(frozen=True)
class Draw:
    """Talks that a format can hold."""

    mint: Mint
    system: bool = True
    calls: bool = True
    parallel: bool = True
    words_before_calls: bool = True
    any_order: bool = False
    """Results may come in another order than their calls: the format knows ids."""
    several: bool = True
    """More than one question."""
    nulls: bool = False
    """An argument that may be null may be it: not where a table's nulls cannot be told from those meant."""
    labels: bool = True

    def talk(self) -> Talk:
        mint = self.mint
        tools = tuple(self._tool() for _ in range(mint.random.randint(1, 3))) if self.calls else ()
        turns: list[Turn] = []
        for _ in range(mint.random.randint(1, 3) if self.several else 1):
            turns += self._exchange(tools)
        if tools and turns[-1].role == "assistant" and mint.chance(0.3):  # ends in calls that nobody answered
            turns[-1] = self.calling(tools)
        kept = {
            name: mint.word() for name in ("id", "group", "category") if self.labels and mint.chance(0.15)
        }
        return Talk(
            turns=tuple(turns),
            tools=tools,
            system=mint.text() if self.system and mint.chance(0.5) else None,
            labels=kept,
        )

    def _exchange(self, tools: tuple[Tool, ...]) -> Iterator[Turn]:
        yield Turn("user", self.mint.text())
        if tools and self.mint.chance(0.6):
            turn = self.calling(tools)
            numbers = list(range(len(turn.calls)))
            if self.any_order:
                self.mint.random.shuffle(numbers)
            yield replace(turn, results=tuple((number, self.mint.text()) for number in numbers))
        yield Turn("assistant", self.mint.text())

    def calling(self, tools: tuple[Tool, ...]) -> Turn:
        count = self.mint.random.choice((1, 1, 2, 3)) if self.parallel else 1
        words = self.mint.text() if self.words_before_calls and self.mint.chance(0.3) else None
        return Turn(
            "assistant", words, tuple(self._call(self.mint.random.choice(tools)) for _ in range(count))
        )

    def _call(self, tool: Tool) -> Call:
        given = tool.parameters["properties"]
        required = tool.parameters["required"]
        return Call(
            tool.name,
            {
                name: self._value(schema["type"], name in required)
                for name, schema in given.items()
                if name in required or self.mint.chance(0.7)
            },
        )

    def _tool(self) -> Tool:
        mint = self.mint
        properties = {
            mint.word(): {"type": self._type(), "description": mint.text()}
            for _ in range(mint.random.randint(1, 3))
        }
        required = [name for name in properties if mint.chance(0.6)]
        schema = {"type": "object", "properties": properties, "required": required}
        return Tool(mint.word(), mint.text(), schema)

    def _type(self) -> Any:
        kind = self.mint.random.choice(_TYPES)
        return [kind, "null"] if self.nulls and self.mint.chance(0.2) else kind

    def _value(self, given: Any, required: bool) -> Any:
        mint = self.mint
        kind = given
        if isinstance(given, list):
            kind = given[0]
            if required or mint.chance(0.5):
                return None
        return {
            "string": mint.text,
            "integer": mint.number,
            "number": lambda: mint.number() + 0.5,
            "boolean": lambda: mint.chance(0.5),
            "array": lambda: [mint.word(), mint.number()],
            "object": lambda: {mint.word(): mint.word(), mint.word(): [mint.number()]},
        }[kind]()
