"""A chat template as transformers and vLLM run it, so that one file gives one text everywhere."""

import json
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data.chat import AssistantMessage, Conversation, Text, Tool, ToolCall, ToolMessage
from data.errors import UserError
from finetune import appending

_BROKEN = (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What a template raises that does not expect what a conversation holds."""


class ChatTemplate:
    """`tokens` are the names that templates know special tokens by, such as `bos_token`."""

    def __init__(self, source: str, tokens: Mapping[str, str] | None = None) -> None:
        self._tokens = dict(tokens or {})
        environment = _environment()
        try:
            self._template = environment.from_string(source)
            tree = appending.marked(environment.parse(source), self._tokens)
        except TemplateError as error:
            raise UserError(f"the base's chat template is broken ({error}); mend or replace it.") from None
        self._silent: str | None = None
        """What a marked template writes behind the messages when it does not ask for an answer."""
        self._marked: Template | None = (
            None
            if tree is None
            else Template.from_code(environment, environment.compile(tree), environment.make_globals(None))
        )

    @property
    def appends(self) -> bool:
        """Whether one run gives the text of every prefix."""
        return self._marked is not None

    def prefixes(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None
    ) -> Callable[[int, bool], str]:
        """`render(messages[:count], tools, ask)` by count and ask, in one run where the template appends."""

        def alone(count: int, ask: bool) -> str:
            return self.render(messages[:count], tools, ask)

        if self._marked is None:
            return alone
        try:
            text, ends, tail = self._run(self._marked, messages, tools, ask=True)
            if self._silent is None:  # the same for all conversations, as `tail` is
                self._silent = self._run(self._marked, messages[:1], tools, ask=False)[2]
            tails = {True: tail, False: self._silent}
        except _BROKEN:
            return alone  # which says at which message

        def cut(count: int, ask: bool) -> str:
            return text[: ends[count]] + tails[ask] if count else alone(count, ask)

        return cut

    def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, ask: bool) -> str:
        """The text of `messages` as `as_served` gives them; `ask` adds the start of an answer."""
        try:
            text: str = self._template.render(self._variables(messages, tools, ask))
        except _BROKEN as error:
            place = f"after message {len(messages)}" if messages else "before the first message"
            raise UserError(
                f"the base's chat template refuses this conversation {place} ({error}); mend or drop it."
            ) from None
        return text

    def _run(
        self,
        template: Template,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        ask: bool,
    ) -> tuple[str, list[int], str]:
        """The text up to the last message's end, where each prefix of the messages ends in it, and the rest.

        A generator runs only when it is asked for more, so at each mark all text before it is in `parts`.
        """
        parts: list[str] = []
        marks: list[int] = []
        variables = self._variables(messages, tools, ask)
        variables[appending.MARK] = _Mark(lambda: marks.append(len(parts)))
        for part in template.generate(variables):
            parts.append(part)  # one by one: the marks read how many there are
        lengths = [0, *accumulate(map(len, parts))]
        text, starts = "".join(parts), [lengths[mark] for mark in marks]
        # Messages that the loop leaves out, such as a system message, are written before its first mark.
        left_out = len(messages) - len(starts) + 1
        ends = [starts[max(count - left_out, 0)] for count in range(len(messages) + 1)]
        return text[: starts[-1]], ends, text[starts[-1] :]

    def _variables(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, ask: bool
    ) -> dict[str, Any]:
        given = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": ask}
        return {**self._tokens, **given}


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


class _Mark:
    """Writes nothing, and tells when it is written. A call would cost ten times as much in the sandbox."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def __str__(self) -> str:
        self._tell()
        return ""


class _Sandbox(ImmutableSandboxedEnvironment):
    """The same, but quick with what needs no guard: items of dictionaries, and the template's own macros."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj and attribute not in _DICT:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call(self, context: Context, obj: Any, /, *given: Any, **named: Any) -> Any:
        if type(obj) is Macro:
            return context.call(obj, *given, **named)
        return super().call(context, obj, *given, **named)


_DICT = frozenset(dir(dict))


class _Generation(Extension):
    """`{% generation %}` marks answers for transformers' own masks; here it changes nothing."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _environment() -> _Sandbox:
    environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
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
    if indent is None and separators is None and not (ensure_ascii or sort_keys):
        return _PLAIN(value)  # the same, without an encoder made for each value
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


_PLAIN = json.JSONEncoder(ensure_ascii=False).encode


def _refuse(message: str) -> str:
    raise TemplateError(message)


def _today(form: str) -> str:
    raise TemplateError(
        "it writes today's date where there is no system message, so what is learnt today is never asked"
        " again; give the conversation a system message"
    )
