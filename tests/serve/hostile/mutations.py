"""What the fuzzer does to config and manifest: whatever it draws, a valid one comes out wrong.

A change that may do no harm (another README, another dropout, blanks) is not here: what is taken after any
of these is a hole.
"""

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.serve.hostile.attack import MANIFEST, Files
from tests.serve.tiny import CONFIG, WEIGHTS

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]
Mutation = Callable[[Draw, Files], str]
"""Changes the files, and says what it did."""

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "../x",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        "\u202ea",
        "(a+)+$",
        "A" * 300,
        "..",
        "",
        " ",
        "\x1b[2J",
        "__class__",
    ]
)
JUNK = st.sampled_from([None, True, -1, 1.5, 2**70, -(2**70), "x", [], {}, [[]], {"x": {}}, [None]])
"""Values of no use to anybody; a field that takes one of them is not given that one."""
JSON = st.recursive(JUNK | WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner), max_leaves=8)
NUMBERS = st.sampled_from(
    ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "0x4", "04", "+4", "4.", ".4", "4_0", "9" * 100, "-4",
     "0." + "7" * 5000, "1e-999", "-0", '"4"', "4.0.0", "[4]", "4e", "null", "True"]
)  # fmt: skip
"""What stands for an alpha, and is no number above zero."""


