"""However large an adapter is, the check stays within 256 MB; however much it says of itself, within half."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serve.registry.base_modules import Modules
from tests.serve import tiny
from tests.serve.hostile.attack import pack
from tests.serve.tiny import CONFIG, WEIGHTS, Base

MOST_MB = 256
WIDTH = 2**24
"""A layer of rank 8 that is as wide on both sides has 1 GB of weights in float32."""

CHECK = """
import json, sys
from pathlib import Path
from data.errors import UserError
from data.manifest import read_base
from serve.registry import validate

folder, base, modules, max_rank = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
why = ""
try:
    validate.check(Path(folder), read_base(Path(base)), modules, max_rank)
except UserError as error:
    why = str(error)
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps([why, int(peak) / 1024]))
"""


def checked(folder: Path, base: Base, modules: Modules = tiny.MODULES) -> tuple[str, float]:
    """Why the adapter is refused, in a process of its own, or nothing; and the most memory it took, in MB."""
    given = [folder, base.folder, json.dumps(modules), str(tiny.MAX_RANK)]
    done = subprocess.run([sys.executable, "-c", CHECK, *given], capture_output=True, text=True, check=True)
    why, peak = json.loads(done.stdout)
    return why, peak


@pytest.fixture
def adapter(tmp_path: Path, base: Base) -> Path:
    return tiny.make_adapter(tmp_path / "adapter", base)


@pytest.mark.slow
@pytest.mark.parametrize("spoilt", [False, True])
def test_a_gigabyte_is_checked_to_its_last_value(adapter: Path, base: Base, spoilt: bool) -> None:
    """A sparse file: zeros but for the first value of A and the last of B."""
    part = tiny.MAX_RANK * WIDTH * 4
    name = "base_model.model.model.layers.0.mlp.down_proj"
    header = pack(
        {
            f"{name}.lora_A.weight": {
                "dtype": "F32", "shape": [tiny.MAX_RANK, WIDTH], "data_offsets": [0, part]
            },
            f"{name}.lora_B.weight": {
                "dtype": "F32", "shape": [WIDTH, tiny.MAX_RANK], "data_offsets": [part, 2 * part]
            },
        },
        b"\0\0\x80\x3f",
    )  # fmt: skip
    size = len(header) - 4 + 2 * part
    with (adapter / WEIGHTS).open("wb") as file:
        file.write(header)
        os.truncate(file.fileno(), size)
        file.seek(size - 4)
        file.write(b"\0\0\xc0\x7f" if spoilt else b"\0\0\x80\x43")
    tiny.change_config(adapter, r=tiny.MAX_RANK, lora_alpha=64, target_modules=["down_proj"])
    tiny.sign(adapter, base)
    why, peak = checked(adapter, base, {"model.layers.0.mlp.down_proj": (WIDTH, WIDTH)})
    assert ("holds NaN" in why) if spoilt else (why == "")
    assert peak < MOST_MB


@pytest.mark.parametrize(
    ("file", "data"),
    [
        (WEIGHTS, pack(b'{"a":[' + b"[]," * 2_700_000 + b"[]]}", b"")),
        (WEIGHTS, pack(b"{" + b",".join(b'"%x":[]' % n for n in range(119_000)) + b"}", b"")),
        ("report.json", b'{"a":[' + b"{}," * 5_500_000 + b"{}]}"),
        ("report.json", b'{"a":[' + b"{}," * 250_000 + b"{}]}"),
        ("manifest.json", b'{"dataset":{"sources":[' + b"1," * 500_000 + b"1]}}"),
        (CONFIG, b'{"target_modules":[' + b"1," * 30_000 + b"1]}"),
    ],
    ids=["lists", "keys", "objects", "objects within the limit", "sources", "targets"],
)
def test_much_structure_takes_little_memory(adapter: Path, base: Base, file: str, data: bytes) -> None:
    (adapter / file).write_bytes(data)
    if file != "manifest.json":
        tiny.sign(adapter, base)
    why, peak = checked(adapter, base)
    assert why or file == "report.json"
    assert peak < MOST_MB / 2
