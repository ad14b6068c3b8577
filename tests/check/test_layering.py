"""The arrows of the house: data <- finetune, data <- serve, nothing between those two, heavy imports last."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("data", "finetune", "serve")
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "vllm", "wandb", "accelerate", "gptqmodel"}
MODEL_SIDE = {"torch", "transformers", "peft", "trl", "datasets", "wandb", "accelerate", "gptqmodel"}
# The rooms where a model is at hand; everywhere else these imports stand inside a function of these files.
MODEL_ROOMS = {
    "data/formats/hub.py",
    "finetune/base/build.py",
    "finetune/base/quantize.py",
    "finetune/estimate/devices.py",
    "finetune/estimate/probe.py",
    "finetune/leave/gguf_lora.py",
    "finetune/leave/merged.py",
    "finetune/leave/source.py",
    "finetune/perplexity.py",
    "finetune/train.py",
}
MODEL_FOLDERS = ("finetune/model/", "finetune/training/")


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path, everywhere: bool = True) -> set[str]:
    """Top-level names imported by a file: everywhere in it, or when it is imported only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    nodes = ast.walk(tree) if everywhere else _import_time(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _import_time(tree: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        found.append(child)
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found.extend(_import_time(child))
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_two_sides_meet_in_data_only() -> None:
    for path in sources():
        package, found = name(path).partition("/")[0], imports(path)
        forbidden = {"data": {"finetune", "serve"}, "finetune": {"serve"}, "serve": {"finetune"}}[package]
        assert not found & (forbidden | {"bench", "tests"}), name(path)


def test_vllm_lives_in_the_engine_only() -> None:
    for path in sources():
        if "vllm" in imports(path):
            assert name(path).startswith("serve/engine/"), name(path)


def test_models_live_in_the_model_rooms_only() -> None:
    for path in sources():
        if name(path).startswith(("serve/engine/", *MODEL_FOLDERS)):
            continue
        if imports(path) & MODEL_SIDE:
            assert name(path) in MODEL_ROOMS, f"{name(path)} imports {imports(path) & MODEL_SIDE}"


def test_data_is_pydantic_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"pydantic", "data"}
    # What whole data sets are read and checked with: late, or where only `finetune validate` imports it.
    late = {"data/formats/hub.py": {"datasets"}, "data/formats/parquet.py": {"pyarrow"}}
    bulk = {"data/duplicates.py": {"numpy", "rensa"}, "data/schemas.py": {"jsonschema_rs"}}
    bulk["data/strict.py"] = {"yaml"}  # what a person writes by hand
    bulk["data/commands.py"] = {"typer"}  # the two command lines, which import it alone
    for path in (ROOT / "data").rglob("*.py"):
        generator = {"rich", "yaml"} if name(path).startswith("data/generate/") else set()
        found = imports(path) - late.get(name(path), set()) - bulk.get(name(path), set())
        assert found <= allowed | generator, f"{name(path)}: {found - allowed}"
        assert not imports(path, everywhere=False) & late.get(name(path), set()), name(path)


@pytest.mark.parametrize(
    "module",
    [
        "finetune.cli",
        "serve.cli",
        "finetune.recipe",
        "finetune.eval.suite",
        "serve.client",
        "bench.quickstart",
        "finetune.validate.command",
        "finetune.preview.command",
        "finetune.base.modules",
        "finetune.kinds",
        "finetune.train",
    ],
)
def test_light_modules_stay_light(module: str) -> None:
    script = f"import sys, {module}; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not HEAVY & set(loaded.stdout.split())


def test_files_are_short() -> None:
    long = {name(path): count for path in sources() if (count := len(path.read_text().splitlines())) > 350}
    assert not long
