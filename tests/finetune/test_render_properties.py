"""What is learnt stands behind the very tokens that the server makes of the request, whatever the data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from data.chat import AssistantMessage, Conversation, Message
from data.errors import UserError
from finetune.render import Learn, Sample, open_renderer
from finetune.render_mistral import MistralRenderer
from finetune.render_template import TemplateRenderer
from finetune.template import as_served
from tests.finetune.conversations import conversations
from tests.finetune.mistral_files import KINDS, write_tokenizer
from tests.finetune.serving import ServedPrompts

Served = Callable[[list[Message], Conversation], list[int]]

few_or_many = pytest.mark.parametrize("examples", [200, pytest.param(2000, marks=pytest.mark.slow)])


def holds_for(examples: int, check: Callable[..., None], *drawn: st.SearchStrategy[Any]) -> None:
    """`check` on that many examples: the same ones in each `make test`, new ones each night."""
    settings(
        max_examples=examples,
        derandomize=examples <= 200,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )(given(*drawn)(check))()


def selected(conversation: Conversation, learn: Learn) -> list[int]:
    """Positions to learn, told apart here by other means than the renderer's."""
    answers = [i for i, m in enumerate(conversation.messages) if m.role == "assistant"]
    chosen = {
        "all": answers,
        "last": answers[-1:],
        "tool_calls": [i for i in answers if calls_of(conversation, i)],
    }
    return [i for i in chosen[learn] if answer(conversation, i).weight == 1]


def answer(conversation: Conversation, position: int) -> AssistantMessage:
    message = conversation.messages[position]
    assert isinstance(message, AssistantMessage)
    return message


def calls_of(conversation: Conversation, position: int) -> list[Any]:
    return answer(conversation, position).tool_calls


def spans(rows: list[Sample]) -> list[tuple[list[int], list[int]]]:
    """Each learnt run with all that stands before it."""
    found = []
    for row in rows:
        start = None
        for position, learnt in enumerate([*row.completion_mask, 0]):
            if learnt and start is None:
                start = position
            if not learnt and start is not None:
                found.append((row.input_ids[:start], row.input_ids[start:position]))
                start = None
    return found


LEARN = st.sampled_from(["all", "all", "last", "tool_calls"])


# The template


@pytest.fixture(scope="module")
def embedded(base: Path) -> TemplateRenderer:
    renderer = open_renderer(base)
    assert isinstance(renderer, TemplateRenderer)
    return renderer


@pytest.fixture(scope="module")
def vllm_template(base: Path) -> Served:
    return ServedPrompts(base, base / "chat_template.jinja")


@pytest.fixture(scope="module")
def plain_vllm(base: Path) -> Served:
    return ServedPrompts(base, base / "chat_template.jinja", plain=True)


def written(conversation: Conversation, position: int) -> str:
    """The answer in Hermes' style, written out by hand."""
    message = answer(conversation, position)
    content = message.content or ""
    if isinstance(content, list):
        content = "\n".join(item.text for item in content if item.text)
    parts = [content] if content else []
    for call in message.tool_calls:
        name, arguments = (
            json.dumps(x, ensure_ascii=False) for x in (call.function.name, call.function.parsed())
        )
        parts.append(f'<tool_call>\n{{"name": {name}, "arguments": {arguments}}}\n</tool_call>')
    return "\n".join(parts)


@few_or_many
def test_template_samples_continue_vllms_prompts(
    embedded: TemplateRenderer, vllm_template: Served, plain_vllm: Served, base: Path, examples: int
) -> None:
    """As the server has it, which is vLLM's own way with all that spells no control token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    control = [token.content for token in tokenizer.added_tokens_decoder.values()]

    def check(conversation: Conversation, learn: Learn) -> None:
        positions = selected(conversation, learn)
        if 0 in positions:
            with pytest.raises(UserError, match=r"before the first message"):
                embedded.samples(conversation, learn)
            return
        found = spans(embedded.samples(conversation, learn))
        assert len(found) == len(positions)
        said = json.dumps([as_served(conversation)], ensure_ascii=False)
        for position, (before, learnt) in zip(positions, found, strict=True):
            history = conversation.messages[:position]
            asked = vllm_template(history, conversation)
            assert before == asked
            assert embedded.prompt(history, conversation.tools) == asked
            if not any(token in said for token in control):
                assert asked == plain_vllm(history, conversation)
            words = tokenizer(
                written(conversation, position), add_special_tokens=False, split_special_tokens=True
            )
            assert learnt == [*words["input_ids"], tokenizer.eos_token_id]

    holds_for(examples, check, conversations(), LEARN)


def test_a_template_sees_what_vllm_shows_it(base: Path, tmp_path: Path) -> None:
    """A template that writes down everything it is given, to the last null and the order of keys."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((base / name).read_bytes())
    template = tmp_path / "chat_template.jinja"
    template.write_text(
        "{{ bos_token }}{% for m in messages %}{% generation %}{{ m | tojson }}{% endgeneration %}"
        "{% endfor %}{{ tools | tojson(indent=1) }}{{ eos_token }}{{ documents is none }}"
    )
    served = ServedPrompts(base, template)
    renderer = TemplateRenderer.from_folder(tmp_path)

    def check(conversation: Conversation) -> None:
        assert renderer.prompt(conversation.messages, conversation.tools) == served(
            conversation.messages, conversation
        )

    holds_for(100, check, conversations())


