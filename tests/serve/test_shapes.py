"""Schemas that the engine cannot keep to are named: which one, where in it, and why; by the real xgrammar."""

from typing import Any

import pytest
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

from serve.engine.shapes import check_shape
from serve.errors import ApiError


def request(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate(
        {"model": "base", "messages": [{"role": "user", "content": "Hi"}], **fields}
    )


def answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (of(a={"type": "array", "items": {"type": "integer", "multipleOf": 5}}), "multipleOf at prop"),
        (of(a={"anyOf": [{"type": "null"}, {"type": "array", "uniqueItems": True}]}), "uniqueItems at prop"),
        ({"allOf": [{"type": "object"}, {"minProperties": 1}]}, "allOf at the top"),
        (of(a={"type": "string", "pattern": "a", "maxLength": 3}), "pattern with maxLength at properties.a"),
        (of(a={"type": "string", "format": "phone"}), "format at properties.a"),
    ],
)
def test_an_answers_schema_is_refused_with_its_place(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_shape(request(response_format=answer(schema)))
    assert (caught.value.code, caught.value.param) == (
        "invalid_response_schema",
        "response_format.json_schema.schema",
    )
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_can_be_kept_to_passes() -> None:
    check_shape(request(response_format=answer(of(a={"type": "string", "format": "date-time"}))))
    check_shape(request(response_format={"type": "json_object"}))
    check_shape(request())
