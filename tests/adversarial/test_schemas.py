"""What a schema costs is found out in a process that can be ended, and what costs too much is named.

By the real xgrammar, with a vocabulary made up here and limits to match; processor time is what counts, so a
busy machine changes no verdict.
"""

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import psutil
import pytest
import xgrammar
from starlette.requests import Request
from starlette.types import Message
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.sampling_params import StructuredOutputsParams
from vllm.tool_parsers.structural_tag_registry import get_model_structural_tag
from vllm.tool_parsers.tool_strict_level import ToolStrictLevel

from data import schemas
from data.schemas import argument_problem, schema_problem
from serve.engine.lengths import HELD, lighter, longest_held
from serve.engine.shapes import check_grammar, check_shape, hold, shapes
from serve.engine.trials import AT_ONCE, NotTried, Trials
from serve.errors import ApiError
from serve.routes.chat_request import parse
from serve.routes.patterns import too_large
from serve.routes.tools import check_schemas, unheld_lengths

Schema = dict[str, Any]

SIGNS = [chr(number) for number in range(32, 127)]
VOCABULARY = [*SIGNS, *(a + b for a, b in itertools.product(SIGNS, SIGNS))]
STRING: Schema = {"type": "string"}
HANGS_SECONDS = 120
"""What never answers has hung by then, on the busiest machine."""


def tokenizer() -> str:
    return xgrammar.TokenizerInfo(VOCABULARY, stop_token_ids=[0]).serialize_json()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def trials(loop: asyncio.Runner) -> Iterator[Trials]:
    """Its process imports for seconds, so it is one for all tests; what they do to it, it must survive."""
    made = Trials(tokenizer(), seconds=0.5, most=256 * 2**20)
    yield made
    loop.run(made.close())


def of(count: int, schema: Any, **more: Any) -> Schema:
    """An object of so many properties, each with a schema or with what makes one of its number."""
    properties = {f"p{n}": schema(n) if callable(schema) else schema for n in range(count)}
    return {"type": "object", "properties": properties, **more}


def request(parameters: list[Schema], answer: Schema | None = None) -> ChatCompletionRequest:
    tools = [
        {"type": "function", "function": {"name": f"tool_{n}", "parameters": one}}
        for n, one in enumerate(parameters)
    ]
    body: dict[str, Any] = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}
    if tools:
        body["tools"] = tools
    if answer:
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": answer}}
        body["response_format"] = form
    return ChatCompletionRequest.model_validate(body)


def grammar(asked: ChatCompletionRequest) -> StructuredOutputsParams | None:
    """What vLLM's parser for Hermes makes of a request."""
    if not asked.tools:
        return hold(asked)
    tag = get_model_structural_tag(
        "hermes", asked.tools, "auto", False, strict_level=ToolStrictLevel.PARAMETER
    )
    assert tag is not None
    made = StructuredOutputsParams(structural_tag=json.dumps(tag.model_dump()))
    return hold(asked.model_copy(update={"structured_outputs": made, "response_format": None}))


async def check(trials: Trials, asked: ChatCompletionRequest) -> None:
    found = shapes(asked)
    await check_grammar(trials, grammar(asked), found)


COSTLY: dict[str, Schema] = {
    # The audit's.
    "counts of many properties": of(600, STRING, minProperties=300, maxProperties=400),
    "very many properties": of(4000, {}),
    # Not the audit's.
    "few properties, many counts": of(512, STRING, minProperties=8, maxProperties=8),
    "patterns that may begin anywhere": of(100, lambda n: STRING | {"pattern": f"^.*a.{{{100 + n}}}$"}),
    "repetitions of repetitions": of(
        64, lambda n: STRING | {"pattern": f"^(?:[a-z]{{1,8}}[0-9]{{0,8}}){{1,5}}{n}$"}
    ),
}


