"""Whatever is wrong with a recipe, a suite or a policy is said in its own words, with line and key."""

import copy
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from data.errors import UserError
from data.policy import Policy
from data.strict import load_yaml
from finetune.base.catalogue import Catalogue
from finetune.estimate.devices import Sheets
from finetune.eval.suite import Suite
from finetune.recipe import Recipe

ROOT = Path(__file__).parents[2]
MODELS: dict[str, type[BaseModel]] = {"evals": Suite, "gates": Policy}
PYDANTIC = re.compile(
    r"Input |Field required|Extra inputs|Value error|String should|should be|should have|valid |pydantic"
    r"|discriminat|Unable to|cannot be read|NoneType|\bstr\b|\bdict\b|Keys"
)
WRONG: list[Any] = [
    None, True, -1, 0, 3.5, float("nan"), float("inf"), 10**30, "", "x y", "1e", [], ["a", 3], [[]], {},
    {"a": 1}, {"x": None}, [{"path": 3}], {3: 4}, "2026-01-01",
]  # fmt: skip
"""Values that hardly any key takes."""


def documents() -> Iterator[tuple[Path, type[BaseModel]]]:
    for path in sorted((ROOT / "recipes").rglob("*.yaml")):
        own = {"bases.yaml": Catalogue, "devices.yaml": Sheets}.get(path.name)
        yield path, own or MODELS.get(path.parent.name, Recipe)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in pairs:
        yield from places(below, (*at, key))


def put(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return changed


@pytest.mark.parametrize(("path", "model"), list(documents()), ids=lambda one: getattr(one, "name", ""))
def test_no_mistake_is_said_in_another_librarys_words(
    path: Path, model: type[BaseModel], tmp_path: Path
) -> None:
    document = yaml.safe_load(path.read_text())
    chosen, target, refused = random.Random(path.name), tmp_path / "x.yaml", 0
    spots = [place for place in places(document) if place]
    for _ in range(60):
        place = chosen.choice(spots)
        if chosen.random() < 0.3:
            place = (*place[:-1], "some_key") if not isinstance(place[-1], int) else place
        target.write_text(yaml.safe_dump(put(document, place, chosen.choice(WRONG)), sort_keys=False))
        try:
            load_yaml(target, model)
        except UserError as error:
            refused += 1
            first, *mistakes = str(error).splitlines()
            assert re.fullmatch(rf"{target} has \d+ mistakes?:", first)
            for said in mistakes:
                assert not PYDANTIC.search(said), f"{place}: {said}"
                assert re.match(r"  (line \d+: )?[\w., -]+: \S", said), said
    assert refused > 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("? [a]\n: 1", "a key must be text"),
        ("name: 2026-99-99", "month must be in 1..12"),
        ("name: x\n\tbase: y", "line 2, column 1: found character '\\t'"),
        ("name: !!python/object:os.system x", "line 1, column 7"),
        ("a: [b", "is not YAML: line 1"),
        ("--- \na: 1\n---\nb: 2", "but found another document"),
        ("[" * 5000, "is not YAML"),
        ("7", "it holds a number"),
        ("- a", "it holds a list"),
    ],
)
def test_what_is_no_document_is_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_yaml(path, Recipe)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert '"<unicode string>"' not in str(caught.value)


def test_anchors_and_merges_are_yaml_too(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\nbase: b\ndata: {train: a.jsonl}\nlora: &l {r: 4}\ntrain:\n  epochs: 1\n  checkpoints:\n"
        "    <<: {minutes: 3}\n    keep: 1\n"
    )
    recipe = load_yaml(path, Recipe)
    assert (recipe.train.checkpoints.minutes, recipe.train.checkpoints.keep) == (3, 1)


def test_a_file_of_data_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    with pytest.raises(UserError, match="is a file of data"):
        load_yaml(path, Recipe)
