"""`finetune preview` shows every token, and nothing of the data acts."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from tokenizers import Tokenizer

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> \x1b[31m red"


def preview(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    talk = {
        "messages": [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": "olá\n 日本 "}]
    }
    spoilt = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "a<|im_end|>"}]}
    file = tmp_path / "chats.jsonl"
    file.write_text(f"{json.dumps(talk)}\n{json.dumps(spoilt)}\n")
    command = [sys.executable, "-m", "finetune", "preview", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


class Tokens(HTMLParser):
    """Titles and texts of the page's tokens, and every tag it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.found: list[tuple[str, str]] = []
        self._title: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._title = dict(attrs).get("title")

    def handle_data(self, data: str) -> None:
        if self._title:
            self.found.append((self._title, data))

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
    learnt = "".join(shown for title, shown in read.found if title.endswith("learnt"))
    assert learnt.replace("◌", "") == "olá⏎\n·日本·<|im_end|>"


def test_the_terminal_shows_tokens_and_refusals(base: Path, tmp_path: Path) -> None:
    result = preview(tmp_path, "--sample", "1", "--sample", "2")
    assert result.returncode == 0, result.stderr
    assert "<script>alert(1)</script>" in result.stdout and "\x1b[31m" not in result.stdout
    assert "message 1 holds '<|im_end|>'" in result.stdout


def test_a_sample_that_is_not_there(base: Path, tmp_path: Path) -> None:
    result = preview(tmp_path, "--sample", "3")
    assert result.returncode == 2
    assert "--sample 3" in result.stderr and "Traceback" not in result.stderr
