"""A tool as the generator knows it: its schema, and the words with which people ask for it."""

import json
import re
from dataclasses import dataclass
from typing import Any

from data.chat import Function, Tool
from data.generate.kinds import Draw, Kind
from data.generate.pools import Split

_PLACEHOLDER = re.compile(r"\{(\w+)(/2)?\}")


@dataclass(frozen=True)
class Wording:
    """Templates of the two splits. `{city}` stands for a parameter, `{city/2}` for that of a second call;
    what follows ` | ` are arguments that the words imply (`urgent=true`)."""

    train: tuple[str, ...] = ()
    heldout: tuple[str, ...] = ()

    def of(self, split: Split) -> tuple[str, ...]:
        return self.train if split == "train" else self.heldout


NOTHING = Wording()


def words(train: list[str], heldout: list[str]) -> Wording:
    return Wording(tuple(train), tuple(heldout))


@dataclass(frozen=True, eq=False)
class Spec:
    """One tool. Arguments are exactly the parameters that a template names, in the schema's order.

    `params` keys that end in `?` are optional. `about` is an imperative sentence without a full stop.
    `both` asks for two calls at once, `pt` asks in Portuguese; `result` is what the tool returns and
    `say` tells it to the user.
    """

    name: str
    about: str
    params: dict[str, Kind]
    ask: Wording
    both: Wording = NOTHING
    pt: Wording = NOTHING
    result: dict[str, Kind] | None = None
    say: Wording = NOTHING

    @property
    def kinds(self) -> dict[str, Kind]:
        return {key.removesuffix("?"): kind for key, kind in self.params.items()}

    @property
    def required(self) -> list[str]:
        return [key for key in self.params if not key.endswith("?")]

    def wordings(self) -> tuple[Wording, ...]:
        return (self.ask, self.both, self.pt, self.say)


@dataclass(frozen=True)
class Face:
    """A tool as one conversation shows it: its name, and its parameters' names in the order shown."""

    spec: Spec
    name: str
    names: dict[str, str]

    @classmethod
    def plain(cls, spec: Spec) -> "Face":
        return cls(spec, spec.name, {name: name for name in spec.kinds})

    def tool(self) -> Tool:
        if not self.names:
            parameters: dict[str, Any] = {"type": "object", "properties": {}}
        else:
            kinds, required = self.spec.kinds, self.spec.required
            properties = {shown: kinds[name].schema() for name, shown in self.names.items()}
            needed = [shown for name, shown in self.names.items() if name in required]
            parameters = {"type": "object", "properties": properties, "required": needed}
        return Tool(function=Function(name=self.name, description=self.spec.about, parameters=parameters))

    def arguments(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values under the shown names, in the schema's order."""
        return {shown: values[name] for name, shown in self.names.items() if name in values}


def fill(spec: Spec, template: str, draw: Draw) -> tuple[str, list[dict[str, Any]]]:
    """The utterance, and the arguments of the one or two calls that it asks for."""
    text, _, implied = template.partition(" | ")
    first = {
        key: json.loads(value) for key, value in (pair.split("=") for pair in implied.split(", ") if pair)
    }
    second: dict[str, Any] = {}
    for name, again in _PLACEHOLDER.findall(text):
        values = second if again else first
        if name not in values:
            values[name] = spec.kinds[name].draw(draw)
    calls = [first, first | second] if second else [first]
    spoken = _PLACEHOLDER.sub(
        lambda found: spec.kinds[found[1]].say(calls[1 if found[2] else 0][found[1]], draw.split), text
    )
    for call in calls:
        if missing := set(spec.required) - set(call):
            raise ValueError(f"template {template!r} of {spec.name} names no {', '.join(sorted(missing))}")
    return spoken, calls


def tell(spec: Spec, template: str, facts: dict[str, Any], split: Split) -> str:
    """An answer in words out of a call's arguments and the tool's result."""
    kinds = spec.kinds | (spec.result or {})
    return _PLACEHOLDER.sub(lambda found: kinds[found[1]].say(facts[found[1]], split), template)
