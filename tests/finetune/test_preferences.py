"""Preferences to pairs of token rows: what the renderers give, split by prompt, and counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from data.chat import AssistantMessage, Conversation
from data.errors import UserError
from data.formats.preference import scan
from data.generate.__main__ import SAMPLES
from data.preference import Preference
from data.sources import Source
from finetune.preferences import Pair, Pairs, prepare_pairs
from finetune.render import Learn, Renderer, Sample, open_renderer
from tests.finetune.conversations import arguments, conversations, texts
from tests.finetune.mistral_files import write_tokenizer
from tests.finetune.refusing import WORD, refusing_base


def written(path: Path, rows: list[dict[str, Any]]) -> Source:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Source(path=str(path))


def numbered(path: Path, count: int, **more: Any) -> Source:
    rows = [
        {"prompt": f"question {n}", "chosen": "yes", "rejected": "no, never", **more} for n in range(count)
    ]
    return written(path, rows)


def prompts(pairs: list[Pair]) -> set[tuple[int, ...]]:
    return {tuple(pair.prompt) for pair in pairs}


def test_rows_are_what_the_server_would_see(base: Path, tmp_path: Path) -> None:
    """Against the base's tokenizer alone, with ChatML written out by hand."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))

    def encoded(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    record = {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}],
        "chosen": "Yes.",
        "rejected": "No.",
    }
    made = prepare_pairs([written(tmp_path / "a.jsonl", [record])], open_renderer(base), 100)
    asked = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n"
    )
    (row,) = made.rows
    expected = (encoded(asked), encoded("Yes.<|im_end|>"), encoded("No.<|im_end|>"))
    assert (row.prompt, row.chosen, row.rejected) == expected
    assert row.where == f"{tmp_path}/a.jsonl:1"
    entry = made.entry
    assert (entry.conversations, entry.targets, entry.dropped, made.heldout) == (1, 1, {}, [])
    assert entry.learnt_tokens == len(row.chosen) + len(row.rejected)
    assert entry.tokens == 2 * len(row.prompt) + entry.learnt_tokens


def test_sources_are_mixed_by_weight_and_counted(base: Path, tmp_path: Path) -> None:
    sources = [
        numbered(tmp_path / "a.jsonl", 20).model_copy(update={"weight": 2.5}),
        numbered(tmp_path / "b.jsonl", 20).model_copy(update={"weight": 0.25}),
    ]
    made = prepare_pairs(sources, open_renderer(base), 100)
    assert [(one.read, one.held_out, one.used) for one in made.entry.sources] == [(20, 0, 50), (20, 0, 5)]
    assert (made.entry.conversations, made.entry.targets, len(made.rows)) == (40, 55, 55)
    assert prepare_pairs(sources, open_renderer(base), 100).entry == made.entry
    assert prepare_pairs(sources, open_renderer(base), 100, mix_seed=1).entry.digest != made.entry.digest


def test_pairs_that_are_too_long_on_either_side_are_dropped_and_counted(base: Path, tmp_path: Path) -> None:
    long, short = "word " * 100, "yes"
    rows = [
        {"prompt": "a", "chosen": long, "rejected": short},
        {"prompt": "b", "chosen": short, "rejected": long},
        {"prompt": "c", "chosen": short, "rejected": "no"},
    ]
    source = written(tmp_path / "a.jsonl", rows)
    made = prepare_pairs([source], open_renderer(base), 100)
    assert [row.where for row in made.rows] == [f"{tmp_path}/a.jsonl:3"]
    assert (made.entry.dropped, made.entry.conversations) == ({"longer than 100 tokens": 2}, 3)
    exact = max(len(row.prompt) + max(len(row.chosen), len(row.rejected)) for row in made.rows)
    assert len(prepare_pairs([source], open_renderer(base), exact).rows) == 1
    with pytest.raises(
        UserError, match=r"a\.jsonl: 3 longer than \d+ tokens; raise data\.max_length \(the longest row has"
    ):
        prepare_pairs([source], open_renderer(base), exact - 1)


