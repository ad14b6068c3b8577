"""The JSON schemas of a request, where the engine cannot hold an answer or a call to them: which, and why."""

import re
from typing import Any

import xgrammar
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams
from vllm.v1.structured_output.backend_xgrammar import (
    has_xgrammar_unsupported_json_features,
    validate_xgrammar_grammar,
)

from data.errors import shown
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

_WHERE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")
"""What xgrammar puts before its errors: the time, and a place in its source."""


def check_shape(request: ChatCompletionRequest) -> None:
    """Refuse a schema that xgrammar cannot hold an answer to.

    vLLM would go on to other libraries, of which one allocates what `{"type": "array", "minItems": N}` asks
    for, in this very process.

    Raises:
        ApiError: `invalid_response_schema`; names the place in the schema.
    """
    if request.response_format is not None:
        try:
            validate_xgrammar_grammar(SamplingParams(structured_outputs=request.extract_structured_outputs()))
        except VLLMValidationError as error:
            schema = request.response_format.json_schema and request.response_format.json_schema.json_schema
            why = (_passed_over(schema) if schema else None) or _said(error)
            raise ApiError(
                f"No answer can be held to the schema in response_format: {why}; change the schema.",
                code="invalid_response_schema",
                param="response_format.json_schema.schema",
            ) from None


def misfit(request: ChatCompletionRequest) -> ApiError | None:
    """Return the error for the first tool whose schema xgrammar cannot hold a call to; None if it is none.

    Asked once the engine has refused a request, since it says of no schema which one it is.
    """
    for number, tool in enumerate(request.tools or ()):
        if tool.function.parameters:
            try:
                xgrammar.Grammar.from_json_schema(tool.function.parameters)
            except RuntimeError as error:
                return ApiError(
                    f"No call of tool {shown(tool.function.name)!r} can be held to its parameters: "
                    f"{_said(error)}; change the schema.",
                    code="invalid_tool_schema",
                    param=f"tools[{number}].function.parameters",
                )
    return None


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


def _said(error: Exception) -> str:
    """What xgrammar says is wrong, in one line."""
    told = str(error.__cause__ or error).splitlines()[0]
    return shown(_WHERE.sub("", told), 300).removesuffix(".")
