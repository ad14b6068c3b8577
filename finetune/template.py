"""A chat template as transformers and vLLM run it, so that one file gives one text everywhere."""

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data.chat import Conversation, Text
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
    parameters are null.
    """
    plain = conversation.plain()
    for given, message in zip(plain["messages"], conversation.messages, strict=True):
        given["content"] = _one_string(message.content)
        for call in given.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    tools = [
        {"type": "function", "function": {"name": "", "description": None, "parameters": None} | tool["function"]}
        for tool in plain.get("tools", [])
    ]
    return plain["messages"], tools or None


def _one_string(content: Text | None) -> str:
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
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
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