def test_a_prompt_is_never_on_both_sides(base: Path, tmp_path: Path) -> None:
    """Each question stands three times, with other answers and with other tools."""
    rows = [
        {"prompt": f"question {n}", "chosen": f"yes {again}", "rejected": "no", "tools": tools}
        for again, tools in enumerate(([], [{"name": "f"}], [{"name": "g"}]))
        for n in range(40)
    ]
    source = written(tmp_path / "a.jsonl", rows)
    made = prepare_pairs([source], open_renderer(base), 200, heldout=0.3, split_seed=1)

    def questions(pairs: list[Pair]) -> list[int]:
        return [(int(pair.where.rpartition(":")[2]) - 1) % 40 for pair in pairs]

    aside, trained = questions(made.heldout), questions(made.rows)
    assert 5 <= len(set(aside)) <= 20 and not set(aside) & set(trained)
    assert len(aside) == 3 * len(set(aside)) and len(aside) + len(trained) == 120
    assert made.entry.heldout is not None
    assert made.entry.heldout.groups == len(set(aside)) and made.entry.heldout.conversations == len(aside)
    assert made.entry.sources[0].held_out == len(aside)


def test_adding_preferences_moves_none_to_the_other_side(base: Path, tmp_path: Path) -> None:
    few = prepare_pairs([numbered(tmp_path / "a.jsonl", 40)], open_renderer(base), 100, heldout=0.3)
    more = prepare_pairs([numbered(tmp_path / "a.jsonl", 80)], open_renderer(base), 100, heldout=0.3)
    assert prompts(few.heldout) < prompts(more.heldout) and prompts(few.rows) < prompts(more.rows)


def test_a_held_out_side_that_stays_empty_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="of 2 groups of preferences none fell to the held-out side; raise it"
    ):
        prepare_pairs([numbered(tmp_path / "a.jsonl", 2)], open_renderer(base), 100, heldout=0.0001)


def refused(sources: list[Source], renderer: Renderer) -> str:
    with pytest.raises(UserError) as caught:
        prepare_pairs(sources, renderer, 100)
    message = str(caught.value)
    assert "; " in message and message.endswith(".") and "\n" not in message
    return message


def test_broken_data_is_named(base: Path, tmp_path: Path) -> None:
    renderer, path = open_renderer(base), tmp_path / "a.jsonl"
    good = {"prompt": "a", "chosen": "b", "rejected": "c"}
    result = {"role": "tool", "tool_call_id": "x", "content": "y"}
    lost = good | {"prompt": [{"role": "user", "content": "a"}, result]}
    assert "a.jsonl:2: chosen and rejected are the same answer" in refused(
        [written(path, [good, good | {"rejected": "b"}])], renderer
    )
    assert "a.jsonl:2: message 2: a tool message stands after a user" in refused(
        [written(path, [good, lost])], renderer
    )
    unsaid = good | {"rejected": f"b {WORD}"}
    refuses = open_renderer(refusing_base(tmp_path, base))
    assert "a.jsonl:1: with the rejected answer: the base's chat template refuses" in refused(
        [written(path, [unsaid])], refuses
    )
    named = written(path, [good]).model_copy(update={"format": "openai"})
    assert "a.jsonl: preferences are told apart by their keys" in refused([named], renderer)


class _Answers:
    """A chat format that writes prompt and answer as `row` says."""

    def __init__(self, row: Callable[[str], tuple[list[int], list[int]]]) -> None:
        self._row = row

    def samples(self, conversation: Conversation, learn: Learn = "all") -> list[Sample]:
        assert learn == "last"
        return [Sample.of(*self._row(str(conversation.messages[-1].content)))]


