"""What the fuzzer does to weights: header, lengths, values and shapes, each wrong whatever it draws."""

import json
import math

import numpy as np
from hypothesis import strategies as st

from tests.serve.hostile.attack import Files, pack, unpack
from tests.serve.hostile.forge import matrices, stored, tarred, zipped
from tests.serve.hostile.mutations import JSON, JUNK, OBJECT, WORDS, Draw, Mutation, other
from tests.serve.tiny import WEIGHTS


def header_field(draw: Draw, files: Files) -> str:
    """A field of one tensor's entry; the bytes stay where they are."""
    header, data = unpack(files[WEIGHTS])
    name = draw(st.sampled_from(sorted(header.keys() - {"__metadata__"})))
    field = draw(st.sampled_from(["dtype", "shape", "data_offsets", "further"]))
    sizes = st.integers(-2, 300) | st.integers(2**31 - 1, 2**70)
    strategy = {
        "dtype": WORDS | JUNK | st.sampled_from(["F64", "F16", "BF16", "I64", "I32", "U8", "BOOL", "f32"]),
        "shape": JUNK | st.lists(sizes, max_size=6) | st.permutations([*header[name]["shape"], 1]),
        "data_offsets": JUNK | st.lists(sizes, max_size=3),
        "further": JSON,
    }[field]
    value = draw(other(header[name].get(field), strategy))
    header[name][field] = value
    files[WEIGHTS] = pack(header, data)
    return f"{name} has {field}: {value!r}"


def header_names(draw: Draw, files: Files) -> str:
    """A tensor under another name, without its entry, or beside one more that is laid out as it should be."""
    header, data = unpack(files[WEIGHTS])
    name = draw(st.sampled_from(sorted(header.keys() - {"__metadata__"})))
    twists = [(".0.", ".1."), ("lora_", "lora_embedding_"), ("weight", "bias"), ("base_model.", "")]
    new = draw(WORDS | st.sampled_from([name.replace(*twist) for twist in twists]))
    how = draw(st.sampled_from(["renamed", "dropped", "added"]))
    if how == "added":
        header = {**header, new: header[name] | {"data_offsets": [len(data), len(data) + 4], "shape": [1, 1]}}
        data += b"\0" * 4
    else:
        entry = header.pop(name)
        if how == "renamed":
            header[new] = entry
    files[WEIGHTS] = pack(header, data)
    return f"{name} is {how}{'' if how == 'dropped' else f' as {new!r}'}"


def header_text(draw: Draw, files: Files) -> str:
    """The header as text: a key twice, one that is no header, metadata that is none."""
    header, data = unpack(files[WEIGHTS])
    how = draw(st.sampled_from(["key twice", "anything", "metadata", "blank"]))
    text = json.dumps(header).encode()
    if how == "key twice":
        name = draw(st.sampled_from(sorted(header)))
        text = text[:-1] + f", {json.dumps(name)}: {json.dumps(header[name])}}}".encode()
    elif how == "anything":
        text = draw(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
    elif how == "metadata":
        wrong = st.dictionaries(WORDS, JUNK.filter(lambda note: not isinstance(note, str)), min_size=1)
        text = json.dumps(header | {"__metadata__": draw(OBJECT.filter(lambda v: v != {}) | wrong)}).encode()
    else:
        text = draw(st.sampled_from([b" ", b"\n", b"\0", b"\xef\xbb\xbf", b"//\n"])) + text
    files[WEIGHTS] = pack(text, data)
    return f"header with {how}: {text[:200]!r}"


def length(draw: Draw, files: Files) -> str:
    """The first eight bytes, which say how long the header is."""
    true = int.from_bytes(files[WEIGHTS][:8], "little")
    claimed = draw(other(true, st.integers(0, 2**64 - 1) | st.integers(true - 20, true + 20)))
    files[WEIGHTS] = claimed.to_bytes(8, "little") + files[WEIGHTS][8:]
    return f"header claims {claimed} bytes"


def ends(draw: Draw, files: Files) -> str:
    """The file cut short, or with more behind it."""
    if draw(st.booleans()):
        keep = draw(st.integers(0, len(files[WEIGHTS]) - 1))
        files[WEIGHTS] = files[WEIGHTS][:keep]
        return f"weights cut to {keep} bytes"
    more = draw(st.binary(min_size=1, max_size=32) | st.sampled_from([zipped(b"x"), tarred(b"x")]))
    files[WEIGHTS] += more
    return f"weights with {more[:32]!r} behind"


def values(draw: Draw, files: Files) -> str:
    """One value that is no number of float16, or many that have no effect, or too much."""
    tensors = matrices(files[WEIGHTS])
    name = draw(st.sampled_from(sorted(tensors)))
    bad = draw(st.sampled_from([math.nan, math.inf, -math.inf, 65_536.0, -3e38, "A zero", "B zero", "huge"]))
    if isinstance(bad, float):
        place = draw(st.integers(0, tensors[name].size - 1))
        tensors[name].put(place, bad)
        files[WEIGHTS] = stored(tensors, draw(st.sampled_from(["F32", "BF16"])))
        return f"{name}[{place}] is {bad}"
    for each, tensor in tensors.items():
        if bad == "huge" or f"lora_{bad[0]}" in each:
            tensor.fill(60_000 if bad == "huge" else 0)
    files[WEIGHTS] = stored(tensors, draw(st.sampled_from(["F32", "F16", "BF16"])))
    return f"values: {bad}"


def shapes(draw: Draw, files: Files) -> str:
    """A matrix of another shape or type, laid out as it should be."""
    tensors = matrices(files[WEIGHTS])
    name = draw(st.sampled_from(sorted(tensors)))
    change = {
        "transposed": np.transpose,
        "flat": np.ravel,
        "a row short": lambda matrix: matrix[1:],
        "a column short": lambda matrix: matrix[:, 1:],
        "twice as high": lambda matrix: np.concatenate([matrix, matrix]),
        "in a stack": lambda matrix: matrix[None],
    }
    how = draw(st.sampled_from(sorted(change)))
    tensors[name] = change[how](tensors[name])
    files[WEIGHTS] = stored(tensors, draw(st.sampled_from(["F32", "F64"])))
    return f"{name} is {how}"


OF_WEIGHTS: list[Mutation] = [header_field, header_names, header_text, length, ends, values, shapes]
