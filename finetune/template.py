"""A chat template as transformers and vLLM run it, so that one file gives one text everywhere."""

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data.chat import AssistantMessage, Conversation, Text, Tool, ToolCall, ToolMessage
from data.errors import UserError


class ChatTemplate:
    """`tokens` are the names that templates know special tokens by, such as `bos_token`."""

    def __init__(self, source: str, tokens: Mapping[str, str] | None = None) -> None:
        self._tokens = dict(tokens or {})
        try:
            self._template = _environment().from_string(source)
        except TemplateError as error:
            raise UserError(f"the base's chat template is broken ({error}); mend or replace it.") from None

    def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, ask: bool) -> str:
        """The text of `messages` as `as_served` gives them; `ask` adds the start of an answer."""
        try:
            text: str = self._template.render(
                **self._tokens, messages=messages, tools=tools, documents=None, add_generation_prompt=ask
            )
        except TemplateError as error:
            place = f"after message {len(messages) - 1}" if messages else "before the first message"
            raise UserError(
                f"the base's chat template refuses this conversation {place} ({error}); mend or drop it."
            ) from None
        return text


def as_served(
    conversation: Conversation,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """Messages and tools as vLLM hands them to a template that is served with content format `string`.

    Content is one string, "" where there is none, and the parts of a list stand on lines of their own;
    arguments are parsed, so that their spacing is the template's; a tool's absent description and
    parameters are null. Keys stand in vLLM's order, for templates that write whole objects as JSON.
    """
    messages = []
    for message in conversation.messages:
        given: dict[str, Any] = {"role": message.role, "content": one_string(message.content)}
        if isinstance(message, AssistantMessage) and message.tool_calls:
            given["tool_calls"] = [_call(call) for call in message.tool_calls]
        elif isinstance(message, ToolMessage):
            given["tool_call_id"] = message.tool_call_id
        messages.append(given)
    return messages, [_tool(tool) for tool in conversation.tools] or None


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"arguments": call.function.parsed(), "name": call.function.name}
    return {"id": call.id, "function": function, "type": call.type}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.function.name,
        "description": tool.function.description,
        "parameters": tool.function.parameters,
    }
    if tool.function.strict is not None:
        function["strict"] = tool.function.strict
    return {"type": tool.type, "function": function}


def one_string(content: Text | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(item.text for item in content if item.text)


class _Generation(Extension):
    """`{% generation %}` marks answers for transformers' own masks; here it changes nothing."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _today}
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes for HTML, which no model reads.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> str:
    raise TemplateError(message)


def _today(form: str) -> str:
    raise TemplateError(
        "it writes today's date where there is no system message, so what is learnt today is never asked"
        " again; give the conversation a system message"
    )
