"""What is learnt is what is asked: templates against transformers, Mistral's formats against its encoder."""

import json
from pathlib import Path

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from data.chat import AssistantMessage, Conversation
from data.errors import UserError
from data.formats import read
from finetune.render import Renderer, Sample, open_renderer
from finetune.render_mistral import MistralRenderer
from finetune.render_template import TemplateRenderer

SAMPLES = Path("data/samples")
WEATHER = {"name": "get_weather", "arguments": '{"city":"São Paulo",  "days": 2}'}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": 'The weather — "now"',
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    },
    {"type": "function", "function": {"name": "bare"}},
]
TALK = Conversation.model_validate(
    {
        "tools": TOOLS,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": x} for x in ("Be ", "brief.")]},
            {"role": "user", "content": "Weather?\n"},
            {"role": "assistant", "tool_calls": [{"id": "abcdefghi", "function": WEATHER}]},
            {"role": "tool", "content": '{"t": 20}', "tool_call_id": "abcdefghi"},
            {"role": "assistant", "content": "20 degrees. "},
            {"role": "user", "content": "And there?"},
            {"role": "assistant", "content": "Both:", "tool_calls": [
                {"id": "abcdefghj", "function": WEATHER}, {"id": "abcdefghk", "function": WEATHER}]},
        ],
    }
)  # fmt: skip


def conversations() -> list[Conversation]:
    return [TALK, *(chat for split in sorted(SAMPLES.glob("*[!s].jsonl")) for chat in list(read(split))[:25])]


def targets(conversation: Conversation) -> list[int]:
    return [i for i, message in enumerate(conversation.messages) if isinstance(message, AssistantMessage)]


@pytest.fixture(scope="module")
def embedded(base: Path) -> Renderer:
    return open_renderer(base)