@pytest.mark.parametrize("schema", COSTLY.values(), ids=COSTLY)
def test_what_costs_too_much_is_named_and_ended(loop: asyncio.Runner, trials: Trials, schema: Schema) -> None:
    asked = request([of(2, STRING), schema, of(3, STRING)])
    with pytest.raises(ApiError) as caught:
        loop.run(asyncio.wait_for(check(trials, asked), HANGS_SECONDS))
    assert (caught.value.status, caught.value.code) == (400, "schema_too_costly")
    assert caught.value.param == "tools[1].function.parameters"
    assert "'tool_1'" in str(caught.value)
    loop.run(check(trials, request([of(2, STRING)], of(2, STRING))))


def test_an_answers_schema_is_named_as_such(loop: asyncio.Runner, trials: Trials) -> None:
    with pytest.raises(ApiError) as caught:
        loop.run(check(trials, request([], COSTLY["few properties, many counts"])))
    assert caught.value.code == "schema_too_costly"
    assert caught.value.param == "response_format.json_schema.schema"


def test_memory_is_bounded_too(loop: asyncio.Runner) -> None:
    large: list[Schema] = [
        of(4000, {}),
        {"enum": ["y" * 500 + str(n) for n in range(4000)]},
        {"anyOf": [of(5, STRING, required=[f"p{n % 5}"]) for n in range(800)]},
    ]

    async def tried() -> list[bool]:
        small = Trials(tokenizer(), seconds=60, most=4 * 2**20)
        try:
            return [(await small.verdict(("json", json.dumps(one)))).costly for one in (STRING, *large)]
        finally:
            await small.close()

    assert loop.run(tried()) == [False, True, True, True]


UNHELD: dict[str, Schema] = {
    # The audit's.
    "nothing fits": of(1, False, required=["p0"]),
    "minimum above maximum": of(1, {"type": "integer", "minimum": 5, "maximum": 1}),
    "a back-reference": of(1, STRING | {"pattern": r"(a)\1"}),
    # Not the audit's.
    "the edge of a word": of(1, STRING | {"pattern": r"\bword\b"}),
    "lengths the wrong way round": of(1, STRING | {"minLength": 5, "maxLength": 2}),
    "no value to choose": of(1, {"enum": []}),
}


@pytest.mark.parametrize("schema", UNHELD.values(), ids=UNHELD)
def test_a_tool_that_no_call_can_be_held_to_is_named(
    loop: asyncio.Runner, trials: Trials, schema: Schema
) -> None:
    with pytest.raises(ApiError) as caught:
        loop.run(check(trials, request([of(2, STRING), schema, schema], of(1, STRING))))
    assert (caught.value.code, caught.value.param) == (
        "invalid_tool_schema",
        "tools[1].function.parameters",
    )
    assert "'tool_1'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ".cc:" not in str(caught.value)


def test_verdicts_are_remembered(loop: asyncio.Runner, trials: Trials) -> None:
    fine, bad = ("json", json.dumps(of(7, STRING))), ("json", json.dumps(UNHELD["a back-reference"]))
    found = [loop.run(trials.verdict(one)) for one in (fine, bad)]
    asked = trials.asked
    assert [loop.run(trials.verdict(one)) for one in (fine, bad)] == found
    assert trials.asked == asked


def test_a_small_one_does_not_wait_for_large_ones(loop: asyncio.Runner, trials: Trials) -> None:
    async def together() -> list[str]:
        over: list[str] = []

        async def one(name: str, schema: Schema) -> None:
            await trials.verdict(("json", json.dumps(schema)))
            over.append(name)

        large = of(500, STRING, minProperties=9, maxProperties=9)
        await asyncio.gather(
            *(one("large", large | {"title": str(n)}) for n in range(3)), one("small", STRING)
        )
        return over

    assert loop.run(together())[0] == "small"


def test_who_leaves_the_line_is_not_tried(loop: asyncio.Runner, trials: Trials) -> None:
    async def leave() -> int:
        before = trials.asked
        large = of(500, STRING, minProperties=9, maxProperties=9)
        specs = [("json", json.dumps(large | {"title": f"gone {n}"})) for n in range(20)]
        waiting = [asyncio.create_task(trials.verdict(spec)) for spec in specs]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await trials.verdict(("json", json.dumps(of(11, STRING))))
        return trials.asked - before

    assert loop.run(leave()) <= 5


