"""Every shipped recipe, suite and catalogue entry is valid."""

from pathlib import Path

import pytest

from finetune import recipe as recipes
from finetune.base import catalogue
from finetune.eval import suite as suites

ROOT = Path(__file__).parents[2]
YAML = sorted((ROOT / "recipes").rglob("*.yaml"))


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shipped_yaml_is_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if path.name == "bases.yaml":
        for entry in catalogue.load().values():
            assert (entry.build is None) != (entry.hub is None)
    elif "evals" in path.parts:
        suites.load(path)
    else:
        recipe = recipes.load(path)
        assert recipe.base.name in catalogue.load()
        assert path.read_text().startswith(f"# make train RECIPE={path.relative_to(ROOT).as_posix()}\n")