def test_prompts_equal_transformers_own_rendering(embedded: Renderer, base: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    for conversation in conversations():
        for target in targets(conversation):
            plain = conversation.plain()
            messages = plain["messages"][:target]
            for message in messages:
                if isinstance(message.get("content"), list):  # one string, as vLLM makes of it
                    message["content"] = "\n".join(item["text"] for item in message["content"])
                for call in message.get("tool_calls", []):
                    call["function"]["arguments"] = json.loads(call["function"]["arguments"])
            expected = tokenizer.apply_chat_template(
                messages, tools=plain.get("tools"), add_generation_prompt=True, return_dict=False
            )
            assert embedded.prompt(conversation.messages[:target], conversation.tools) == expected


def test_each_target_is_learnt_behind_the_prompt_that_asks_for_it(embedded: Renderer, base: Path) -> None:
    from tokenizers import Tokenizer

    stop = Tokenizer.from_file(str(base / "tokenizer.json")).token_to_id("<|im_end|>")
    for conversation in conversations():
        found = []
        for sample in embedded.samples(conversation):
            assert len(sample.input_ids) == len(sample.completion_mask)
            inside = False
            for position, learnt in enumerate([*sample.completion_mask, 0]):
                if learnt and not inside:
                    found.append(sample.input_ids[:position])
                if inside and not learnt:
                    assert sample.input_ids[position - 1] == stop
                inside = bool(learnt)
        asked = [
            embedded.prompt(conversation.messages[:i], conversation.tools) for i in targets(conversation)
        ]
        assert found == asked


def test_an_answer_of_weight_zero_is_context_only(embedded: Renderer) -> None:
    messages = [m.model_copy(update={"weight": 0}) if i == 2 else m for i, m in enumerate(TALK.messages)]
    [all_learnt], [some] = (
        embedded.samples(TALK),
        embedded.samples(TALK.model_copy(update={"messages": messages})),
    )
    assert all_learnt.input_ids == some.input_ids
    assert sum(all_learnt.completion_mask) > sum(some.completion_mask) > 0


def test_a_template_that_is_not_prefix_stable_gives_one_sample_a_target(base: Path) -> None:
    """The tools stand before the last user message only, as in Mistral's formats."""
    from tokenizers import Tokenizer

    template = (
        "{% for m in messages %}"
        "{% set later = messages[loop.index0 + 1:] | selectattr('role', 'equalto', 'user') | list %}"
        "{% if m.role == 'user' and not later %}"
        "[tools]{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    renderer = TemplateRenderer(template, Tokenizer.from_file(str(base / "tokenizer.json")), "<|im_end|>")
    talk = Conversation.model_validate(
        {
            "messages": [
                {"role": r, "content": c} for r, c in zip(["user", "assistant"] * 2, "abcd", strict=True)
            ]
        }
    )
    first, second = renderer.samples(talk)
    assert first.input_ids[: first.completion_mask.index(1)] == renderer.prompt(talk.messages[:1], [])
    assert second.input_ids[: second.completion_mask.index(1)] == renderer.prompt(talk.messages[:3], [])


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TURNS = [("user", "a"), ("assistant", "b")]


def learnt(base: Path, template: str, turns: list[tuple[str, str]] = TURNS) -> list[Sample]:
    """What a renderer of that template makes of the turns."""
    from tokenizers import Tokenizer

    renderer = TemplateRenderer(template, Tokenizer.from_file(str(base / "tokenizer.json")), "<|im_end|>")
    return renderer.samples({"messages": [{"role": role, "content": content} for role, content in turns]})


def test_a_template_that_rewrites_the_past_is_refused(base: Path) -> None:
    assert learnt(base, CHATML)
    with pytest.raises(UserError, match=r"rewrites what stands before message 2, .* only appends"):
        learnt(base, "{{ messages | length }}" + CHATML)


def test_a_template_without_an_end_is_refused(base: Path) -> None:
    with pytest.raises(UserError, match=r"does not end an answer with .<\|im_end\|>"):
        learnt(base, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                     "{% if add_generation_prompt %}assistant: {% endif %}")  # fmt: skip


@pytest.mark.parametrize("token", ["<|im_end|>", "<|im_start|>", "<|endoftext|>"])
def test_an_answer_that_spells_a_control_token_is_learnt_as_text(base: Path, token: str) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    [row] = learnt(base, CHATML, [("user", f"a {token}"), ("assistant", f"b {token} c")])
    asked = f"<|im_start|>user\na {token}<|im_end|>\n<|im_start|>assistant\n"
    start = row.completion_mask.index(1)
    assert tokenizer.decode(row.input_ids[:start], skip_special_tokens=False) == asked
    assert tokenizer.decode(row.input_ids[start:], skip_special_tokens=False) == f"b {token} c<|im_end|>"
    names = [tokenizer.id_to_token(number) for number in row.input_ids]
    assert [name for name in names if name[:1] == "<" and name[-1:] == ">"] == [
        *("<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>")
    ]


@pytest.fixture(scope="module")
def tekken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mistral-Small's V7 Tekken tokenizer, made offline from the V3 one that mistral-common ships."""
    import mistral_common

    source = next((Path(mistral_common.__file__).parent / "data").glob("tekken_240718.json"))
    content = json.loads(source.read_text(encoding="utf-8"))
    content["config"]["version"] = "v7"
    path = tmp_path_factory.mktemp("tekken") / "tekken.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_mistral_samples_continue_the_servers_prompt(tekken: Path) -> None:
    renderer = MistralRenderer.from_file(tekken)
    server = MistralTokenizer.from_file(str(tekken), mode=ValidationMode.test)
    stop = server.instruct_tokenizer.tokenizer.eos_id
    for conversation in conversations():
        samples = renderer.samples(conversation)
        assert len(samples) == len(targets(conversation))
        for target, sample in zip(targets(conversation), samples, strict=True):
            plain = conversation.plain()
            for tool in plain.get("tools", []):
                tool["function"] = {"description": "", "parameters": {}} | tool["function"]
            plain["messages"] = plain["messages"][:target]
            asked = server.encode_chat_completion(ChatCompletionRequest.from_openai(**plain)).tokens
            start = sample.completion_mask.index(1)
            assert sample.input_ids[:start] == asked
            assert all(sample.completion_mask[start:])
            assert sample.input_ids[-1] == stop
