"""OpenAI's chat format and its rules: what every importer produces and every renderer consumes."""

import json
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data import strict_json
from data.drafts import modern


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@lru_cache(maxsize=256)
def _arguments(text: str) -> Any:
    """Remembered for a while: checks, digests and templates each look at the same call."""
    return strict_json.loads(text)


class FunctionCall(_Strict):
    """A call as the model wrote it; `arguments` is a JSON object in a string, as OpenAI sends it."""

    name: str = Field(min_length=1)
    arguments: str

    @model_validator(mode="after")
    def _arguments_are_an_object(self) -> "FunctionCall":
        self.parsed()
        return self

    def parsed(self) -> dict[str, Any]:
        """The arguments as a dictionary, not to be changed; ValueError when they are not a JSON object."""
        try:
            value = _arguments(self.arguments)
        except (json.JSONDecodeError, strict_json.RefusedError) as error:
            raise ValueError(f"arguments of {self.name!r} are not JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(f"arguments of {self.name!r} are a {type(value).__name__}, not an object")
        return value


class ToolCall(_Strict):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class TextItem(_Strict):
    type: Literal["text"] = "text"
    text: str


Text = str | list[TextItem]


class SystemMessage(_Strict):
    role: Literal["system"]
    content: Text


class UserMessage(_Strict):
    role: Literal["user"]
    content: Text


class AssistantMessage(_Strict):
    """`weight` 0 keeps the message as context and learns nothing from it (OpenAI's fine-tuning field)."""

    role: Literal["assistant"]
    content: Text | None = None
    tool_calls: list[ToolCall] = []
    weight: Literal[0, 1] = 1


class ToolMessage(_Strict):
    role: Literal["tool"]
    content: Text
    tool_call_id: str


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class Function(_Strict):
    """`parameters` is a JSON schema; absent means a function without arguments.

    Schemas of older drafts are put in today's terms, as the server does with a request's, so that the prompt
    that is learned from is the prompt that is served.
    """

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    @field_validator("parameters")
    @classmethod
    def _in_todays_terms(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else modern(value)


class Tool(_Strict):
    type: Literal["function"] = "function"
    function: Function


class Conversation(_Strict):
    """One training or evaluation conversation.

    `id` groups samples of one origin, unless `group` does; `category` names what it exercises in reports.
    """

    messages: list[Message] = Field(min_length=1)
    tools: list[Tool] = []
    id: str | None = None
    group: str | None = None
    """Conversations of one group never stand on both sides of a split."""
    category: str | None = None

    def plain(self) -> dict[str, Any]:
        """The OpenAI-shaped dictionary: `messages` and, where there are any, `tools`."""
        body = self.model_dump(mode="json", exclude_none=True, exclude={"id", "group", "category"})
        for message in body["messages"]:
            if message["role"] == "assistant":
                message.pop("weight")
                if not message["tool_calls"]:
                    message.pop("tool_calls")
        if not body["tools"]:
            body.pop("tools")
        return body


def text_of(content: Text | None) -> str:
    """Content as one string: list items are joined without a separator."""
    if content is None:
        return ""
    return content if isinstance(content, str) else "".join(item.text for item in content)
