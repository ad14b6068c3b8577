"""Changes to a valid adapter, one part at a time: config, manifest, header, values, or the bytes."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from tests.serve.hostile.attack import MANIFEST, Act, Files, pack, push, sign, unpack
from tests.serve.tiny import CONFIG, WEIGHTS

Q = "base_model.model.model.layers.0.self_attn.q_proj"
Q_A, Q_B = f"{Q}.lora_A.weight", f"{Q}.lora_B.weight"
DOWN_A = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"
DOWN_B = DOWN_A.replace("lora_A", "lora_B")

Cases = dict[str, tuple[Act, str]]
"""What is tried -> how, and words of the sentence that refuses it."""


def sent(change: Callable[[Files], object], signed: bool = True) -> Act:
    """Push an adapter after `change` has been at its files; `signed` makes the manifest fit them again."""

    def act(http: httpx.Client, files: Files) -> httpx.Response:
        change(files)
        if signed:
            sign(files)
        return push(http, files)

    return act


def config(**changes: Any) -> Act:
    return sent(lambda files: files.update({CONFIG: merged(files[CONFIG], changes)}))


def config_text(text: str | bytes) -> Act:
    """This instead of the config."""
    return sent(lambda files: files.update({CONFIG: text if isinstance(text, bytes) else text.encode()}))


def config_with(member: str) -> Act:
    """The config with one further member, as text that no library would write."""
    return sent(lambda files: files.update({CONFIG: files[CONFIG][:-1] + f", {member}}}".encode()}))


def manifest(change: Callable[[dict[str, Any]], object]) -> Act:
    """Push with a manifest that `change` has been at."""

    def changed(files: Files) -> None:
        value = json.loads(files[MANIFEST])
        change(value)
        files[MANIFEST] = json.dumps(value).encode()

    return sent(changed, signed=False)


def manifest_with(member: str) -> Act:
    """The manifest with one further member."""
    return sent(
        lambda files: files.update({MANIFEST: files[MANIFEST][:-1] + f", {member}}}".encode()}), signed=False
    )


def training_with(member: str) -> Act:
    """The manifest with one member under `training`, where any value goes."""
    old, new = b'"training":{}', f'"training":{{{member}}}'.encode()
    return sent(lambda files: files.update({MANIFEST: files[MANIFEST].replace(old, new)}), signed=False)


def manifest_text(text: str | bytes) -> Act:
    return sent(
        lambda files: files.update({MANIFEST: text if isinstance(text, bytes) else text.encode()}),
        signed=False,
    )


def beside(name: str, data: bytes) -> Act:
    """The adapter with a further file."""
    return sent(lambda files: files.update({name: data}))


def merged(text: bytes, changes: dict[str, Any]) -> bytes:
    return json.dumps(json.loads(text) | changes).encode()


def weights(change: Callable[[bytes], bytes]) -> Act:
    """Push with what `change` makes of the weights' bytes."""
    return sent(lambda files: files.update({WEIGHTS: change(files[WEIGHTS])}))


def header(change: Callable[[dict[str, Any]], object]) -> Act:
    """Push after `change` has been at the weights' header."""

    def changed(file: bytes) -> bytes:
        entries, data = unpack(file)
        change(entries)
        return pack(entries, data)

    return weights(changed)


def whole(text: dict[str, Any] | str | bytes, data: bytes = b"abcd", length: int | None = None) -> Act:
    """Push a file with this header and these bytes behind it."""
    raw = text.encode() if isinstance(text, str) else text
    return weights(lambda _: pack(raw, data, length))


def values(change: Callable[[dict[str, npt.NDArray[Any]]], object], dtype: str = "F32") -> Act:
    """Push after `change` has been at the matrices, stored as `dtype`."""

    def changed(file: bytes) -> bytes:
        tensors = matrices(file)
        change(tensors)
        return stored(tensors, dtype)

    return weights(changed)


def matrices(file: bytes) -> dict[str, npt.NDArray[Any]]:
    """The float32 matrices of a valid adapter's weights, by name."""
    entries, data = unpack(file)
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"]).copy()
        for name, entry in entries.items()
        if name != "__metadata__"
    }


def stored(tensors: dict[str, npt.NDArray[Any]], dtype: str = "F32") -> bytes:
    """A safetensors file of these float32 matrices; BF16 is the upper half of each value."""
    entries: dict[str, Any] = {}
    data = b""
    for name, value in tensors.items():
        raw = value.astype("<f4").tobytes()
        if dtype == "BF16":
            raw = np.frombuffer(raw, "<u2")[1::2].tobytes()
        elif dtype != "F32":
            raw = value.astype({"F16": "<f2", "F64": "<f8"}[dtype]).tobytes()
        entries[name] = {
            "dtype": dtype,
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return pack(entries, data)


def renamed(name: str) -> Act:
    """The weights with one tensor under this name."""
    return header(lambda h: h.update({name: h.pop(Q_A)}))


def entry(**changes: Any) -> Act:
    """The weights with these fields in the first tensor's entry."""
    return header(lambda h: h[Q_A].update(changes))


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../etc/cron.d/x"), io.BytesIO(content))
    return file.getvalue()