def test_answers_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.jsonl", 1)
    looking_ahead: Any = _Answers(lambda answer: ([7, len(answer)], [1, 2]))
    assert "a.jsonl:1: the base's chat format writes the prompt in 2 tokens before the chosen" in refused(
        [source], looking_ahead
    )
    forgetful: Any = _Answers(lambda answer: ([7], [1, 2]))
    assert "a.jsonl:1: both answers are the same 2 tokens" in refused([source], forgetful)


@pytest.mark.parametrize("kind", ["template", "V3", "V7 Tekken", "V13 Tekken"])
def test_the_samples_render(kind: str, base: Path, tmp_path: Path) -> None:
    renderer = open_renderer(base) if kind == "template" else _mistral(kind, tmp_path)
    sources = [Source(path=str(SAMPLES / "preferences.jsonl"))]
    made = prepare_pairs(sources, renderer, 2048, heldout=0.1)
    assert made.entry.dropped == {} and len(made.rows) + len(made.heldout) == 120
    for row in made.rows:
        assert row.chosen[-1] == row.rejected[-1]  # the stop token


def _mistral(kind: str, folder: Path) -> Renderer:
    write_tokenizer(kind, folder)
    return open_renderer(folder)


@st.composite
def preferences(draw: st.DrawFn) -> Preference:
    """Any conversation that ends where an answer may follow, and two answers in words or calls."""
    conversation = draw(conversations())
    messages = list(conversation.messages)
    while messages and messages[-1].role not in ("user", "tool"):
        messages.pop()
    assume(messages)
    names = [tool.function.name for tool in conversation.tools] or ["lookup"]

    def answer(identity: str) -> AssistantMessage:
        if draw(st.booleans()):
            return AssistantMessage(role="assistant", content=draw(texts()))
        function = {"name": draw(st.sampled_from(names)), "arguments": draw(arguments())}
        call = {"id": identity, "type": "function", "function": function}
        return AssistantMessage.model_validate({"role": "assistant", "tool_calls": [call]})

    try:
        return Preference(
            prompt=messages,
            tools=conversation.tools,
            chosen=answer("chosen001"),
            rejected=answer("reject001"),
        )
    except ValueError:
        assume(False)
        raise


@pytest.mark.parametrize("kind", ["template", "V3", "V7 Tekken", "V13 Tekken"])
def test_pairs_are_rows_of_supervised_training(kind: str, base: Path, tmp_path: Path) -> None:
    """A pair holds what `learn: last` makes of the whole conversation, behind what the server is asked."""
    renderer = open_renderer(base) if kind == "template" else _mistral(kind, tmp_path / "tokenizer")
    path = tmp_path / "pairs.jsonl"

    def rows(whole: dict[str, Any]) -> list[Sample] | None:
        try:
            return renderer.samples(whole, "last")
        except UserError:
            return None

    def check(preference: Preference) -> None:
        record = preference.plain()
        source = written(path, [record])
        (read,) = scan(path)
        assert read.preference is not None
        asked, tools = record["input"]["messages"], record["input"].get("tools", [])
        expected = [
            rows({"messages": [*asked, *record[side]], "tools": tools})
            for side in ("preferred_output", "non_preferred_output")
        ]
        try:
            made: Pairs | None = prepare_pairs([source], renderer, 10**6)
        except UserError:
            made = None
        if None in expected or _ruled_out(preference):
            assert made is None
            return
        chosen, rejected = (found[0].input_ids for found in expected if found)
        if chosen == rejected:
            assert made is None
            return
        assert made is not None
        (pair,) = made.rows
        assert (pair.prompt + pair.chosen, pair.prompt + pair.rejected) == (chosen, rejected)
        assert pair.prompt == renderer.prompt(asked, tools)

    settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )(given(preferences())(check))()


def _ruled_out(preference: Preference) -> bool:
    from data.preference import problems
    from data.rules import SEVERITY

    return any(SEVERITY[problem.kind] == "error" for problem in problems(preference))
