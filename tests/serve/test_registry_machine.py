"""Two servers on one registry, and a model of it: whatever they do, in whatever order, both agree with it."""

import itertools
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from data import digest
from data.errors import UserError
from data.manifest import adapter_digest
from serve.registry.collect import collect
from serve.registry.folders import whole
from serve.registry.fsck import fsck
from serve.registry.records import Aim, UnknownAdapter
from serve.registry.registry import Registry
from serve.registry.validate import Checked
from tests.serve import services, tiny
from tests.serve.registry_model import Model, Refusal

T = TypeVar("T")

ADAPTERS = 8
NAMES = ("support", "sql")
FIRST = (0, 1, 2)
"""The adapters that each run begins with, as versions of the first name."""

ALIASES = ("default", "canary")
NOW = timedelta(0)

servers = st.sampled_from((0, 1))
names = st.sampled_from((*NAMES[:1] * 3, *NAMES))
aliases = st.sampled_from(ALIASES)
numbers = st.integers(1, len(FIRST) + 1)
hands = st.sampled_from(("ana", "ben"))
seen = st.sampled_from(("any", "what is there")) | st.none() | numbers


def aim_told(aim: Aim | None) -> tuple[int, int | None, int | None] | None:
    return (aim.number, aim.canary, aim.weight) if aim else None


def told(aims: dict[str, Aim]) -> dict[str, Any]:
    return {alias: aim_told(aim) for alias, aim in aims.items()}