def other(than: T, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draws that are not `than`, and not equal to it in Python's broad sense either, as True is to 1."""
    return strategy.filter(lambda value: value != than)


# --- any JSON text ---


def cut(file: str) -> Mutation:
    """A beginning of an object is no object."""

    def mutate(draw: Draw, files: Files) -> str:
        keep = draw(st.integers(0, len(files[file].rstrip()) - 1))
        files[file] = files[file][:keep]
        return f"{file} cut to {keep} bytes"

    return mutate


def replaced(file: str) -> Mutation:
    def mutate(draw: Draw, files: Files) -> str:
        files[file] = draw(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
        return f"{file} is {files[file]!r}"

    return mutate


def repeated(file: str) -> Mutation:
    """One of the keys once more, with any value, before or behind the others."""

    def mutate(draw: Draw, files: Files) -> str:
        key = draw(st.sampled_from(sorted(json.loads(files[file]))))
        member = f"{json.dumps(key)}: {json.dumps(draw(JSON))}".encode()
        inner = files[file].strip()[1:-1]
        files[file] = b"{" + b", ".join([member, inner] if draw(st.booleans()) else [inner, member]) + b"}"
        return f"{file} has {key!r} twice"

    return mutate


def further(file: str, *path: str) -> Mutation:
    """A key that nobody knows, in the object at `path`."""

    def mutate(draw: Draw, files: Files) -> str:
        value = json.loads(files[file])
        key = "unknown" + draw(WORDS)
        # In a config, what says nothing is no extension.
        says = JSON.filter(lambda one: one is not None and one is not False and one not in ([], {}))
        at(value, *path)[key] = draw(says if file == CONFIG else JSON)
        files[file] = json.dumps(value).encode()
        return f"{file} has {'.'.join([*path, key])!r}"

    return mutate


def at(value: Any, *path: str) -> Any:
    for part in path:
        value = value[part]
    return value


# --- adapter_config.json ---


def _set(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Null is as good as absent."""
    return strategy.filter(lambda value: value is not None)


NO_STRING = st.sampled_from([True, -1, 1.5, [], {}])
CONFIG_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "peft_type": other("LORA", JUNK | WORDS),
    "r": other(4, JUNK | st.integers(-(2**70), 2**70)),
    "lora_alpha": JUNK.filter(lambda value: type(value) not in (int, float) or value <= 0)
    | st.floats(max_value=0)
    | st.floats(min_value=65_505),
    "target_modules": JUNK
    | WORDS
    | st.lists(st.sampled_from(["q_proj", "down_proj", "c_attn"]), max_size=3).filter(
        lambda names: set(names) != {"q_proj", "down_proj"}
    ),
    "bias": _set(other("none", JUNK | WORDS)),
    "use_rslora": _set(other(True, JUNK)),
    "init_lora_weights": _set(other(True, JUNK | WORDS)),
    "task_type": (JUNK | WORDS).filter(lambda value: value is not None),
    "lora_dropout": st.sampled_from([-1, 1, 1.5, math.nan, math.inf, "0", [], True]),
    "inference_mode": _set(other(True, JUNK)),
    "base_model_name_or_path": NO_STRING | WORDS.filter(lambda name: name not in ("", "tiny-awq")),
    "revision": NO_STRING,
    "peft_version": NO_STRING,
    "megatron_core": NO_STRING | WORDS,
    "qalora_group_size": st.sampled_from([1.5, "x", [], {}, True]),
} | dict.fromkeys(
    ["auto_mapping", "exclude_modules", "layers_pattern", "modules_to_save", "rank_pattern", "alpha_pattern",
     "layer_replication", "target_parameters", "use_dora", "lora_bias", "megatron_config", "loftq_config"],
    st.sampled_from([True, 1, 0, 1.5, "x", "", [0], {"(a+)+$": 4}, [[]]]),
)  # fmt: skip


def config_field(draw: Draw, files: Files) -> str:
    name = draw(st.sampled_from(sorted(CONFIG_FIELDS)))
    value = draw(CONFIG_FIELDS[name])
    files[CONFIG] = json.dumps(json.loads(files[CONFIG]) | {name: value}).encode()
    return f"config has {name}: {value!r}"


def config_number(draw: Draw, files: Files) -> str:
    number = draw(NUMBERS)
    files[CONFIG] = files[CONFIG].replace(b'"lora_alpha": 8', f'"lora_alpha": {number}'.encode())
    return f"config has alpha {number[:40]}"


# --- manifest.json ---

LINE = st.sampled_from([None, 1, [], {}, "a\0b", "a\nb", "\x1b[2J", "\u202ea", "A" * 2000])
OBJECT = st.sampled_from([None, 1, "x", [], [{}]])
COUNT = st.sampled_from([None, 1.5, "1", [], True])
MANIFEST_FIELDS: dict[tuple[str, ...], st.SearchStrategy[Any]] = {
    ("schema_version",): st.sampled_from([None, 0, 2, -1, "1", [], {}]),
    ("name",): LINE,
    ("base",): OBJECT | st.just({}),
    ("base", "name"): LINE,
    ("base", "fingerprint"): LINE | WORDS,
    ("renderer",): OBJECT | st.just({}),
    ("renderer", "name"): LINE | st.just("mistral"),
    ("renderer", "version"): COUNT | st.integers(2) | st.integers(max_value=0),
    ("renderer", "digest"): LINE | WORDS,
    ("dataset",): OBJECT | st.just({}),
    ("dataset", "conversations"): COUNT,
    ("dataset", "sources"): st.sampled_from([None, 1, {}, [1], [{}], [None], [{"path": "a\0"}]]),
    ("recipe",): OBJECT,
    ("recipe_digest",): LINE,
    ("training",): OBJECT | st.just({"\x1b[2J": 1}),
    ("code",): OBJECT | st.sampled_from([{"a": 1}, {"a": None}, {"a\n": "b"}, {"a": "\r"}]),
    ("created",): LINE,
    ("files",): OBJECT | st.just({}),
    ("files", CONFIG): OBJECT | st.just({}),
    ("files", WEIGHTS, "sha256"): LINE | WORDS,
    ("files", WEIGHTS, "size"): COUNT | st.integers(max_value=100) | st.integers(2**40),
    ("files", "../../x"): st.just({"sha256": "sha256:" + "0" * 64, "size": 1}),
}
"""Where, and what is wrong there."""


def manifest_field(draw: Draw, files: Files) -> str:
    value = json.loads(files[MANIFEST])
    path = draw(st.sampled_from(sorted(MANIFEST_FIELDS)))
    wrong = draw(MANIFEST_FIELDS[path])
    at(value, *path[:-1])[path[-1]] = wrong
    files[MANIFEST] = json.dumps(value).encode()
    return f"manifest has {'.'.join(path)}: {wrong!r}"


def manifest_without(draw: Draw, files: Files) -> str:
    value = json.loads(files[MANIFEST])
    name = draw(st.sampled_from(sorted(value.keys() - {"schema_version"})))
    del value[name]
    files[MANIFEST] = json.dumps(value).encode()
    return f"manifest has no {name}"


OF_CONFIG: list[Mutation] = [
    config_field,
    config_field,
    config_number,
    further(CONFIG),
    repeated(CONFIG),
    cut(CONFIG),
    replaced(CONFIG),
]
OF_MANIFEST: list[Mutation] = [
    manifest_field,
    manifest_field,
    manifest_without,
    *(further(MANIFEST, *path) for path in [(), ("base",), ("renderer",), ("dataset",), ("files", CONFIG)]),
    repeated(MANIFEST),
    cut(MANIFEST),
    replaced(MANIFEST),
]
