"""The fuzzer of schemas: made up within the documented bounds, and put through all that a request's pass."""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import psutil
import xgrammar
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.structured_output.request import get_structured_output_key

from serve.engine.shapes import Shape, check_grammar, check_shape, shapes
from serve.engine.trials import MAX_BYTES, SECONDS, NotTried, Trials
from serve.errors import ApiError
from serve.routes.patterns import size, too_large
from serve.routes.tools import check_schemas
from tests.adversarial.test_schemas import Schema, grammar, request, tokenizer

AT_ONCE = 8
GROWTH_MB = 64
AGAIN = 5
CHECK_SECONDS = 0.02
"""On the event loop, where all others wait."""

CANDIDATES = 4
"""Schemas that are made for each of the largest."""

_KINDS = ("string", "length", "pattern", "format", "enum", "integer", "number", "boolean", "any", "ref")
_FORMATS = ("date-time", "date", "time", "email", "uuid", "uri", "ipv4", "ipv6", "hostname")
_CLASSES = ("[a-z]", "[0-9a-f]", ".", r"\d", r"\w", "[^/]", r"[\s\S]", "a", "-", "é", '"', r"\.", "(?:ab|c)")


@dataclass
class Tally:
    """What became of the schemas; seconds are of processor time, but for the loop's."""

    ends: Counter[str] = field(default_factory=Counter)
    sentences: set[str] = field(default_factory=set)
    slowest: float = 0
    """That was taken, by its verdict."""
    largest: int = 0
    """Bytes of a grammar that was taken."""
    over: float = 0
    """The most seconds that the engine's compilation took beyond its verdict."""
    checked: float = 0
    """The longest that the event loop had to do with one, but for vLLM's own."""
    again: int = 0
    """How often nothing was found out at first."""
    grown_mb: float = 0
    processes: set[int] = field(default_factory=set)


def made(chance: random.Random, large: bool) -> Schema:
    """A schema within the documented bounds, as far as one can tell without asking."""
    left = [chance.choice((400, 2000, 6000) if large else (4, 12, 40, 120))]
    defs = {f"d{number}": _node(chance, left, 3) for number in range(chance.randrange(4))}
    schema = _object(chance, left, chance.randrange(1, 7), large)
    return schema | {"$defs": defs | {"any": {}}}


