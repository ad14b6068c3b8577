"""`finetune preview` shows every token, and nothing of the data acts."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from data.errors import UserError
from finetune.preview import command
from tests.finetune.refusing import WORD, refusing_base
from tests.waiting import HUNG

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> \x1b[31m red"


def preview(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    talk = {
        "messages": [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": "olá\n 日本 "}]
    }
    spoilt = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": WORD}]}
    file = tmp_path / "chats.jsonl"
    file.write_text(f"{json.dumps(talk)}\n{json.dumps(spoilt)}\n")
    command = [sys.executable, "-m", "finetune", "preview", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=False)


class Tokens(HTMLParser):
    """Titles and texts of the page's tokens, and every tag it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.found: list[tuple[str, str]] = []
        self.styles: list[str] = []
        """The classes of each of `found`."""
        self._title: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._title, self._style = dict(attrs).get("title"), dict(attrs).get("class")

    def handle_data(self, data: str) -> None:
        if self._title:
            self.found.append((self._title, data))
            self.styles.append(self._style or "")

    def handle_endtag(self, tag: str) -> None:
        self._title = None


def test_the_page_shows_each_token_and_runs_nothing(base: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "page.html"
    result = preview(tmp_path, "--html", str(page))
    assert result.returncode == 0, result.stderr
    read = Tokens(page.read_text())
    assert not read.tags & {"script", "img", "iframe"}
    ids = [int(re.search(r"id (\d+)", title)[1]) for title, _ in read.found]  # type: ignore[index]
    text = Tokenizer.from_file(str(base / "tokenizer.json")).decode(ids, skip_special_tokens=False)
    assert text.endswith("<|im_start|>assistant\nolá\n 日本 <|im_end|>") and HOSTILE in text
    learnt = "".join(shown for title, shown in read.found if title.endswith("learned"))
    assert learnt.replace("◌", "") == "olá⏎\n·日本·<|im_end|>"


@pytest.fixture
def refusing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing_base(tmp_path / "home", base)
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))


def test_the_terminal_shows_tokens_and_refusals(refusing: None, tmp_path: Path) -> None:
    result = preview(tmp_path, "--sample", "1", "--sample", "2")
    assert result.returncode == 0, result.stderr
    assert "<script>alert(1)</script>" in result.stdout and "\x1b[31m" not in result.stdout
    assert "refuses this conversation after message 2 (no)" in result.stdout


def test_a_sample_that_is_not_there(base: Path, tmp_path: Path) -> None:
    result = preview(tmp_path, "--sample", "3")
    assert result.returncode == 2
    assert "--sample 3" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prompt,completion\nhi,hello\n", ":1: this is a table as text"),
        (
            '[{"prompt": "a", "completion": "b"},]',
            "Illegal trailing comma at column 37); mend the file",
        ),
        ("", "holds no record; check it"),
        ('{"prompt": "a", "completion": "b"}', "holds fewer records; give at most 1."),
    ],
)
def test_a_sample_that_is_not_there_says_why(base: Path, tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(UserError, match=re.escape(reason)):
        command.preview(tmp_path / "a.jsonl", [3], None, str(base))


def pairs(tmp_path: Path) -> Path:
    row = {"prompt": HOSTILE, "chosen": "olá\n 日本 ", "rejected": "<b>no</b> \x1b[31m"}
    same = {"prompt": "x", "chosen": "yes", "rejected": WORD}
    file = tmp_path / "pairs.jsonl"
    file.write_text(f"{json.dumps(row)}\n{json.dumps(same)}\n")
    return file


def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: x\nbase: smollm2-135m-instruct-awq\nmethod: dpo\ndata: {{train: [{pairs(tmp_path)}]}}\n"
        "train: {epochs: 1}\n"
    )
    return path


def shown(source: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetune", "preview", str(source), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=False)


@pytest.mark.parametrize("source", [pairs, recipe])
def test_the_page_shows_prompt_and_both_answers_of_a_preference(
    base: Path, tmp_path: Path, source: Callable[[Path], Path]
) -> None:
    page = tmp_path / "page.html"
    result = shown(source(tmp_path), "--html", str(page))
    assert result.returncode == 0 and "1 preference, " in result.stdout, result.stderr
    read = Tokens(page.read_text())
    assert not read.tags & {"script", "img", "iframe"}
    parts: dict[str, list[int]] = {"prompt": [], "chosen": [], "rejected": []}
    places: list[int] = []
    for title, style in zip((title for title, _ in read.found), read.styles, strict=True):
        place, number = map(int, re.findall(r"(?:token|id) (\d+)", title))
        part = {"l": "chosen", "r": "rejected"}.get(style.split()[0], "prompt")
        assert ("learned" in title) == (part != "prompt")
        parts[part].append(number)
        places.append(place)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    texts = {part: tokenizer.decode(ids, skip_special_tokens=False) for part, ids in parts.items()}
    assert HOSTILE in texts["prompt"] and texts["prompt"].endswith("<|im_start|>assistant\n")
    assert (texts["chosen"], texts["rejected"]) == (
        "olá\n 日本 <|im_end|>",
        "<b>no</b> \x1b[31m<|im_end|>",
    )
    # Both answers stand where the prompt ends.
    start = len(parts["prompt"])
    assert places == [
        *range(start + len(parts["chosen"])), *range(start, start + len(parts["rejected"]))
    ]  # fmt: skip


def test_the_terminal_shows_preferences_and_refusals(refusing: None, tmp_path: Path) -> None:
    result = shown(pairs(tmp_path), "--sample", "1", "--sample", "2")
    assert result.returncode == 0, result.stderr
    prompt, chosen, rejected = (
        result.stdout.index(f"\n{part}: ") for part in ("prompt", "chosen", "rejected")
    )
    assert prompt < chosen < rejected and "\x1b[31m" not in result.stdout
    assert "olá⏎" in result.stdout[chosen:rejected] and "<b>no</b>" in result.stdout[rejected:]
    assert "preference 2" in result.stdout and "with the rejected answer: the base's" in result.stdout
