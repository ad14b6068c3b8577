"""The wheel has all that the commands read: they work from an empty folder, where there is no checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.finetune import tiny_awq
from tests.waiting import HUNG

ROOT = Path(__file__).parents[2]
PACKAGES = ("data", "finetune", "serve")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` makes of the wheel, apart from the dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, *build, str(source)], check=True, capture_output=True, text=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """`finetune ...` of the wheel, from an empty folder, with a home of its own."""
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site), "ENXERTO_HOME": str(tmp_path / "home")}

    def typed(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "finetune", *map(str, arguments)]
        return subprocess.run(
            command, env=environment, cwd=empty, capture_output=True, text=True, timeout=HUNG, check=False
        )

    return typed


def test_every_file_that_is_read_is_in_the_wheel(site: Path) -> None:
    """All tracked files of the packages, but those that nothing reads once it is installed."""
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    missing = [name for name in listed if not (site / name).is_file()]
    assert missing == []


def test_base_validate_preview_and_estimate_from_an_empty_folder(
    run: Run, base: Path, tmp_path: Path
) -> None:
    model = tmp_path / "models" / "tiny"
    model.parent.mkdir()
    tiny_awq.make_base(model, base)
    (model / "base.json").unlink()
    chat = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Welcome."}]
    (tmp_path / "mine.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    recipe = tmp_path / "mine.yaml"
    told = {"name": "mine", "data": {"train": [str(tmp_path / "mine.jsonl")]}, "train": {"steps": 1}}
    recipe.write_text(yaml.safe_dump(told | {"base": str(model)}))

    not_yet = run("preview", tmp_path / "mine.jsonl", "--base", model)
    assert not_yet.returncode == 2
    assert f"get it with `finetune base {model}`" in not_yet.stderr
    for command, said in (
        (("base", model), "reading the weights of tiny"),
        (("base", model), "tiny is ready: sha256:"),
        (("validate", recipe), "passed: 0 errors"),
        (("preview", tmp_path / "mine.jsonl", "--base", model), "Welcome."),
        (("estimate", recipe, "--device", "h100-80gb"), "h100-80gb"),
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout + done.stderr, command


def test_a_base_that_is_not_there_yet_can_be_estimated(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty" / "mine.jsonl").write_text('{"messages": []}\n')
    told = {"name": "mine", "base": "mistral-small-24b-instruct-2501-awq", "train": {"steps": 10}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(told | {"data": {"train": ["mine.jsonl"]}}))
    done = run("estimate", tmp_path / "mine.yaml", "--device", "l4-24gb", "--rows", "100", "--tokens", "500")
    assert done.returncode == 0, done.stderr
    assert "from what is known of it" in done.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("base", "smolm2-135m-instruct-awq"), "did you mean 'smollm2-135m-instruct-awq'?"),
        (("base", "nothing"), "known bases: smollm2-135m-instruct-awq, mistral-small-24b-instruct-2501-awq."),
        (("preview", "MINE"), "get it with `finetune base smollm2-135m-instruct-awq`"),
        (("validate", "MINE", "--base", "elsewhere/awq"), "get it with `finetune base elsewhere/awq`"),
        (("estimate", "RECIPE", "--device", "h100"), "--device h100 is not known; did you mean h100-80gb?"),
    ],
)
def test_an_error_never_speaks_of_a_file_that_nobody_gave(
    run: Run, tmp_path: Path, command: tuple[str, ...], said: str
) -> None:
    mine, recipe = tmp_path / "mine.jsonl", tmp_path / "mine.yaml"
    mine.write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    )
    told = {"name": "mine", "base": "smollm2-135m-instruct-awq", "train": {"steps": 1}}
    recipe.write_text(yaml.safe_dump(told | {"data": {"train": [str(mine)]}}))
    places = {"MINE": str(mine), "RECIPE": str(recipe)}
    done = run(*(places.get(word, word) for word in command))
    assert done.returncode == 2
    assert said in done.stderr
    for word in (
        "recipes/",
        "requirements/",
        "resources",
        "bases.yaml",
        "devices.yaml",
        "make ",
        "Traceback",
    ):
        assert word not in done.stderr
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_makefile_and_the_package_install_with_the_same_uv() -> None:
    from finetune.base.build import UV

    assert f" {UV}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
