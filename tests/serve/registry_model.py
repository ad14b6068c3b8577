"""A registry in dictionaries: an independent word on what each change means, and how it has to be refused."""

from typing import Any

from data.errors import UserError
from serve.registry.records import AliasMoved, InUse, UnknownAdapter

Refusal = type[UserError] | None
"""What a change has to raise; None: it is made."""


class Model:
    """Adapters are known by numbers of the test's own, in place of their bytes."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[int, str]]] = {}
        """By name: which of the adapters each version is, the first is number 1, and who pushed it."""
        self.removed: dict[tuple[str, int], str] = {}
        self.pinned: set[tuple[str, int]] = set()
        self.aliases: dict[tuple[str, str], int] = {}
        self.moves: list[tuple[str, str, int | None, int | None, str]] = []

    def live(self, name: str, number: int) -> bool:
        return number <= len(self.versions.get(name, [])) and (name, number) not in self.removed

    def all_live(self) -> list[tuple[str, int]]:
        found = [(name, at + 1) for name, held in self.versions.items() for at in range(len(held))]
        return [one for one in found if one not in self.removed]

    def add(self, name: str, adapter: int, by: str) -> int:
        held = self.versions.setdefault(name, [])
        known = [one for one, _ in held]
        if adapter not in known:
            held.append((adapter, by))
            return len(held)
        number = known.index(adapter) + 1
        self.removed.pop((name, number), None)
        return number

    def move(self, name: str, moved: list[str], number: int | None, expected: Any, by: str) -> Refusal:
        if name not in self.versions or (number is not None and not self.live(name, number)):
            return UnknownAdapter
        done = []
        for alias in dict.fromkeys(moved):
            previous = self.aliases.get((name, alias))
            if previous == number:
                continue
            if expected not in ("any", previous):
                return AliasMoved
            done.append((name, alias, previous, number, by))
        for _, alias, _, number, _ in done:
            self.aliases.pop((name, alias), None)
            if number is not None:
                self.aliases[name, alias] = number
        self.moves += done
        return None

    def roll_back(self, name: str, alias: str, by: str) -> Refusal:
        if name not in self.versions:
            return UnknownAdapter
        last = [move for move in self.moves if move[:2] == (name, alias)][-1:]
        if not last or last[0][2] is None or last[0][3] is None:
            return AliasMoved
        return self.move(name, [alias], last[0][2], "any", by)

    def remove(self, name: str, number: int, by: str) -> Refusal:
        if (name, number) in self.removed:
            return None
        if not self.live(name, number):
            return UnknownAdapter
        if (name, number) in self.pinned or number in self.held(name).values():
            return InUse
        self.removed[name, number] = by
        return None

    def held(self, name: str) -> dict[str, int]:
        return {alias: number for (owner, alias), number in self.aliases.items() if owner == name}
