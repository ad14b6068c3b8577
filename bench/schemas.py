"""`python -m bench.schemas`: what the engine takes for the schemas of tools, as in the table of docs/chat.md.

Each catalog is held to as vLLM holds calls to it, in a process of its own: a compilation cannot be stopped.
"""

import json
import multiprocessing
import time
from functools import cache
from typing import Any

from rich.console import Console

from bench.command import run
from data.home import base_folder

BASE = "smollm2-135m-instruct-awq"
SECONDS = 60
"""What takes longer is not waited for."""

Schema = dict[str, Any]
console = Console(highlight=False)

_KINDS: list[Schema] = [
    {"type": "string", "description": "What it is, as a person would say it."},
    {"type": "integer", "minimum": 0, "maximum": 100},
    {"type": "boolean", "default": False},
    {"type": "array", "items": {"type": "string"}},
    {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Note"},
    {"type": "string", "enum": ["open", "closed", "a", "b", "c"]},
    {"type": "number"},
]
ISO_TIME = (
    r"^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|"
    r"1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))T(?:(?:[01]"
    r"\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z))$"
)


def object_of(count: int, required: int = 1, *kinds: Schema) -> Schema:
    """An object of so many properties, of these kinds by turns."""
    of = kinds or tuple(_KINDS)
    names = [f"field_{number}" for number in range(count)]
    properties = {name: of[number % len(of)] for number, name in enumerate(names)}
    return {"type": "object", "properties": properties, "required": names[:required]}


def nested(levels: int) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema, "b": {"type": "integer"}}, "required": ["a"]}
    return schema


def chained(count: int) -> Schema:
    """Definitions that each name the next one twice."""
    defs = {}
    for number in range(count):
        after = {"$ref": f"#/$defs/d{number + 1}"}
        defs[f"d{number}"] = object_of(2, 0, after, {"type": "array", "items": after})
    return object_of(1, 1, {"$ref": "#/$defs/d0"}) | {"$defs": {**defs, f"d{count}": object_of(3)}}


def choice(count: int) -> Schema:
    """A list of so many kinds of objects."""
    defs = {f"d{number}": object_of(6, 2) for number in range(count)}
    items = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in defs]}
    return object_of(1, 1, {"type": "array", "items": items}) | {"$defs": defs}


CATALOGS: dict[str, list[Schema]] = {
    "20 tools with 5 arguments each": [object_of(5, 2)] * 20,
    "128 tools with 5 each": [object_of(5, 2)] * 128,
    "128 tools with 10 each": [object_of(10, 3)] * 128,
    "100 optional properties in one object": [object_of(100, 3)],
    "200": [object_of(200, 3)],
    "400": [object_of(400, 3)],
    "400 properties, all required": [object_of(400, 400)],
    "an `enum` of 1000 values": [object_of(1, 1, {"enum": [f"value {n}" for n in range(1000)]})],
    "an `enum` of 5000 values": [object_of(1, 1, {"enum": [f"value number {n}" for n in range(5000)]})],
    "objects in 30 levels": [nested(30)],
    "40 `$defs` that each name the next one twice": [chained(40)],
    "an `anyOf` of 100 `$defs`": [choice(100)],
    "256 patterns of 261 characters": [object_of(4, 1, {"type": "string", "pattern": ISO_TIME})] * 64,
    "64 strings of `^[a-z]{1,128}$`": [object_of(2, 1, {"type": "string", "pattern": "^[a-z]{1,128}$"})] * 32,
    "a string of up to 64 characters": [object_of(1, 1, {"type": "string", "maxLength": 64})],
    "a string of `^.{1,128}$`": [object_of(1, 1, {"type": "string", "pattern": "^.{1,128}$"})],
    "20 strings of up to 50 000 characters": [object_of(2, 1, {"type": "string", "maxLength": 50_000})] * 10,
}


def main() -> None:
    console.print("| Tools | Converted | Compiled |\n| --- | --- | --- |", markup=False)
    for name, schemas in CATALOGS.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.apply(prepare)
            try:
                converted, compiled = pool.apply_async(measure, (schemas,)).get(SECONDS)
                row = f"| {name} | {converted:.2g} | {compiled:.2g} |"
            except multiprocessing.TimeoutError:
                row = f"| {name} | | more than {SECONDS} |"
        console.print(row, markup=False)


def measure(schemas: list[Schema]) -> tuple[float, float]:
    """Seconds to convert and to compile a tool of each schema."""
    import xgrammar

    from serve.engine.lengths import lighter, longest_held

    compiler = xgrammar.GrammarCompiler(_vocabulary(), max_threads=8)
    longest = longest_held(schemas)
    text = json.dumps(_structural_tag([lighter(schema, longest) for schema in schemas]))
    began = time.perf_counter()
    xgrammar.Grammar.from_structural_tag(text)
    converted = time.perf_counter()
    compiler.compile_structural_tag(text)
    return converted - began, time.perf_counter() - converted


def prepare() -> None:
    """Have all at hand that is not measured."""
    _vocabulary()


def vocabulary() -> str:
    """The base's, as xgrammar writes one."""
    text: str = _vocabulary().serialize_json()
    return text


@cache
def _vocabulary() -> Any:
    import xgrammar
    from transformers import AutoConfig, AutoTokenizer

    folder = base_folder(BASE)
    size = AutoConfig.from_pretrained(folder).vocab_size
    return xgrammar.TokenizerInfo.from_huggingface(AutoTokenizer.from_pretrained(folder), vocab_size=size)


def _structural_tag(schemas: list[Schema]) -> dict[str, Any]:
    """As vLLM's `hermes` has it: each tool with a line of its own, and without."""
    tags = [
        {
            "type": "tag",
            "begin": f'{begin}tool_{number}", "arguments": ',
            "content": {"type": "json_schema", "json_schema": schema},
            "end": end,
        }
        for number, schema in enumerate(schemas)
        for begin, end in (
            ('<tool_call>\n{"name": "', "}\n</tool_call>"),
            ('<tool_call>{"name": "', "}</tool_call>"),
        )
    ]
    return {
        "type": "structural_tag",
        "format": {"type": "triggered_tags", "triggers": ["<tool_call>"], "tags": tags},
    }


if __name__ == "__main__":
    run(main, console)