def _object(chance: random.Random, left: list[int], depth: int, large: bool = False) -> Schema:
    most = chance.choice((60, 200, 512)) if large else 12
    count = chance.randrange(1, 1 + min(most, max(left[0] // 2, 1)))
    names = [chance.choice(("p", "name_", "é", "type", "pattern")) + str(number) for number in range(count)]
    left[0] -= 2 * count
    schema: Schema = {
        "type": "object",
        "properties": {name: _node(chance, left, depth - 1) for name in names},
        "required": chance.sample(names, chance.choice((0, 1, count // 2, count)) if count > 1 else 0),
        "additionalProperties": chance.choice((False, False, True, {"type": "string"})),
    }
    if not chance.randrange(6):
        schema["minProperties"] = chance.randrange(0, min(count, 9))
        schema["maxProperties"] = schema["minProperties"] + chance.randrange(1, 9)
    return schema


def _node(chance: random.Random, left: list[int], depth: int) -> Schema:
    left[0] -= 2
    if depth > 0 and left[0] > 8 and chance.randrange(3) == 0:
        match chance.choice(("object", "array", "tuple", "choice", "names")):
            case "object":
                return _object(chance, left, depth)
            case "array":
                counts = {"minItems": chance.choice((0, 1, 3, 40)), "maxItems": chance.choice((1, 50, 900))}
                bounds = {key: counts[key] for key in chance.sample(sorted(counts), chance.randrange(3))}
                return {"type": "array", "items": _node(chance, left, depth - 1), **bounds}
            case "tuple":
                items = [_node(chance, left, depth - 1) for _ in range(chance.randrange(1, 5))]
                return {"type": "array", "prefixItems": items, "items": chance.choice((False, {}))}
            case "choice":
                branches = [_node(chance, left, depth - 1) for _ in range(chance.choice((2, 3, 12)))]
                return {chance.choice(("anyOf", "oneOf")): branches}
            case "names":
                return {"type": "object", "patternProperties": {pattern(chance): _node(chance, left, 0)}}
    match chance.choice(_KINDS):
        case "length":
            low, high = chance.randrange(40), chance.choice((5, 20, 63, 64, 100, 255, 10_000))
            bounds = {"minLength": min(low, high), "maxLength": high}
            return {"type": "string"} | {key: bounds[key] for key in chance.sample(sorted(bounds), 1)}
        case "pattern":
            return {"type": "string", "pattern": pattern(chance)}
        case "format":
            return {"type": "string", "format": chance.choice(_FORMATS)}
        case "enum":
            count = min(chance.choice((1, 5, 60)), max(left[0], 1))
            left[0] -= count
            return {"enum": [chance.choice((number, f"value {number}", None)) for number in range(count)]}
        case "integer":
            low = chance.randrange(-(10**6), 10**6)
            return {"type": "integer", "minimum": low, "maximum": low + chance.randrange(10**9)}
        case "number":
            return {"type": "number", chance.choice(("minimum", "exclusiveMaximum")): chance.uniform(-9, 9e9)}
        case "boolean":
            return {"type": ["boolean", "null"]}
        case "any":
            return {}
        case "ref":
            return {"$ref": "#/$defs/any"}
    return {"type": "string"}


def pattern(chance: random.Random) -> str:
    """A regular expression that is not too large by itself."""
    while True:
        found = f"^{_parts(chance, 2)}$"
        if too_large(found) is None:
            return found


def _parts(chance: random.Random, depth: int) -> str:
    parts = []
    for _ in range(chance.randrange(1, 5)):
        part = chance.choice(_CLASSES)
        if depth and not chance.randrange(3):
            part = f"({_parts(chance, depth - 1)}|{_parts(chance, depth - 1)})"
        low, high = sorted(chance.choice((0, 1, 2, 8, 32, 128, 200, 255)) for _ in range(2))
        parts.append(
            part + chance.choice(("", "", "+", "*", "?", f"{{{low},{max(high, 1)}}}", f"{{{low},}}"))
        )
    return "".join(parts)


def work(schema: Any) -> int:
    """What a schema's grammar has to do, roughly: states, each of which goes through a vocabulary."""
    if isinstance(schema, list):
        return sum(map(work, schema))
    if not isinstance(schema, dict):
        return 1
    total = sum(map(work, schema.values()))
    if isinstance(text := schema.get("pattern"), str):
        total += 8 * size(text)
    if isinstance(properties := schema.get("properties"), dict):
        total += len(properties) ** 2 * max(schema.get("maxProperties") or 1, 1) // 8
    return total


def schemas(count: int, largest: int, seed: int) -> Iterator[Schema]:
    """So many, and of others the largest by their estimated work."""
    for number in range(count):
        yield made(random.Random(f"{seed} {number}"), large=False)
    others = (made(random.Random(f"{seed} large {n}"), large=True) for n in range(CANDIDATES * largest))
    yield from sorted(others, key=work)[-largest:] if largest else ()


def fuzz_schemas(count: int, largest: int, seed: int = 0, vocabulary: str | None = None) -> Tally:
    """Put so many through the checks and the trial of a request; compile what is taken as the engine does.

    `vocabulary` is a tokenizer as xgrammar writes one. AssertionError with the schema for which something
    else comes of it than a verdict in time, or a refusal that names its member.
    """
    return asyncio.run(_fuzz(schemas(count, largest, seed), vocabulary or tokenizer()))


async def _fuzz(examples: Iterator[Schema], vocabulary: str) -> Tally:
    tally, trials = Tally(), Trials(vocabulary)
    engine = ThreadPoolExecutor(1)  # as many as the engine has on two cores
    info = xgrammar.TokenizerInfo.deserialize_json(vocabulary)

    async def worker(name: str) -> None:
        for number, example in enumerate(examples):
            try:
                await _one(trials, engine, info, example, calls=number % 2 == 0, key=name, tally=tally)
            except Exception as error:
                error.add_note(json.dumps(example))
                raise

    await trials.start()
    try:
        # What the first ones leave behind, of imports and of heaps, is no growth.
        for example in islice(examples, 20):
            await _one(trials, engine, info, example, calls=True, key="", tally=tally)
        before = _memory(trials)
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(worker(str(number)))
        tally.grown_mb = _memory(trials) - before
    finally:
        await trials.close()
        engine.shutdown()
    return tally


async def _one(
    trials: Trials,
    engine: Executor,
    info: xgrammar.TokenizerInfo,
    example: Schema,
    calls: bool,
    key: str,
    tally: Tally,
) -> None:
    asked, member = _body(example, calls)
    try:
        check_schemas(asked)
        parsed = _parsed(asked)
        began = time.thread_time()
        check_shape(parsed)
        found = shapes(parsed)
        tally.checked = max(tally.checked, time.thread_time() - began)
        made_ = grammar(parsed)
        await _checked(trials, made_, found, key, tally)
    except ApiError as error:
        assert error.status == 400 and error.param == member, f"{error.status} {error.param}: {error}"
        assert str(error).isprintable() and 30 < len(str(error)) < 1000 and str(error).endswith("."), str(
            error
        )
        tally.ends[str(error.code)] += 1
        tally.sentences.add(" ".join(word for word in str(error).split() if word.isalpha()))
        return
    assert made_ is not None and trials.pid is not None
    tally.processes.add(trials.pid)
    kind, spec = get_structured_output_key(made_)
    verdict = await trials.verdict((kind.name.lower(), spec))
    assert verdict.seconds <= SECONDS, f"taken after {verdict.seconds} s"
    seconds, used = await asyncio.wrap_future(engine.submit(_compile, info, kind.name, spec))
    assert used < MAX_BYTES, f"taken with {used} bytes"
    tally.ends["taken"] += 1
    tally.slowest, tally.largest = max(tally.slowest, verdict.seconds), max(tally.largest, used)
    tally.over = max(tally.over, seconds - verdict.seconds)


async def _checked(
    trials: Trials, made_: StructuredOutputsParams | None, found: list[Shape], key: str, tally: Tally
) -> None:
    """Send again, as the error says, what had no processor for a minute: trials come last on a machine."""
    for _ in range(AGAIN):
        try:
            return await check_grammar(trials, made_, found, key)
        except NotTried:
            tally.again += 1
            await asyncio.sleep(1)
    raise AssertionError(f"nothing was found out, {AGAIN} times")


def _body(schema: Schema, calls: bool) -> tuple[dict[str, Any], str]:
    """A request with the schema, and the member that holds it."""
    if calls:
        tool = {"type": "function", "function": {"name": "tool_0", "parameters": schema}}
        return {"tools": [tool]}, "tools[0].function.parameters"
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    return {"response_format": form}, "response_format.json_schema.schema"


def _parsed(asked: dict[str, Any]) -> ChatCompletionRequest:
    """The request as vLLM has it, with the schema as the checks left it."""
    if tools := asked.get("tools"):
        return request([tools[0]["function"]["parameters"]])
    return request([], asked["response_format"]["json_schema"]["schema"])


def _compile(info: xgrammar.TokenizerInfo, kind: str, spec: str) -> tuple[float, int]:
    """Seconds and bytes that a grammar takes, by a compiler as new as the engine's first one."""
    compiler = xgrammar.GrammarCompiler(info, max_threads=1)
    began = time.thread_time()
    compiled = compiler.compile_json_schema(spec) if kind == "JSON" else compiler.compile_structural_tag(spec)
    return time.thread_time() - began, compiled.memory_size_bytes


def _memory(trials: Trials) -> float:
    assert trials.pid is not None
    return sum(psutil.Process(pid).memory_info().rss for pid in (os.getpid(), trials.pid)) / 2**20
