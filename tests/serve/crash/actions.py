"""What a client does to a registry, and each state that it may be found in on the way."""

from dataclasses import dataclass, replace
from random import Random

ALIASES = ("default", "canary", "beta")
MOST_VERSIONS = 6
MOST_PINNED = 2
"""Of the tiny engine's four slots: what is pinned stays in its slot."""

SEEDS = 12

Moved = tuple[str, int | None, int | None]
"""An alias, from which version, to which."""


@dataclass(frozen=True)
class State:
    """One adapter: the seed that each version was made of (the first is version 1), and every move."""

    seeds: tuple[int, ...] = ()
    removed: frozenset[int] = frozenset()
    pinned: frozenset[int] = frozenset()
    moves: tuple[Moved, ...] = ()

    @property
    def live(self) -> list[int]:
        return [number for number in range(1, len(self.seeds) + 1) if number not in self.removed]

    @property
    def aliases(self) -> dict[str, int]:
        last = {alias: number for alias, _, number in self.moves}
        return {alias: number for alias, number in last.items() if number is not None}

    def holds(self, seed: int) -> bool:
        return any(self.seeds[number - 1] == seed for number in self.live)

    def moved(self, alias: str, number: int | None) -> "State":
        here = self.aliases.get(alias)
        return self if here == number else replace(self, moves=(*self.moves, (alias, here, number)))

    def back(self, alias: str) -> int | None:
        """Where a rollback leads, if anywhere."""
        _, previous, number = next(
            (move for move in reversed(self.moves) if move[0] == alias), (0, None, None)
        )
        return None if number is None or previous in self.removed else previous


@dataclass(frozen=True)
class Push:
    """Upload what a seed makes, and point aliases to it."""

    seed: int
    aliases: tuple[str, ...] = ()

    def steps(self, state: State) -> list[State]:
        if self.seed in state.seeds:
            number = state.seeds.index(self.seed) + 1
            stored = replace(state, removed=state.removed - {number})
        else:
            stored = replace(state, seeds=(*state.seeds, self.seed))
            number = len(stored.seeds)
        pointed = stored
        for alias in self.aliases:
            pointed = pointed.moved(alias, number)
        return [stored, pointed]


@dataclass(frozen=True)
class Move:
    alias: str
    number: int | None
    expected: int | None

    def steps(self, state: State) -> list[State]:
        return [state.moved(self.alias, self.number)]


@dataclass(frozen=True)
class RollBack:
    alias: str

    def steps(self, state: State) -> list[State]:
        return [state.moved(self.alias, state.back(self.alias))]


@dataclass(frozen=True)
class Remove:
    number: int

    def steps(self, state: State) -> list[State]:
        return [replace(state, removed=state.removed | {self.number})]


@dataclass(frozen=True)
class Pin:
    number: int
    on: bool

    def steps(self, state: State) -> list[State]:
        pinned = state.pinned | {self.number} if self.on else state.pinned - {self.number}
        return [replace(state, pinned=pinned)]


@dataclass(frozen=True)
class GiveUp:
    """Begin to upload what a seed makes, and never go on."""

    seed: int

    def steps(self, state: State) -> list[State]:
        return [state]


@dataclass(frozen=True)
class Collect:
    """Have a day pass, and collect garbage."""

    def steps(self, state: State) -> list[State]:
        return [state]


Action = Push | Move | RollBack | Remove | Pin | GiveUp | Collect


def choose(state: State, random: Random) -> Action:
    """Something that a registry in this state accepts."""
    free = [one for one in state.live if one not in state.aliases.values() and one not in state.pinned]
    crowded = len(state.live) >= MOST_VERSIONS
    held = list(state.aliases)
    choices: list[Action] = [GiveUp(random.randrange(SEEDS)), Collect()]
    for seed in random.sample(range(SEEDS), 3):
        if not crowded or state.holds(seed):
            choices.append(Push(seed, tuple(random.sample(ALIASES, random.randrange(3)))))
    if state.live:
        alias, number = random.choice(ALIASES), random.choice(state.live)
        choices.append(Move(alias, number, state.aliases.get(alias)))
        if number in state.pinned or len(state.pinned) < MOST_PINNED:
            choices.append(Pin(number, number not in state.pinned))
    choices += [RollBack(alias) for alias in held if state.back(alias) is not None]
    choices += [Move(alias, None, state.aliases[alias]) for alias in held[:1]]
    choices += [Remove(number) for number in free]
    return random.choice(choices)