def test_who_leaves_a_trial_leaves_no_room(loop: asyncio.Runner, trials: Trials) -> None:
    """What is being compiled goes on."""

    async def leave() -> int:
        await trials.verdict(("json", "{}"))
        most, large = 0, of(500, STRING, minProperties=9, maxProperties=9)
        for turn in range(3):
            texts = [json.dumps(large | {"title": f"left {turn} {n}"}) for n in range(AT_ONCE)]
            asked = [asyncio.create_task(trials.verdict(("json", one), key=one)) for one in texts]
            for _ in range(5):
                await asyncio.sleep(0.02)
                most = max(most, len(psutil.Process(trials.pid).children()))
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        await trials.verdict(("json", json.dumps(of(12, STRING))))
        return most

    assert 0 < loop.run(leave()) <= AT_ONCE


def test_keys_take_turns(loop: asyncio.Runner, trials: Trials) -> None:
    async def together() -> int:
        over = 0

        async def greedy(number: int) -> None:
            nonlocal over
            large = of(500, STRING, minProperties=9, maxProperties=9, title=f"greedy {number}")
            await trials.verdict(("json", json.dumps(large)), key="greedy")
            over += 1

        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(greedy(number))
            await asyncio.sleep(0)
            for number in range(3):
                small = STRING | {"title": f"honest {number}"}
                await trials.verdict(("json", json.dumps(small)), key="honest")
            return over

    assert loop.run(together()) <= 6


def test_a_process_that_dies_is_started_again(loop: asyncio.Runner, trials: Trials) -> None:
    async def killed() -> None:
        await trials.verdict(("json", "{}"))
        large = json.dumps(of(500, STRING, minProperties=9, maxProperties=9, title="killed"))
        asked = asyncio.create_task(trials.verdict(("json", large)))
        while not trials.pending:
            await asyncio.sleep(0.001)
        assert trials.pid is not None
        os.kill(trials.pid, signal.SIGKILL)
        with pytest.raises(NotTried) as caught:
            await asked
        assert caught.value.status == 503
        assert (await trials.verdict(("json", large))).costly  # it was no verdict

    loop.run(asyncio.wait_for(killed(), HANGS_SECONDS))


# What never gets as far as a trial.


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (of(10, of(64, STRING, maxProperties=64)), "squared"),
        (of(512, STRING, minProperties=8, maxProperties=8), "squared"),
        (of(3, of(500, {})), "squared"),
    ],
)
def test_an_answers_bounds_add_up(schema: Schema, told: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with pytest.raises(ApiError, match=told) as caught:
        check_schemas({"response_format": form})
    assert caught.value.code == "invalid_response_schema"


def nested(levels: int) -> Schema:
    schema = STRING
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def doubling(count: int) -> Schema:
    defs = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(count)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{count}": STRING}}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (nested(32), "nested in more than 32 levels"),
        (of(1, {"type": "integer", "maximum": 2**53 + 1}), "beyond 9007199254740992"),
        (of(1, {"type": "array", "maxItems": 10_001}), "maxItems 10001, where at most 10000"),
        (doubling(20), "become more than 32768 values"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "references that only refer"),
        (of(1, STRING | {"pattern": "^(a" + "|" * 510 + ")$"}), "of 515 characters, where at most 512 go"),
    ],
)
def test_each_bound_is_told(schema: Schema, told: str) -> None:
    for member in ("tools", "response_format"):
        asked = (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": schema}}]}
            if member == "tools"
            else {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}
        )
        with pytest.raises(ApiError, match=told) as caught:
            check_schemas(asked)
        assert (caught.value.param or "").startswith(member)


def test_the_bounds_themselves_are_taken() -> None:
    for schema in (nested(31), of(1, {"maximum": 2**53, "maxItems": 10_000}), doubling(12)):
        check_schemas({"tools": [{"type": "function", "function": {"name": "a", "parameters": schema}}]})


