"""Small things: what a recipe, a model's answer or a name may hold, and who may read what is written here."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from data import digest
from data.errors import UserError
from data.policy import Policy
from data.strict import load_yaml
from finetune.eval import markdown
from tests.serve.evaluated import report, served
from tests.waiting import PATIENCE, python

ODD = {
    "a list as a key": "? [1, 2]\n: 3\n",
    "a date as a key": "? 2026-01-01\n: 3\n",
    "a date that is none": "suites: 9999-99-99\n",
    "depth": f"suites: {'[' * 5000}",
    "a huge number": f"suites: {'9' * 5000}\n",
    "a huge number in base 16": f"suites:\n- name: x\n  most_worse: 0x{'f' * 5000}\n",
    "an object of Python": "a: !!python/object:os.system x\n",
    "itself": "suites: &a [*a]\n",
    "half a character": 'a: "\\ud800"\n',
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_yaml_is_read_or_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(UserError):
        load_yaml(path, Policy)


def test_a_key_with_an_escape_is_printed_as_text(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"a\\e]0;owned\\ab": 1\n')
    done, _ = python("-m", "serve", "gate", "mine", "--policy", str(path))
    assert done.returncode == 2
    assert r"a\x1b]0;owned\x07b: unknown key" in done.stderr


@pytest.mark.parametrize("text", ["\ud83d", "a\udfffb", "\ud800\ud800"], ids=ascii)
def test_half_a_character_has_a_digest(text: str) -> None:
    """A model may say one, and the last step of an evaluation is a digest of all that was said."""
    assert digest.of_json({"said": text}) != digest.of_json({"said": "x"})
    assert digest.of_json({"said": "🦊"}) == digest.of_bytes('{"said":"🦊"}'.encode())


@pytest.mark.parametrize("name", ["a`b", "![x](http://evil)", "<img src=x>", "a|b", "a\x1b[2Jb", "`` ` ``"])
def test_names_in_report_md_are_text(name: str) -> None:
    made = report([served("base", None, "x"), served("support@1", "d" * 64, "x")], {"t": {"base": [1.0] * 3}})
    changed = made.models[0].model_copy(update={"model": name})
    text = markdown.render(made.model_copy(update={"models": [changed, made.models[1]]}))
    line = next(one for one in text.splitlines() if one.startswith("- base: "))
    said = line.removeprefix("- base: ")
    for sign in "`[]|":
        assert said.count(sign) == said.count(f"\\{sign}")
    assert "<" not in said
    assert "\x1b" not in text


def test_what_the_registry_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    """Whatever the shell's umask says."""
    home = tmp_path / "home"
    script = "import os; os.umask(0o022); from serve.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", script, "keys", "create", "me", "--local"],
        env=os.environ | {"ENXERTO_HOME": str(home)},
        check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    made = list(home.rglob("*"))
    assert home / "registry" / "index.sqlite" in made
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