# Mistral's formats


def encoded(tokenizer: MistralTokenizer, messages: list[Message], conversation: Conversation) -> list[int]:
    """mistral-common used as its documentation says, with vLLM's shortening of ids."""
    plain = conversation.model_copy(update={"messages": messages}).plain()
    for message in plain["messages"]:
        for call in message.get("tool_calls", []):
            call["id"] = call["id"] if call["id"] == "null" else call["id"][-9:]
        if "tool_call_id" in message:
            message["tool_call_id"] = message["tool_call_id"][-9:]
    ids: list[int] = tokenizer.encode_chat_completion(ChatCompletionRequest.from_openai(**plain)).tokens
    return ids


def anonymous(message: AssistantMessage) -> AssistantMessage:
    calls = [call.model_copy(update={"id": "null"}) for call in message.tool_calls]
    return message.model_copy(update={"tool_calls": calls})


@few_or_many
@pytest.mark.parametrize("kind", KINDS)
def test_mistral_samples_are_its_encoders(kind: str, tmp_path: Path, examples: int) -> None:
    file = write_tokenizer(kind, tmp_path)
    renderer = MistralRenderer.from_file(file)
    asking = MistralTokenizer.from_file(str(file), mode=ValidationMode.test)
    teaching = MistralTokenizer.from_file(str(file), mode=ValidationMode.finetuning)
    tokens = asking.instruct_tokenizer.tokenizer
    control = {tokens.get_special_token(x) for x in ("[TOOL_CALLS]", "[ARGS]") if tokens.is_special(x)}
    newer = kind in ("V11 Tekken", "V13 Tekken")

    def check(conversation: Conversation, learn: Learn) -> None:
        positions = selected(conversation, learn)
        try:
            expected = []
            for i in positions:
                history, target = conversation.messages[:i], answer(conversation, i)
                asked = encoded(asking, history, conversation)
                # V13 writes no ids and takes no "null"; V11 takes one "null" only, so call by call below.
                target = (
                    target
                    if newer and (kind == "V13 Tekken" or len(target.tool_calls) > 1)
                    else anonymous(target)
                )
                expected.append((asked, encoded(teaching, [*history, target], conversation)))
        except Exception:
            with pytest.raises(UserError, match=r"message \d+: .*; (mend|drop)"):
                renderer.samples(conversation, learn)
            return
        found = renderer.samples(conversation, learn)
        assert len(found) == len(expected)
        for i, row, (asked, whole) in zip(positions, found, expected, strict=True):
            start = len(asked)
            assert (
                row.input_ids[:start]
                == asked
                == renderer.prompt(conversation.messages[:i], conversation.tools)
            )
            assert row.completion_mask == [0] * start + [1] * (len(row.input_ids) - start)
            if kind == "V11 Tekken" and len(calls_of(conversation, i)) > 1:
                whole = without_ids(whole, start, tokens)
            assert row.input_ids == whole
            assert row.input_ids[-1] == tokens.eos_id
            inside = {token for token in row.input_ids[start:-1] if tokens.is_special(token)}
            assert inside == (control if calls_of(conversation, i) else set())

    holds_for(examples // 2 if newer else examples, check, conversations(), LEARN)


def without_ids(whole: list[int], start: int, tokens: Any) -> list[int]:
    """V11's `[CALL_ID]id` taken out of the answer, between control tokens."""
    text, kept = whole[start:], whole[:start]
    while tokens.get_special_token("[CALL_ID]") in text:
        at = text.index(tokens.get_special_token("[CALL_ID]"))
        kept += text[:at]
        text = text[text.index(tokens.get_special_token("[ARGS]"), at) :]
    return kept + text


@few_or_many
@pytest.mark.parametrize("kind", ["V7 Tekken", "V3"])
def test_mistral_samples_continue_vllms_prompts(kind: str, base: Path, tmp_path: Path, examples: int) -> None:
    write_tokenizer(kind, tmp_path)
    (tmp_path / "config.json").write_bytes((base / "config.json").read_bytes())
    renderer, served = open_renderer(tmp_path), ServedPrompts(tmp_path, None)

    def check(conversation: Conversation) -> None:
        for position in selected(conversation, "all"):
            asked = conversation.messages[:position]
            try:
                expected = served(asked, conversation)
            except Exception:
                with pytest.raises(UserError):
                    renderer.prompt(asked, conversation.tools)
                with pytest.raises(UserError):
                    renderer.samples(conversation)
            else:
                assert renderer.prompt(asked, conversation.tools) == expected

    holds_for(examples, check, conversations())