def test_what_is_kept_is_what_was_used_last_within_its_bytes() -> None:
    kept: schemas._Kept[str] = schemas._Kept(most=3, most_bytes=100)
    for key in (b"a", b"b"):
        kept.put(key, "found", 40)
    kept.get(b"a")
    kept.put(b"c", "found", 40)
    assert (kept.get(b"a"), kept.get(b"b"), kept.get(b"c"), kept.bytes) == ("found", None, "found", 80)
    kept.put(b"too large", "found", 101)
    assert (len(kept), kept.bytes) == (0, 0)
    for key in (b"d", b"e", b"f", b"g"):
        kept.put(key, "found", 1)
    assert (len(kept), kept.bytes) == (3, 3)


def test_others_are_answered_while_schemas_are_checked() -> None:
    schema = {"anyOf": [STRING | {"pattern": f"^.{{20}}{n}$"} for n in range(200)]}
    asked = request([schema]).model_dump(include={"model", "messages", "tools"}, exclude_none=True)

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(asked).encode()}

    async def parsed() -> int:
        steps = 0
        work = asyncio.ensure_future(parse(Request({"type": "http", "method": "POST"}, receive)))
        while not work.done():
            await asyncio.sleep(0)
            steps += 1
        assert len(work.result()["tools"]) == 1
        return steps

    assert asyncio.run(parsed()) > 10


# Lengths and repetitions: nothing is held to those that would cost most.


LONG: dict[str, Schema] = {
    # The audit's.
    "alternatives of lengths": {"anyOf": [STRING | {"minLength": n} for n in range(1500)]},
    "many long strings": of(300, lambda n: STRING | {"minLength": 9700 + n}),
    # Not the audit's.
    "lengths of a database": of(60, lambda n: STRING | {"minLength": 1, "maxLength": 40 + n}),
    "lengths at both ends": of(30, lambda n: STRING | {"maxLength": 200 + n, "minLength": n}),
    "a name of any file": of(9, STRING | {"pattern": "^[^/]{1,255}$"}),
    "a text": STRING | {"pattern": "^.{1,200}$"},
    "exactly so many": of(1, STRING | {"pattern": "^[0-9a-f]{200}$"}),
}


@pytest.mark.parametrize("schema", LONG.values(), ids=LONG)
def test_what_is_long_is_taken_at_little_cost(loop: asyncio.Runner, trials: Trials, schema: Schema) -> None:
    loop.run(check(trials, request([schema])))
    loop.run(check(trials, request([], schema)))


def test_the_shortest_lengths_are_held() -> None:
    properties = {
        "maxLength": STRING | {"maxLength": 20},
        "short": STRING | {"maxLength": 30, "minLength": 2},
        "long": STRING | {"maxLength": 40, "minLength": 3},
        "longest": STRING | {"maxLength": 255},
        "const": {"const": {"maxLength": 99}},
        "enum": {"type": ["string", "null"], "maxLength": HELD + 1},
    }
    schema = {"type": "object", "properties": properties, "required": ["maxLength"]}
    for asked in (request([schema]), request([], schema)):
        made = grammar(asked)
        assert made is not None
        held = (
            made.json or json.loads(made.structural_tag or "")["format"]["tags"][0]["content"]["json_schema"]
        )
        assert isinstance(held, dict)
        assert held["properties"] == {
            "maxLength": STRING | {"pattern": "^.{0,20}$"},
            "short": STRING | {"pattern": "^.{2,30}$"},
            "long": STRING | {"minLength": 3},
            "longest": STRING,
            "const": {"const": {"maxLength": 99}},
            "enum": {"type": ["string", "null"]},
        }
        assert [one.schema for one in shapes(asked)] == [held]


@pytest.fixture(scope="module")
def compiler() -> xgrammar.GrammarCompiler:
    return xgrammar.GrammarCompiler(xgrammar.TokenizerInfo.deserialize_json(tokenizer()), max_threads=1)