class Machine(RuleBasedStateMachine):
    """Each rule acts through one of the two servers; then one is asked about the adapter in question."""

    def __init__(self, open_registry: Callable[[], Registry], adapters: list[Checked]) -> None:
        super().__init__()
        self.open = open_registry
        self.adapters = adapters
        self.registries = [open_registry(), open_registry()]
        self.model = Model()
        self.name = NAMES[0]
        self.turns = itertools.count()

    def act(self, server: int, name: str, refusal: Refusal, change: Callable[[Registry], T]) -> T | None:
        self.name = name
        if refusal:
            with pytest.raises(UserError) as refused:
                change(self.registries[server])
            assert refused.type is refusal
            return None
        done = change(self.registries[server])
        self.registries[1 - server].look()
        return done

    @initialize(server=servers, by=hands)
    def begin(self, server: int, by: str) -> None:
        for adapter in FIRST:
            self.add(server, NAMES[0], adapter, by)
        self.move(server, NAMES[0], ["default"], 1, None, by)

    @rule(server=servers, name=names, adapter=st.integers(0, ADAPTERS - 1), by=hands)
    def add(self, server: int, name: str, adapter: int, by: str) -> None:
        number = self.model.add(name, adapter, by)
        made = self.act(server, name, None, lambda to: to.add(name, self.adapters[adapter], by))
        assert made
        assert (made.name, made.number, made.digest) == (name, number, self.digest(adapter))

    @rule(
        server=servers, name=names, moved=st.lists(aliases, min_size=1, max_size=2),
        number=numbers | st.none(), expected=seen, by=hands,
    )  # fmt: skip
    def move(
        self, server: int, name: str, moved: list[str], number: int | None, expected: Any, by: str
    ) -> None:
        if expected == "what is there":
            expected = self.model.number(name, moved[0])
        refusal = self.model.move(name, moved, number, expected, by)
        self.act(server, name, refusal, lambda to: to.set_aliases(name, moved, number, expected, by))

    @rule(
        server=servers, name=names, alias=aliases, canary=numbers, weight=st.sampled_from((1, 50, 99)),
        expected=seen, by=hands,
    )  # fmt: skip
    def split(
        self, server: int, name: str, alias: str, canary: int, weight: int, expected: Any, by: str
    ) -> None:
        if expected == "what is there":
            expected = self.model.number(name, alias)
        refusal = self.model.split(name, alias, canary, weight, expected, by)
        aim = self.act(server, name, refusal, lambda to: to.split(name, alias, canary, weight, expected, by))
        assert refusal or aim_told(aim) == self.model.aims[name, alias]

    @rule(server=servers, name=names, alias=aliases, by=hands)
    def roll_back(self, server: int, name: str, alias: str, by: str) -> None:
        before = self.model.aims.get((name, alias))
        refusal = self.model.roll_back(name, alias, by)
        aims = self.act(server, name, refusal, lambda to: to.roll_back(name, alias, by))
        if aims:
            assert tuple(map(aim_told, aims)) == (before, self.model.aims[name, alias])

    @rule(server=servers, name=names, number=numbers, by=hands)
    def remove(self, server: int, name: str, number: int, by: str) -> None:
        refusal = self.model.remove(name, number, by)
        self.act(server, name, refusal, lambda to: to.remove(name, number, by))

    @rule(server=servers, name=names, number=numbers, on=st.booleans())
    def pin(self, server: int, name: str, number: int, on: bool) -> None:
        live = self.model.live(name, number)
        if live:
            (self.model.pinned.add if on else self.model.pinned.discard)((name, number))
        self.act(server, name, None if live else UnknownAdapter, lambda to: to.pin(name, number, on))

    @rule(server=servers)
    def collect(self, server: int) -> None:
        storage = self.registries[server].storage
        collect(storage, NOW, unnamed=NOW)
        needed = {self.model.versions[name][number - 1][0] for name, number in self.model.all_live()}
        held = {blob for adapter in needed for blob in self.blobs(adapter)}
        assert {blob.digest for blob in storage.blobs.all()} == held
        assert storage.folders.left({self.digest(adapter) for adapter in needed}) == []

    @rule(server=servers)
    def restart(self, server: int) -> None:
        self.registries[server].close()
        self.registries[server] = self.open()

    @rule(server=servers)
    def examine(self, server: int) -> None:
        registry = self.registries[server]
        found = fsck(registry.storage)
        live = self.model.all_live()
        assert (found.problems, found.versions, found.moves) == ([], len(live), len(self.model.moves))
        for name, number in live:
            version = registry.resolve(f"{name}@{number}")
            registry.make_ready(version)
            assert whole(version.folder, version.files)

    @invariant()
    def one_or_the_other_says_what_the_model_says(self) -> None:
        registry = self.registries[next(self.turns) % 2]
        self.listed(registry)
        if self.name in self.model.versions:
            self.shown(registry)
            self.resolved(registry)

    def listed(self, registry: Registry) -> None:
        found = {
            one.name: ([version.number for version in one.versions], told(one.aims))
            for one in registry.adapters()
        }
        wanted = {
            name: ([number for _, number in group], self.model.held(name))
            for name, group in itertools.groupby(sorted(self.model.all_live()), key=lambda one: one[0])
        }
        assert found == wanted

    def shown(self, registry: Registry) -> None:
        name, shown = self.name, registry.show(self.name)
        assert told(shown.aims) == self.model.held(name)
        for at, (version, (adapter, by)) in enumerate(
            zip(shown.versions, self.model.versions[name], strict=True)
        ):
            assert (version.number, version.digest, version.pushed_by) == (at + 1, self.digest(adapter), by)
            assert version.pinned == ((name, at + 1) in self.model.pinned)
            assert (version.removed and version.removed.by) == self.model.removed.get((name, at + 1))
        moves = registry.history(name)
        history = [(name, move.alias, move.previous, aim_told(move.aim), move.by) for move in moves]
        assert history == [move for move in self.model.moves if move[0] == name]
        assert all(one.sequence < next.sequence for one, next in itertools.pairwise(moves))

    def resolved(self, registry: Registry) -> None:
        """Every form of every name, with those that mean nothing."""
        name, means = self.name, self.model.held(self.name)
        forms: dict[str, int | None] = {}
        for alias, form in [*((alias, f"{name}:{alias}") for alias in ALIASES), ("default", name)]:
            forms[form] = means[alias][0] if alias in means else None
            if alias in means:
                route = registry.route(form)
                split = (route.version.number, route.canary and route.canary.number, route.weight or None)
                assert split == means[alias]
        for at, (adapter, _) in enumerate(self.model.versions[name]):
            number = at + 1 if self.model.live(name, at + 1) else None
            forms |= {f"{name}@{at + 1}": number, f"{name}@{self.digest(adapter)}": number}
        for form, number in forms.items():
            if number:
                assert registry.find(form).reference == f"{name}@{number}"
            else:
                with pytest.raises(UnknownAdapter):
                    registry.resolve(form)

    def digest(self, adapter: int) -> str:
        return adapter_digest(self.adapters[adapter].digests)

    def blobs(self, adapter: int) -> set[str]:
        """Of the files that were pushed, and of the config that the engine gets."""
        checked = self.adapters[adapter]
        return {*checked.digests.values(), digest.of_bytes(checked.config)}

    def teardown(self) -> None:
        self.examine(0)
        for registry in self.registries:
            registry.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tiny.Base:
    return tiny.make_base(tmp_path_factory.mktemp("bases") / "base")


@pytest.fixture(scope="module")
def adapters(base: tiny.Base, tmp_path_factory: pytest.TempPathFactory) -> list[Checked]:
    folder = tmp_path_factory.mktemp("adapters")
    made = [tiny.make_adapter(folder / str(seed) / "adapter", base, seed) for seed in range(ADAPTERS)]
    return [tiny.check_adapter(each, base) for each in made]


def agree(examples: int, base: tiny.Base, adapters: list[Checked], folder: Path, new_database: Any) -> None:
    def machine() -> Machine:
        own, database = folder / secrets.token_hex(8), new_database()
        return Machine(lambda: tiny.make_registry(own, base, database=database), adapters)

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            derandomize=examples <= 30,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("examples", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_the_registry_is_its_model_on_sqlite(
    base: tiny.Base, adapters: list[Checked], tmp_path: Path, examples: int
) -> None:
    agree(examples, base, adapters, tmp_path, lambda: None)


@pytest.mark.parametrize("examples", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_the_registry_is_its_model_on_postgresql(
    base: tiny.Base, adapters: list[Checked], tmp_path: Path, postgres: str, examples: int
) -> None:
    agree(examples, base, adapters, tmp_path, lambda: services.new_database(postgres))
