"""What a client does to a registry, and each state that it may be found in on the way."""

from dataclasses import dataclass, replace
from random import Random

ALIASES = ("default", "canary", "beta")
MOST_VERSIONS = 6
MOST_PINNED = 2
"""Of the tiny engine's four slots: what is pinned stays in its slot."""

SEEDS = 12

Aim = tuple[int, int | None, int | None]
"""A version, its canary, and how many percent are for that."""

Moved = tuple[str, int | None, Aim | None]
"""An alias, from which version, to where."""


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
    def aims(self) -> dict[str, Aim]:
        last = {alias: aim for alias, _, aim in self.moves}
        return {alias: aim for alias, aim in last.items() if aim}

    @property
    def aliases(self) -> dict[str, int]:
        return {alias: aim[0] for alias, aim in self.aims.items()}

    def holds(self, seed: int) -> bool:
        return any(self.seeds[number - 1] == seed for number in self.live)

    def moved(self, alias: str, aim: Aim | None) -> "State":
        here = self.aims.get(alias)
        return self if here == aim else replace(self, moves=(*self.moves, (alias, here and here[0], aim)))

    def back(self, alias: str) -> Aim | None:
        """Where a rollback leads, if anywhere: not to a canary of now."""
        match [aim for one, _, aim in self.moves if one == alias]:
            case [*_, (number, canary, weight), (now, canary_now, _)]:
                if canary in (now, canary_now):
                    canary = weight = None
                return None if {number, canary} & self.removed else (number, canary, weight)
        return None


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
            pointed = pointed.moved(alias, (number, None, None))
        return [stored, pointed]


@dataclass(frozen=True)
class Move:
    alias: str
    number: int | None
    expected: int | None

    def steps(self, state: State) -> list[State]:
        return [state.moved(self.alias, None if self.number is None else (self.number, None, None))]


@dataclass(frozen=True)
class Split:
    """Make a version an alias's canary."""

    alias: str
    canary: int
    weight: int

    def steps(self, state: State) -> list[State]:
        return [state.moved(self.alias, (state.aliases[self.alias], self.canary, self.weight))]


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


Action = Push | Move | Split | RollBack | Remove | Pin | GiveUp | Collect


def choose(state: State, random: Random) -> Action:
    """Something that a registry in this state accepts."""
    meant = {number for aim in state.aims.values() for number in aim[:2]}
    free = [one for one in state.live if one not in meant and one not in state.pinned]
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
    splits = [Split(alias, one, random.choice((1, 50, 99))) for alias in held for one in state.live]
    choices += [split for split in splits if split.canary != state.aliases[split.alias]][:2]
    choices += [RollBack(alias) for alias in held if state.back(alias) is not None]
    choices += [Move(alias, None, state.aliases[alias]) for alias in held[:1]]
    choices += [Remove(number) for number in free]
    return random.choice(choices)
