"""Weights that are not those of a LoRA on this base, that are no numbers, or that are something else."""

import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from tests.serve.hostile.attack import PICKLED, pack, unpack
from tests.serve.hostile.forge import (
    DOWN_A,
    DOWN_B,
    Q_A,
    Q_B,
    Cases,
    Q,
    entry,
    renamed,
    tarred,
    values,
    weights,
    zipped,
)

ELSEWHERE = Q_A.replace(".0.", ".7.")
HEAD = "base_model.model.lm_head.lora_A.weight"
EMBEDDING = "base_model.model.model.embed_tokens.lora_embedding_A"


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (PICKLED,)


VALUES: Cases = {
    "NaN": (values(lambda t: t[Q_A].put(7, np.nan)), "holds NaN, infinity"),
    "NaN as the very last": (values(lambda t: t[DOWN_B].put(-1, np.nan)), "holds NaN, infinity"),
    "NaN in bfloat16": (values(lambda t: t[Q_A].put(7, np.nan), "BF16"), "holds NaN, infinity"),
    "infinity in float16": (values(lambda t: t[Q_B].put(7, np.inf), "F16"), "holds NaN, infinity"),
    "minus infinity": (values(lambda t: t[Q_B].put(7, -np.inf)), "holds NaN, infinity"),
    "beyond float16": (values(lambda t: t[Q_B].put(7, 65_536)), "a value beyond 65504"),
    "beyond float16 in bfloat16": (values(lambda t: t[Q_B].put(7, 1e38), "BF16"), "a value beyond 65504"),
    "every B zero": (values(lambda t: [t[name].fill(0) for name in (Q_B, DOWN_B)]), "changes nothing"),
    "every A zero": (values(lambda t: [t[name].fill(0) for name in (Q_A, DOWN_A)]), "changes nothing"),
    "half of each pair zero": (
        values(lambda t: [t[name].fill(0) for name in (Q_A, DOWN_B)]),
        "changes nothing",
    ),
    "next to zero": (values(lambda t: [v.fill(1e-20) for v in t.values()]), "changes nothing"),
    "all values huge": (values(lambda t: [v.fill(60_000) for v in t.values()]), "may change its weights by"),
    "transposed": (values(lambda t: t.update({Q_A: t[Q_A].T})), "has shape [16, 4]"),
    "A and B exchanged": (values(lambda t: t.update({Q_A: t[Q_B], Q_B: t[Q_A]})), "has shape [24, 4]"),
    "half of the rank": (values(lambda t: t.update({Q_A: t[Q_A][:2], Q_B: t[Q_B][:, :2]})), "has shape [2, "),
    "flat": (values(lambda t: t.update({Q_A: t[Q_A].ravel()})), "has shape [64]"),
    "B without its A": (values(lambda t: t.pop(Q_A)), "1 of 4 tensors are absent"),
    "layer that is not there": (values(lambda t: t.update({ELSEWHERE: t[Q_A]})), "no layer of"),
    "adapted output head": (values(lambda t: t.update({HEAD: t[Q_A]})), "no layer"),
    "weights of the base": (values(lambda t: t.update({Q + ".weight": t[Q_B]})), "neither lora_A nor lora_B"),
    "DoRA's magnitudes": (
        values(lambda t: t.update({f"{Q}.lora_magnitude_vector": t[Q_B][:, 0]})),
        "neither lora_A nor lora_B",
    ),
    "bias of a LoRA": (values(lambda t: t.update({f"{Q}.lora_B.bias": t[Q_B][:, 0]})), "neither lora_A nor"),
    "adapted embedding": (
        values(lambda t: t.update({EMBEDDING: t[Q_A]})),
        "neither lora_A nor lora_B",
    ),
    "without PEFT's prefix": (renamed(Q_A.removeprefix("base_model.model.")), "neither lora_A nor lora_B"),
    "whole numbers": (entry(dtype="I32"), "is I32; save the adapter in F32"),
    "doubles": (values(lambda t: t, "F64"), "is F64; save the adapter in F32"),
}

FORMATS: Cases = {
    "renamed pickle": (weights(lambda _: pickle.dumps(_Evil())), "no safetensors file"),
    "renamed torch archive": (weights(zipped), "a zip archive"),
    "tar": (weights(tarred), "its header claims"),
    "gzip": (weights(gzip.compress), "its header claims"),
    "zip behind the weights": (weights(lambda weights: weights + zipped(weights)), "its tensors end at byte"),
    "zip before the weights": (weights(lambda weights: zipped(weights) + weights), "a zip archive"),
    "zip within the header": (
        weights(lambda w: pack(json.dumps(unpack(w)[0]).encode() + zipped(b"x"), unpack(w)[1])),
        "no safetensors file",
    ),
    "program": (weights(lambda weights: b"\x7fELF\2\1\1\0" + weights), "its header claims"),
    "GGUF": (weights(lambda weights: b"GGUF\3\0\0\0" + weights), "GGUF"),
    "NumPy": (weights(lambda _: b"\x93NUMPY\1\0v\0{'descr': '|O'}"), "its header claims"),
    "page": (weights(lambda _: b"<html><script>alert(1)</script></html>"), "a web page"),
    "pointer to large storage": (
        weights(lambda _: b"version https://git-lfs.github.com/spec/v1\n"),
        "`git lfs pull`",
    ),
    "noise": (weights(lambda weights: os.urandom(len(weights))), "no safetensors file"),
    "no byte": (weights(lambda _: b""), "its header claims 0 bytes in a file of 0"),
    "seven bytes": (weights(lambda _: b"\2\0\0\0\0\0\0"), "its header claims 0 bytes in a file of 7"),
}
