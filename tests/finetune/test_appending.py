"""A template that is run once for all prefixes gives the text that each prefix gives alone."""
# ruff: noqa: E501 - a template stands in one line

from pathlib import Path

import pytest
from hypothesis import given, settings

from data.chat import Conversation
from finetune.template import ChatTemplate, as_served
from tests.finetune.conversations import conversations

OURS = Path("recipes/templates/smollm2-tools.jinja").read_text(encoding="utf-8")
LOOP = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
ASK = "{% if add_generation_prompt %}<assistant>{% endif %}"

APPENDING = {
    "ours": OURS,
    "plain": LOOP + ASK,
    "silent": LOOP,
    "ends either way": LOOP + "{% if add_generation_prompt %}<assistant>{% else %}{{ eos_token }}{% endif %}",
    "a rest by two names": "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set a = messages[1:] %}"
    "{% else %}{% set a = messages %}{% endif %}{% set b = a[0:] %}{% for m in b %}[{{ m.role }}]{% endfor %}" + ASK,
    "two left out": "{% for m in messages[2:] %}<{{ m.role }}>{{ m.content }}{% endfor %}" + ASK,
    "looks back": "{% for m in messages %}{{ loop.index0 }}{% if not loop.first %}{{ loop.previtem.role }}{% endif %}"
    "{{ m.content }}{% endfor %}" + ASK,
    "carries on": "{% set ns = namespace(seen=0) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.seen = ns.seen + 1 %}{% endif %}{{ ns.seen }}{{ m.content }}{% endfor %}" + ASK,
    "skips": "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}{{ m.content }}{% endfor %}" + ASK,
    "inner loops may look ahead": "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
    "{{ '' if loop.last else ',' }}{% endfor %}{{ m.content }}{% endfor %}" + ASK,
}  # fmt: skip

NOT_APPENDING = {
    "looks ahead": "{% for m in messages %}{{ m.content }}{{ '' if loop.last else '+' }}{% endfor %}",
    "looks ahead by another name": "{% for m in messages %}{% set l = loop %}{{ m.content }}{{ l.length }}{% endfor %}",
    "an inner loop over the outer's end": "{% for m in messages %}{% for x in [loop.revindex] %}{{ x }}{% endfor %}{% endfor %}",
    "counts": "{{ messages | length }}" + LOOP,
    "takes the last": "{{ messages[-1].content }}" + LOOP,
    "takes the second": "{{ messages[1].content }}" + LOOP,
    "takes the rest's first": "{% set rest = messages[1:] %}{{ rest[0].content }}{% for m in rest %}{{ m.role }}{% endfor %}",
    "all at once": "{{ messages }}" + LOOP,
    "leaves out the last": "{% for m in messages[:-1] %}{{ m.content }}{% endfor %}",
    "every second": "{% for m in messages[::2] %}{{ m.content }}{% endfor %}",
    "filters": "{% for m in messages if m.role != 'tool' %}{{ loop.index }}{{ m.content }}{% endfor %}",
    "nothing said": "{% for m in messages %}{{ m.content }}{% else %}?{% endfor %}",
    "breaks off": "{% for m in messages %}{% if m.role == 'tool' %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "two loops": LOOP + LOOP,
    "a loop in a loop": "{% for m in messages %}{{ m.role }}{% for n in messages %}{{ n.content }}{% endfor %}{% endfor %}",
    "asks before": ASK + LOOP,
    "asks inside": "{% for m in messages %}{{ m.content }}" + ASK + "{% endfor %}",
    "ends with what it saw": "{% set ns = namespace(r='') %}{% for m in messages %}{% set ns.r = m.role %}{% endfor %}"
    "{% if add_generation_prompt and ns.r == 'user' %}<assistant>{% endif %}",
    "renamed inside": "{% set rest = messages %}{% for m in rest %}{% set rest = rest[1:] %}{{ m.content }}{{ rest | length }}"
    "{% endfor %}",
    "a macro that sees them": "{% macro n() %}{{ messages | length }}{% endmacro %}{{ n() }}" + LOOP,
    "messages set anew": "{% set messages = messages[1:] %}" + LOOP,
    "asking set anew": "{% set add_generation_prompt = true %}" + LOOP + ASK,
    "a token set anew": "{% set eos_token = messages[0].content %}" + LOOP + "{{ eos_token }}",
    "no loop": "{{ messages[0].content }}",
}  # fmt: skip

TALK = Conversation.model_validate(
    {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u1"},
            {"role": "assistant", "content": "a1"},
            {"role": "user", "content": "u2"},
            {"role": "assistant", "content": "a2"},
        ]
    }
)


@pytest.mark.parametrize("source", APPENDING.values(), ids=APPENDING)
def test_one_run_gives_every_prefix(source: str) -> None:
    template = ChatTemplate(source, {"eos_token": "</s>"})
    assert template.appends

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(conversations())
    def check(conversation: Conversation) -> None:
        messages, tools = as_served(conversation)
        prefix = template.prefixes(messages, tools)
        for count in range(1, len(messages) + 1):
            for ask in (True, False):
                assert prefix(count, ask) == template.render(messages[:count], tools, ask)

    check()


@pytest.mark.parametrize("source", NOT_APPENDING.values(), ids=NOT_APPENDING)
def test_a_template_that_might_not_append_is_run_for_each_prefix(source: str) -> None:
    template = ChatTemplate(source, {"eos_token": "</s>"})
    assert not template.appends
    messages, tools = as_served(TALK)
    prefix = template.prefixes(messages, tools)
    assert prefix(3, True) == template.render(messages[:3], tools, True)


def test_a_template_that_refuses_says_where() -> None:
    """The one run stops without a place; the prefixes, run one by one, know it."""
    source = "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
    template = ChatTemplate(source)
    assert template.appends
    messages, tools = as_served(TALK)
    with pytest.raises(Exception, match="after message 3"):
        template.prefixes(messages, tools)(3, False)