@pytest.mark.parametrize(
    "schema",
    [
        STRING | {"maxLength": 3},
        STRING | {"minLength": 2, "maxLength": 5},
        STRING | {"minLength": 4},
        STRING | {"maxLength": 0},
        STRING | {"minLength": 3, "maxLength": 3.0},
        {"type": ["string", "null"], "maxLength": HELD},
        STRING | {"minLength": HELD},
        STRING | {"pattern": "^[ab]{2,128}$"},
    ],
)
def test_a_length_that_is_held_is_held_exactly(compiler: xgrammar.GrammarCompiler, schema: Schema) -> None:
    compiled = compiler.compile_json_schema(json.dumps(lighter(schema, longest_held([schema]))))
    for length in {*range(8), *range(HELD - 1, HELD + 2), 127, 128, 129}:
        text = "ab" * (length // 2) + "a" * (length % 2)
        matcher = xgrammar.GrammarMatcher(compiled)
        held = matcher.accept_string(json.dumps(text)) and matcher.accept_token(0)
        assert held == jsonschema_rs.is_valid(schema, text), length


@pytest.mark.parametrize(
    ("pattern", "held"),
    [
        ("^.{1,200}$", "^.{1,}$"),
        ("^[a-z]{129}x{2,}$", "^[a-z]{128,}x{2,}$"),
        ("^[à-ÿ]😀\u00e0$", r"^[\u00e0-\u00ff]\u{1f600}\u00e0$"),
        ("^a{200,}[{200}]\\{200\\}b{0,128}$", "^a{128,}[{200}]\\{200\\}b{0,128}$"),
    ],
)
def test_patterns_are_put_as_xgrammar_makes_automata_of_them(pattern: str, held: str) -> None:
    schema = {"patternProperties": {pattern: STRING | {"pattern": pattern}}}
    assert lighter(schema, 0) == {"patternProperties": {held: STRING | {"pattern": held}}}


@pytest.mark.parametrize("kind", ["a pattern", "an answer"])
def test_what_takes_long_for_each_token_is_named(loop: asyncio.Runner, kind: str) -> None:
    """No schema is known that does, so the limit is none."""
    pattern = of(1, STRING | {"pattern": "^[a-z]{4}$"})
    asked = request([pattern]) if kind == "a pattern" else request([], of(2, STRING))

    async def tried() -> None:
        hurried = Trials(tokenizer(), step=0)
        try:
            await check(hurried, asked)
        finally:
            await hurried.close()

    with pytest.raises(ApiError, match="of processor time to find out what each token") as caught:
        loop.run(tried())
    assert (caught.value.status, caught.value.code) == (400, "schema_too_costly")
    named = "tools[0].function.parameters" if kind == "a pattern" else "response_format.json_schema.schema"
    assert caught.value.param == named


# Seconds for each token, in the engine, if they got there: xgrammar makes no automaton of them.
SEARCHED: dict[str, Schema] = {
    "a quotation mark": of(1, STRING | {"pattern": '^"(.{1,8}){1,10}"$'}),
    "a backslash": of(1, STRING | {"pattern": r"^C:\\[a-z]+$"}),
    "a tab, in a name": {"type": "object", "patternProperties": {r"^\t(.{1,8}){1,8}$": STRING}},
}


def test_what_is_no_automaton_is_named(loop: asyncio.Runner, trials: Trials) -> None:
    for schema in SEARCHED.values():
        with pytest.raises(ApiError, match="JSON escapes") as caught:
            loop.run(check(trials, request([of(2, STRING), schema])))
        assert caught.value.code == "invalid_tool_schema"
        assert caught.value.param == "tools[1].function.parameters"
    loop.run(check(trials, request([of(1, STRING | {"pattern": "^é(.{1,4}){1,4}$"})])))


@pytest.mark.parametrize("pattern", [r"(?i)\p{L}{115}\p{L}{115}", r"\P{L}{120}", r"[\p{Han}]{9}", r"\\\pN"])
def test_classes_of_unicode_are_refused(pattern: str) -> None:
    assert too_large(pattern)


@pytest.mark.parametrize("pattern", [r"(?i)\p{L}{115}\p{L}{115}", r"\P{L}{240}", r"(\S{200}){9}"])
def test_no_pattern_is_compiled_to_megabytes(pattern: str) -> None:
    assert "regex" in (schema_problem(STRING | {"pattern": pattern}) or "")


def test_what_is_remembered_of_schemas_is_bounded_by_its_bytes() -> None:
    for number in range(300):
        schema = STRING | {"pattern": "a" * 100 + str(number), "enum": ["b" * 60_000 + str(number)]}
        assert schema_problem(schema) is None
        assert argument_problem(schema, 1)
    assert schemas._validators.bytes <= 2**23
    assert 0 < len(schemas._validators) < 150
    assert schemas._verdicts.bytes <= 2**20


# What honest clients' generators write.

DOCUMENTED: dict[str, Schema] = json.loads(
    (Path(__file__).parent / "documented_schemas.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_examples_pass(loop: asyncio.Runner, trials: Trials, name: str) -> None:
    schema = DOCUMENTED[name]
    tool = {"type": "function", "function": {"name": "a", "parameters": schema}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    body: dict[str, Any] = {"tools": [tool], "response_format": form}
    check_schemas(body)
    parameters = body["tools"][0]["function"]["parameters"]
    answer = body["response_format"]["json_schema"]["schema"]
    for asked in (request([parameters]), request([], answer)):
        check_shape(asked)
        loop.run(check(trials, asked))


def test_all_documented_examples_pass_as_tools_of_one_request(loop: asyncio.Runner, trials: Trials) -> None:
    tools = [
        {"type": "function", "function": {"name": f"tool_{number}", "parameters": schema}}
        for number, schema in enumerate(DOCUMENTED.values())
    ]
    body = {"tools": tools}
    check_schemas(body)
    loop.run(check(trials, request([one["function"]["parameters"] for one in body["tools"]])))  # type: ignore[index]


LONG = {"type": "string", "maxLength": 200}
PLACE = "response_format.json_schema.schema"


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (of(2, {"type": "string", "maxLength": 20}), None),
        (of(2, {"enum": ["a"], "default": LONG}), None),
        ({"type": "object", "properties": {"maxLength": STRING}}, None),
        (of(3, LONG), "maxLength*3"),
        (of(1, {"type": "string", "minLength": 100}), "minLength*1"),
        (of(1, {"type": "string", "pattern": "^[a-z]{2,200}$"}), "pattern*1"),
        (of(1, {"type": "string", "pattern": "^[a-z]{2,100}$"}), None),
        ({"type": "object", "patternProperties": {"^a{129}$": LONG}}, "patternProperties*1 maxLength*1"),
        # 20 + 40 characters are held, and 50 more are not.
        ({"anyOf": [LONG | {"maxLength": n} for n in (20, 40, 50)]}, "maxLength*1"),
    ],
    ids=str,
)
def test_an_answer_says_which_lengths_are_left_to_the_model(schema: Schema, said: str | None) -> None:
    """By the grammar's own form: what it says is what is no more in it."""
    answer = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert unheld_lengths({"response_format": answer}) == (said and f"{PLACE} {said}")
    tool = {"type": "function", "function": {"name": "a", "parameters": schema}}
    both = unheld_lengths({"tools": [tool, tool], "response_format": answer})
    places = ("tools[0].function.parameters", "tools[1].function.parameters", PLACE)
    assert both == (said and ", ".join(f"{place} {said}" for place in places))


def test_the_header_is_bounded_and_ascii() -> None:
    function = {"name": "ä", "parameters": {"type": "object", "properties": {"é\n": LONG}}}
    said = unheld_lengths({"tools": [{"type": "function", "function": function}] * 128}) or ""
    assert said.endswith(", and 120 more") and said.isascii() and len(said) < 512
