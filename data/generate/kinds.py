"""Kinds of parameters: each knows its JSON schema, how to draw a value, and how a person would say it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from data.generate.pools import POOLS, Split, number_split

T = TypeVar("T")


@dataclass
class Draw:
    """Seeded choices for one conversation; a value already used is avoided while others remain."""

    rng: random.Random
    split: Split
    used: list[Any] = field(default_factory=list)

    def pick(self, values: Sequence[T]) -> T:
        value = self.rng.choice([value for value in values if value not in self.used] or values)
        self.used.append(value)
        return value


class Kind(Protocol):
    def schema(self) -> dict[str, Any]:
        """The JSON schema of this parameter."""
        ...

    def draw(self, draw: Draw) -> Any:
        """A JSON value out of the split's half."""
        ...

    def say(self, value: Any, split: Split) -> str:
        """The value as it stands in an utterance, literally recoverable."""
        ...


class _Plain:
    def say(self, value: Any, split: Split) -> str:
        return str(value)


@dataclass(frozen=True)
class Text(_Plain):
    pool: str
    about: str = ""

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "description": self.about} if self.about else {"type": "string"}

    def draw(self, draw: Draw) -> str:
        return draw.pick(POOLS[self.pool].of(draw.split))


@dataclass(frozen=True)
class Choice(_Plain):
    """An enumeration; its values are part of the schema and so the same in both splits."""

    values: str

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": self.values.split()}

    def draw(self, draw: Draw) -> str:
        return draw.pick(self.values.split())


@dataclass(frozen=True)
class Integer(_Plain):
    low: int
    high: int
    step: int = 1

    def schema(self) -> dict[str, Any]:
        return {"type": "integer"}

    def draw(self, draw: Draw) -> int:
        values = range(self.low, self.high + 1, self.step)
        return draw.pick([value for value in values if number_split(value) == draw.split])


@dataclass(frozen=True)
class Number(_Plain):
    """A decimal number out of `low`, `low + step`...; whole ones are written without a point."""

    low: float
    high: float
    step: float

    def schema(self) -> dict[str, Any]:
        return {"type": "number"}

    def draw(self, draw: Draw) -> float:
        count = int((self.high - self.low) / self.step) + 1
        values = [_tidy(self.low + place * self.step) for place in range(count)]
        return draw.pick([value for value in values if number_split(value) == draw.split])


def _tidy(value: float) -> float:
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


@dataclass(frozen=True)
class Flag(_Plain):
    """True or false; only ever set by a template's own words (`... | urgent=true`)."""

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def draw(self, draw: Draw) -> bool:
        return draw.rng.random() < 0.5


@dataclass(frozen=True)
class Many:
    item: Kind
    low: int = 2
    high: int = 3

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema()}

    def draw(self, draw: Draw) -> list[Any]:
        return [self.item.draw(draw) for _ in range(draw.rng.randint(self.low, self.high))]

    def say(self, value: Any, split: Split) -> str:
        *first, last = [self.item.say(item, split) for item in value]
        return f"{', '.join(first)} and {last}" if first else last


@dataclass(frozen=True)
class Record:
    """A nested object; `train` and `heldout` say how its fields are spoken in each split."""

    fields: dict[str, Kind]
    train: str
    heldout: str

    def schema(self) -> dict[str, Any]:
        properties = {name: kind.schema() for name, kind in self.fields.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}

    def draw(self, draw: Draw) -> dict[str, Any]:
        return {name: kind.draw(draw) for name, kind in self.fields.items()}

    def say(self, value: Any, split: Split) -> str:
        spoken = {name: kind.say(value[name], split) for name, kind in self.fields.items()}
        return (self.train if split == "train" else self.heldout).format(**spoken)
