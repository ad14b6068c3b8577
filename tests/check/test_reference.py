"""`docs/recipe.md` lists every key of every file that a person writes, as the models have them today."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from data.mistakes import keys_of, models_in
from data.policy import Policy
from finetune import reference
from finetune.eval.suite import Suite
from finetune.recipe import Recipe

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.page(), "run `make docs-reference`"


@pytest.mark.parametrize("model", [Recipe, Suite, Policy])
def test_every_key_stands_there_with_its_meaning(model: type[BaseModel]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for path, _ in keys_of(model):
        (line, *_) = [line for line in text.splitlines() if line.startswith(f"| `{path}` |")]
        key, kind, default, meaning = (cell.strip() for cell in line.strip("|").split(" | "))
        assert key and kind and default
        assert meaning or path.endswith("kind"), path


@pytest.mark.parametrize("model", [Recipe, Suite, Policy])
def test_every_model_says_what_it_is_for(model: type[BaseModel]) -> None:
    assert model.__doc__
    for field in model.model_fields.values():
        for nested in models_in(field.annotation):
            test_every_model_says_what_it_is_for(nested)
