"""Headers of safetensors that no writer writes: shapes, names, places, lengths, and too much of each."""

import json

from tests.serve.hostile.attack import pack, unpack
from tests.serve.hostile.forge import DOWN_B, Q_A, Cases, entry, header, renamed, weights, whole

ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
SPACES = b" " * 8 * 2**20


def _many(count: int) -> bytes:
    """A header of so many one-byte tensors, all in their places."""
    entries = {f"t{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(count)}
    return pack(entries, b"x" * count)


HEADERS: Cases = {
    "shape (0, 2^40)": (whole({"a": ONE | {"shape": [0, 2**40], "data_offsets": [0, 0]}}, b""), "at least 1"),
    "shape of no dimension": (whole({"a": ONE | {"shape": []}}), "needs 1 to 4 dimensions"),
    "shape of five dimensions": (entry(shape=[4, 16, 1, 1, 1]), "needs 1 to 4 dimensions"),
    "shape that overflows": (entry(shape=[2**39, 2**39, 2**39, 2**39]), "has 256 bytes for shape"),
    "shape beyond 2^40": (entry(shape=[2**41]), "at least 1"),
    "shape that wraps to the right size": (entry(shape=[2**32 + 4, 16]), "has 256 bytes for shape"),
    "shape below zero": (entry(shape=[-4, -16]), "at least 1"),
    "shape true": (entry(shape=[True, 64]), "at least 1"),
    "shape of floats": (entry(shape=[4.0, 16.0]), "at least 1"),
    "shape of text": (entry(shape=["4", "16"]), "at least 1"),
    "shape null": (entry(shape=None), "lacks dtype, shape or data_offsets"),
    "repeated tensor": (whole(f'{{"a": {json.dumps(ONE)}, "a": {json.dumps(ONE)}}}'), "'a' is there twice"),
    "repeated tensor, escaped": (
        whole(f'{{"a": {json.dumps(ONE)}, "\\u0061": {json.dumps(ONE)}}}'),
        "'a' is there twice",
    ),
    "repeated field": (whole(f'{{"a": {json.dumps(ONE)[:-1]}, "shape": [2]}}}}'), "'shape' is there twice"),
    "repeated metadata": (whole('{"__metadata__": {}, "__metadata__": {}}'), "'__metadata__' is there twice"),
    "metadata of no strings": (header(lambda h: h.update(__metadata__={"a": [1]})), "__metadata__"),
    "metadata that is a list": (header(lambda h: h.update(__metadata__=["pt"])), "__metadata__"),
    "path as a tensor's name": (renamed("../../../etc/passwd"), "is no tensor name"),
    "NUL in a tensor's name": (renamed(f"{Q_A}\0"), "is no tensor name"),
    "line end in a tensor's name": (renamed(f"{Q_A}\n"), "is no tensor name"),
    "look-alike letter in a tensor's name": (renamed(Q_A.replace("a", "а")), "is no tensor name"),
    "turned text in a tensor's name": (renamed(f"\u202e{Q_A}"), "is no tensor name"),
    "half a character in a tensor's name": (renamed(f"{Q_A}\ud800"), "half a character"),
    "tensor name of nothing": (renamed(""), "is no tensor name"),
    "tensor name of a megabyte": (renamed("a" * 2**20), "is no tensor name"),
    "tensor name of 40 parts": (renamed(".".join("a" * 40)), "is no tensor name"),
    "Python's own name": (renamed("__class__.__init__"), "neither lora_A nor lora_B"),
    "further field": (entry(strides=[1, 1]), "or has more than these"),
    "unknown dtype": (entry(dtype="PICKLE"), "the unknown dtype 'PICKLE'"),
    "dtype that is a list": (entry(dtype=["F32"]), "lacks dtype"),
    "double precision": (whole({Q_A: ONE | {"dtype": "F64"}}), "has 4 bytes for shape"),
    "three offsets": (entry(data_offsets=[0, 256, 256]), "lacks dtype"),
    "offsets below zero": (entry(data_offsets=[-256, 0]), "no byte counts"),
    "offsets backwards": (entry(data_offsets=[256, 0]), "has -256 bytes for shape"),
    "offsets of floats": (entry(data_offsets=[0.0, 256.0]), "no byte counts"),
    "offsets true": (entry(data_offsets=[False, 256]), "no byte counts"),
    "offsets of 60 digits": (entry(data_offsets=[10**60, 10**60 + 256]), "was due"),
    "offset of 4000 digits": (entry(data_offsets=[10**4000, 10**4000 + 256]), "a number has 4001 digits"),
    "offset 1e999": (whole('{"a": {"data_offsets": [0, 1e999]}}'), "the number 1e999 is too large"),
    "offset of a million digits": (
        whole('{"a": {"data_offsets": [0, 1.' + "7" * 2**20 + "]}}"),
        "a number has 1048578 digits",
    ),
    "overlap": (header(lambda h: h[Q_A].update(data_offsets=h[DOWN_B]["data_offsets"])), "was due"),
    "hole": (whole({"a": ONE | {"data_offsets": [4, 8]}}, b"abcdabcd"), "was due"),
    "bytes behind": (weights(lambda weights: weights + b"\0"), "its tensors end at byte"),
    "cut off": (weights(lambda weights: weights[:-1]), "its tensors end at byte"),
    "length beyond the file": (whole({"a": ONE}, length=2**63), "its header claims 9223372036854775808"),
    "length of nothing": (whole({"a": ONE}, length=0), "its header claims 0 bytes"),
    "length one short": (whole({"a": ONE}, length=len(json.dumps({"a": ONE})) - 1), "no safetensors file"),
    "header beyond 8 MB": (whole(b"{}" + SPACES), "where at most 8388608 go"),
    "header of 20 001 tensors": (weights(lambda _: _many(20_001)), "20001 tensors, where at most 20000 go"),
    "header of a million keys": (
        whole("{" + ",".join(f'"{n:x}":1' for n in range(600_000)) + "}"),
        "more than 240000 values",
    ),
    "header of empty lists": (whole(b'{"a":[' + b"[]," * 2**20 + b"[]]}"), "more than 240000 values"),
    "header nested deep": (whole(b'{"a":' + b"[" * 100_000), "nested too deeply"),
    "header that is a list": (whole(b"[]"), "does not begin with a brace"),
    "header behind blanks": (
        weights(lambda w: pack(b" " + json.dumps(unpack(w)[0]).encode(), unpack(w)[1])),
        "brace",
    ),
    "header behind a byte order mark": (whole(b"\xef\xbb\xbf{}"), "does not begin with a brace"),
    "header that is no UTF-8": (whole(b'{"\xff": 1}'), "not in UTF-8, from byte 2 on"),
    "no tensor": (whole(b"{}", b""), "4 of 4 tensors are absent"),
}
