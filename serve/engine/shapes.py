"""The JSON schemas of a request, where the engine cannot hold an answer or a call to them: which, and why."""

import json
import re
from dataclasses import replace
from typing import Any, NamedTuple

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.structured_output.backend_types import StructuredOutputOptions
from vllm.v1.structured_output.backend_xgrammar import has_xgrammar_unsupported_json_features
from vllm.v1.structured_output.request import get_structured_output_key

from data.errors import shown
from serve.engine.lengths import lighter, longest_held
from serve.engine.trials import STEP_SECONDS, Trials, Verdict
from serve.errors import ApiError

UNENFORCED = (
    "multipleOf",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "propertyNames",
    "patternProperties",
    "allOf",
)
"""Keywords that xgrammar passes over, alone or beside others of them."""

_TRIED = (StructuredOutputOptions.JSON, StructuredOutputOptions.STRUCTURAL_TAG)
"""Kinds of grammars that are made of a client's schemas, and compiled by xgrammar."""

_WHERE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")
"""What xgrammar puts before its errors: the time, and a place in its source."""


class Shape(NamedTuple):
    """A schema of a request."""

    schema: dict[str, Any]
    param: str
    code: str
    """Of the error that says that nothing can be held to it."""
    held: str
    """What that is, before the words "can be held to"."""
    name: str


def shapes(request: ChatCompletionRequest) -> list[Shape]:
    """The schemas of a request, as they are held to; vLLM makes a grammar in which they are hard to find."""
    found = []
    for number, tool in enumerate(request.tools or ()):
        if schema := tool.function.parameters:
            param, name = f"tools[{number}].function.parameters", shown(tool.function.name)
            held = f"No call of tool {name!r} can be held to its parameters"
            found.append(Shape(schema, param, "invalid_tool_schema", held, f"parameters of tool {name!r}"))
    if schema := _answers(request):
        held, name = "No answer can be held to the schema in response_format", "schema in response_format"
        found.append(
            Shape(schema, "response_format.json_schema.schema", "invalid_response_schema", held, name)
        )
    longest = longest_held(shape.schema for shape in found)
    return [shape._replace(schema=lighter(shape.schema, longest)) for shape in found]


def check_shape(request: ChatCompletionRequest) -> None:
    """Refuse an answer's schema with something that xgrammar passes over.

    vLLM would go on to other libraries, of which one allocates what `{"type": "array", "minItems": N}` asks
    for, in this very process.

    Raises:
        ApiError: `invalid_response_schema`; names the place in the schema.
    """
    schema = _answers(request)
    if schema and (why := _passed_over(schema)):
        raise ApiError(
            f"No answer can be held to the schema in response_format: {why}; change the schema.",
            code="invalid_response_schema",
            param="response_format.json_schema.schema",
        )


def hold(request: ChatCompletionRequest) -> StructuredOutputsParams | None:
    """Put into a request what its answer is held to, in the place of what vLLM made of it; return that."""
    if (tags := request.structured_outputs) and tags.structural_tag:
        tag = _lighter(json.loads(tags.structural_tag))
        request.structured_outputs = replace(tags, structural_tag=json.dumps(tag))
    answer = request.response_format and request.response_format.json_schema
    if answer and answer.json_schema:
        answer.json_schema = _lighter(answer.json_schema)
    return request.extract_structured_outputs()


async def check_grammar(
    trials: Trials, grammar: StructuredOutputsParams | None, asked: list[Shape], key: str = ""
) -> None:
    """Refuse a grammar, which vLLM made of the schemas `asked`, that cannot be compiled, or not in time.

    Trials are by turns of `key`.

    Raises:
        ApiError: the code of a schema that cannot be, or `schema_too_costly`; names the schema.
    """
    if grammar is None:
        return
    kind, spec = get_structured_output_key(grammar)
    if kind not in _TRIED or (verdict := await trials.verdict((kind.name.lower(), spec), key=key)).good:
        return
    # Only now: one of many is looked for where one is bad.
    alone = await trials.verdict(*(("json", json.dumps(shape.schema)) for shape in asked), key=key)
    if alone.good:
        raise _together(trials, verdict, asked)
    bad = asked[alone.at]
    if alone.error:
        raise ApiError(
            f"{bad.held}: {_said(alone.error)}; change the schema.", code=bad.code, param=bad.param
        )
    if alone.slow:
        raise ApiError(
            f"With the {bad.name} it takes more than {STEP_SECONDS * 1000:g} ms of processor time to find "
            "out what each token may be; have their patterns repeat less, or fewer kinds of characters.",
            code="schema_too_costly",
            param=bad.param,
        )
    raise ApiError(
        f"The {bad.name} bring what this request's schemas take to compile to more than {trials.limits}; "
        "simplify them: optional properties, counts, patterns and alternatives cost most.",
        code="schema_too_costly",
        param=bad.param,
    )


def _together(trials: Trials, verdict: Verdict, asked: list[Shape]) -> ApiError:
    """The error for schemas of which each is good."""
    param = "tools" if len(asked) > 1 else asked[0].param
    if verdict.error:
        why = f"No call can be held to {param}: {_said(verdict.error)}; change the schemas."
        return ApiError(why, code=asked[0].code, param=param)
    return ApiError(
        f"The schemas of {param} together take more than {trials.limits} to compile; send fewer of them, or "
        "simpler ones.",
        code="schema_too_costly",
        param=param,
    )


def _lighter(schema: dict[str, Any]) -> dict[str, Any]:
    lighter_: dict[str, Any] = lighter(schema, longest_held([schema]))
    return lighter_


def _answers(request: ChatCompletionRequest) -> dict[str, Any] | None:
    answer = request.response_format and request.response_format.json_schema
    return answer.json_schema if answer else None


def _passed_over(schema: dict[str, Any]) -> str | None:
    """The innermost place in a schema that holds what xgrammar does not; None where nothing does."""
    if not has_xgrammar_unsupported_json_features(schema):
        return None
    path = ""
    while True:
        inner = [(key, one) for key, value in schema.items() for key, one in _within(key, value)]
        bad = (one for one in inner if has_xgrammar_unsupported_json_features(one[1]))
        key, found = next(bad, ("", None))
        if found is None:
            break
        path, schema = f"{path}.{key}" if path else key, found
    words = " with ".join(key for key in UNENFORCED if key in schema)
    return f"{words} at {shown(path) or 'the top'} is not enforced"


def _within(key: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    """The objects that a member of a schema holds, with their names."""
    if isinstance(value, dict):
        return [(key, value)]
    if isinstance(value, list):
        return [(f"{key}[{number}]", one) for number, one in enumerate(value) if isinstance(one, dict)]
    return []


def _said(error: str) -> str:
    """What xgrammar says is wrong, without its place in the library."""
    return shown(_WHERE.sub("", error), 300).removesuffix(".")
