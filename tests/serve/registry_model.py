"""A registry in dictionaries: an independent word on what each change means, and how it has to be refused."""

from typing import Any

from data.errors import UserError
from serve.registry.records import AliasMoved, InUse, UnknownAdapter

Aim = tuple[int, int | None, int | None]
"""A version, its canary, and how many percent are for that."""

Refusal = type[UserError] | None
"""What a change has to raise; None: it is made."""


class Model:
    """Adapters are known by numbers of the test's own, in place of their bytes."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[int, str]]] = {}
        """By name: which of the adapters each version is, the first is number 1, and who pushed it."""
        self.removed: dict[tuple[str, int], str] = {}
        self.pinned: set[tuple[str, int]] = set()
        self.aims: dict[tuple[str, str], Aim] = {}
        self.moves: list[tuple[str, str, int | None, Aim | None, str]] = []

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
            aim = None if number is None else (number, None, None)
            if self.aims.get((name, alias)) == aim:
                continue
            if expected not in ("any", self.number(name, alias)):
                return AliasMoved
            done.append((alias, aim))
        for alias, aim in done:
            self._point(name, alias, aim, by)
        return None

    def split(self, name: str, alias: str, canary: int, weight: int, expected: Any, by: str) -> Refusal:
        if not self.live(name, canary):
            return UnknownAdapter
        number = self.number(name, alias)
        if number in (None, canary):
            return AliasMoved
        assert number
        aim = (number, canary, weight)
        if self.aims[name, alias] != aim:
            if expected not in ("any", number):
                return AliasMoved
            self._point(name, alias, aim, by)
        return None

    def roll_back(self, name: str, alias: str, by: str) -> Refusal:
        if name not in self.versions:
            return UnknownAdapter
        led = [aim for owner, one, _, aim, _ in self.moves if (owner, one) == (name, alias)][-2:]
        if len(led) < 2 or led[0] is None or led[1] is None:
            return AliasMoved
        aim = led[0]
        if aim[1] and aim[1] in led[1][:2]:
            aim = (aim[0], None, None)
        if not all(self.live(name, number) for number in aim[:2] if number):
            return UnknownAdapter
        self._point(name, alias, aim, by)
        return None

    def number(self, name: str, alias: str) -> int | None:
        """The version that an alias points to, but for its canary."""
        aim = self.aims.get((name, alias))
        return aim[0] if aim else None

    def _point(self, name: str, alias: str, aim: Aim | None, by: str) -> None:
        self.moves.append((name, alias, self.number(name, alias), aim, by))
        self.aims.pop((name, alias), None)
        if aim:
            self.aims[name, alias] = aim

    def remove(self, name: str, number: int, by: str) -> Refusal:
        if (name, number) in self.removed:
            return None
        if not self.live(name, number):
            return UnknownAdapter
        if (name, number) in self.pinned or any(number in aim[:2] for aim in self.held(name).values()):
            return InUse
        self.removed[name, number] = by
        return None

    def held(self, name: str) -> dict[str, Aim]:
        return {alias: aim for (owner, alias), aim in self.aims.items() if owner == name}
