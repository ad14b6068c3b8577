"""`finetune estimate`, from a recipe to numbers, on devices that are not here and on this machine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.errors import UserError
from finetune import recipe as recipes
from finetune.estimate.command import estimate, estimated
from finetune.estimate.devices import device
from tests.finetune.estimate.model import recipe, shape
from tests.waiting import python

ROOT = Path(__file__).parents[3]
TOOLS = Path("recipes/mistral-small-24b/tools.yaml")


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("nothing_here")
def test_a_24b_recipe_is_answered_before_any_download() -> None:
    found = estimated(recipes.load(TOOLS), "h100-80gb")
    assert found.weights == "packed bfloat16"
    assert found.fits
    # 22.9 billion numbers in 4 bits with groups of 128, and 0.67 billion twice in bfloat16.
    assert found.memory.parts["weights"] == pytest.approx(14.2e9, rel=0.01)
    assert found.disk["base"] == pytest.approx(14.2e9, rel=0.01)
    assert found.trained == 92_405_760
    assert found.time is not None
    # 93 GFLOP a token, forward twice as the activations are recomputed, at 0.4 of 989 TFLOP/s.
    assert found.time.tokens_per_second == pytest.approx(0.5 * 989e12 / 139e9, rel=0.1)


@pytest.mark.usefixtures("nothing_here")
def test_what_does_not_fit_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = yaml.safe_load(TOOLS.read_text())
    given["train"]["gradient_checkpointing"] = False
    path = tmp_path / "large.yaml"
    path.write_text(yaml.safe_dump(given))
    estimate(path, "rtx-3090-24gb", None, None, None, tmp_path / "out.json")
    said, written = capsys.readouterr().out, json.loads((tmp_path / "out.json").read_text())
    assert "does not fit" in said
    assert written["fits"] is False
    assert written["memory_total_bytes"] == pytest.approx(sum(written["memory_bytes"].values()), abs=10)
    assert written["memory_total_bytes"] > written["device_memory_bytes"] == 24e9


def test_it_answers_in_a_second_and_without_torch(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from finetune.estimate.command import estimate;"
        f"estimate(pathlib.Path({str(TOOLS)!r}), 'h100-80gb', None, None, None, None);"
        "print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])"
    )
    runs = [python("-c", script, cwd=ROOT, check=True) for _ in range(2)]
    assert runs[0][0].stdout.splitlines()[-1] == "[]"
    assert min(seconds for _, seconds in runs) < 1.5


def test_this_machine_is_measured(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_type": "llama", **shape(9).model_dump()}))
    plain = recipe(train={"batch": 4})
    packed = plain.model_copy(update={"base": plain.base.model_copy(update={"weights": "packed"})})
    for one in (plain, packed, recipe("dpo", train={"batch": 4, "gradient_checkpointing": True})):
        found = estimated(one, "here", config, 40, 300)
        assert found.device.sheet is None
        assert found.time is not None
        assert found.time.tokens_per_second > 0
        assert "measured on 8 of 9 layers here" in found.time.origin


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on": "h100-80g"}, "--device h100-80g is not known; did you mean h100-80gb?"),
        (
            {"on": "abacus"},
            "--device abacus is not known; known ones: here, cpu, a100-40gb",
        ),
        ({"on": "h100-80gb", "count": 5}, "--rows and --tokens belong together"),
        ({"on": "h100-80gb", "count": 0, "tokens": 5}, "--rows 0 --tokens 5: there is nothing to train on"),
        ({"on": "h100-80gb", "config": Path("none.json")}, "none.json cannot be read (No such file"),
    ],
)
def test_mistakes_are_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        estimated(recipes.load(TOOLS), **options)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_data_sheets_are_in_order() -> None:
    h100, a100 = device("h100-80gb"), device("a100-80gb")
    assert h100.sheet is not None
    assert a100.sheet is not None
    assert (h100.kind, h100.memory, h100.width) == ("cuda", 80e9, 2)
    assert h100.sheet.bf16_tflops > 3 * a100.sheet.bf16_tflops
