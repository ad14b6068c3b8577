"""Nothing asks a hub unless a hub was named: from a folder of weights to a pushed adapter."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.manifest import AdapterManifest, read_base
from finetune.export import card
from serve.registry import base_modules
from tests.finetune import tiny_awq
from tests.finetune.training.conftest import Bench
from tests.forked import Forge
from tests.serve import tiny
from tests.serve.test_client import listening
from tests.waiting import HUNG

GUARD = '''
"""Loaded by every Python process at its start: what leaves this machine is written down, and fails."""
import os, socket, traceback

def refused(what, address):
    with open(os.environ["GUARD_LOG"], "a") as log:
        log.write(f"{what} {address!r}\\n" + "".join(traceback.format_stack()[-14:-2]) + "\\n")
    raise OSError(f"{what} {address!r}: no network in this test")

def guarded(name):
    original = getattr(socket.socket, name)
    def call(self, address, *rest):
        away = self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost")
        return refused(name, address) if away else original(self, address, *rest)
    setattr(socket.socket, name, call)

for name in ("connect", "connect_ex", "sendto"):
    guarded(name)
look_up = socket.getaddrinfo
def getaddrinfo(host, *rest, **named):
    local = host in (None, "", "127.0.0.1", "::1", "localhost")
    return look_up(host, *rest, **named) if local else refused("getaddrinfo", host)
socket.getaddrinfo = getaddrinfo
'''


class Person:
    """Types commands on a machine whose network is watched; `HF_HUB_OFFLINE` is not set."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.log = folder / "asked.log"
        (folder / "guard").mkdir()
        (folder / "guard" / "sitecustomize.py").write_text(GUARD)
        known = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        self.environment = known | {
            "ENXERTO_HOME": str(home),
            "GUARD_LOG": str(self.log),
            "PYTHONPATH": os.pathsep.join((str(folder / "guard"), str(Path.cwd()))),
            "OMP_NUM_THREADS": "1",
        }

    def types(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, command)],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=HUNG,
            check=False,
        )

    @property
    def asked(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    yield Person(tmp_path, tmp_path / "home")


def test_the_guard_sees_a_look_up(person: Person) -> None:
    """A test of the test: a name, an address, and a request of the hub's own library."""
    name = person.types("-c", "import socket; socket.create_connection(('huggingface.co', 443))")
    address = person.types("-c", "import socket; socket.socket().connect(('192.0.2.1', 443))")
    hub = person.types("-c", "from huggingface_hub import model_info; model_info('a/b')")
    assert name.returncode and address.returncode and hub.returncode
    assert person.asked.count("getaddrinfo 'huggingface.co'") >= 2
    assert "connect ('192.0.2.1', 443)" in person.asked


def test_from_a_folder_to_a_pushed_adapter_nothing_is_asked(
    person: Person, base: Path, chats: Path, tmp_path: Path, forge: Forge
) -> None:
    model = tmp_path / "models" / "tiny"
    model.parent.mkdir()
    tiny_awq.make_base(model, base)
    (model / "base.json").unlink()
    (tmp_path / "runs").mkdir()
    recipe = Bench(tmp_path / "home", chats, tmp_path / "runs", forge).recipe(
        base=str(model),
        lora={"r": 4, "alpha": 8, "init": "gaussian", "targets": ["q_proj"]},
        train={"steps": 1, "batch": 2},
        track={"wandb": "off", "tensorboard": "off", "generations": 1},
    )
    adapter = tmp_path / "runs" / "run"
    for command in (
        ("base", model),
        ("validate", recipe),
        ("train", recipe),
        ("export", adapter, "--to", "merged", "--out", tmp_path / "merged"),
        ("export", adapter, "--to", "gguf-lora", "--out", tmp_path / "run.gguf"),
        ("export", adapter, "--to", "hub", "--out", tmp_path / "repository"),
    ):
        done = person.types("-m", "finetune", *command)
        assert done.returncode == 0, done.stderr
        assert person.asked == "", command
    [place] = (tmp_path / "home" / "bases").iterdir()
    (adapter / "probes.json").unlink()  # the server's engine here has no model that could agree
    made = tiny.make_server(
        tmp_path / "registry", tiny.Base(place, read_base(place), base_modules.read(place))
    )
    with listening(made.app) as url:
        # As the adapter's own card says, with the folder that it names.
        [line] = [line for line in (adapter / "README.md").read_text().splitlines() if "serve push" in line]
        words = line.split()
        assert words[:3] == ["serve", "push", str(adapter)]
        done = person.types("-m", *words, ENXERTO_URL=url, ENXERTO_API_KEY=made.key)
    assert done.returncode == 0, done.stderr
    assert person.asked == ""


def test_a_card_names_the_folder_that_the_adapter_is_in(person: Person, base: Path) -> None:
    """A folder with a blank in its name can be pasted as the card has it."""
    folder = person.log.parent / "my runs"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).write_text("{}")
    tiny_awq.describe_adapter(folder, base)
    manifest = AdapterManifest.model_validate_json((folder / "manifest.json").read_bytes())
    told = manifest.model_copy(
        update={
            "recipe": {"lora": {"r": 4, "alpha": 8}},
            "training": {"steps": 1, "seconds": 1, "mean_loss": 1.0},
            "code": {"enxerto": "1"},
        }
    )
    [line] = [line for line in card(told, folder).splitlines() if "serve push" in line]
    assert shlex.split(line)[:4] == ["serve", "push", str(folder), "--name"]
