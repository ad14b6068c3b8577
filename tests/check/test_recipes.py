"""Every shipped recipe, suite and catalogue entry is valid, and so is the data that it names."""

import re
from pathlib import Path

import pytest

from data.policy import Policy
from data.strict import load_yaml
from finetune import recipe as recipes
from finetune.base import catalogue
from finetune.estimate.devices import Sheets
from finetune.eval import suite as suites
from finetune.resources import resource
from finetune.validate.command import validate

ROOT = Path(__file__).parents[2]
YAML = sorted((ROOT / "recipes").rglob("*.yaml"))
NO_RECIPES = {"evals", "gates"}
RECIPES = [path for path in YAML if not NO_RECIPES & {*path.parts}]


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shipped_yaml_is_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if "evals" in path.parts:
        suites.load(path)
    elif "gates" in path.parts:
        known = {suites.load(suite).name: suite for suite in YAML if "evals" in suite.parts}
        for rule in load_yaml(path, Policy).suites:
            tasks = {task.name for task in suites.load(known[rule.name]).tasks}
            assert set(rule.tasks) <= tasks
    else:
        recipe = recipes.load(path)
        assert recipe.base.name in catalogue.load()
        assert path.read_text().startswith(f"# make train RECIPE={path.relative_to(ROOT).as_posix()}\n")


def test_the_catalogues_are_valid_and_their_files_are_there() -> None:
    for entry in catalogue.load().values():
        assert (entry.build is None) != (entry.hub is None)
        if entry.build:
            assert resource(entry.build.template).is_file()
            assert resource(entry.build.calibration, "data").is_file()
            assert resource(entry.build.heldout, "data").is_file()
    assert load_yaml(resource("devices.yaml"), Sheets).root


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shipped_recipes_pass_validation(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert validate([str(path)], [], None, False, None) == 0


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes" / "mistral-small-24b").glob("*.yaml")), ids=lambda path: path.name
)
def test_every_number_of_the_production_recipes_has_a_reason(path: Path) -> None:
    bare = [line for line in path.read_text().splitlines() if re.search(r"^[^#]*: [\d.][\d.e-]*\s*$", line)]
    assert not bare


def test_every_method_has_recipes_for_both_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = {(recipe.method, recipe.base.name) for recipe in map(recipes.load, RECIPES)}
    assert found == {(method, base) for method in ("sft", "dpo") for base in catalogue.load()}
