"""A text encoded once gives what encoding all its prefixes and answers alone gives."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, Split

from finetune.cuts import Encoder

STOP = "<|im_end|>"
fragments = st.lists(
    st.sampled_from(
        [STOP, "<|im_", "end|>", "<|im_start|>", "\n", "\n\n", " ", "a", "Hello", "12", "é", "日", "'s"]
    ),
    max_size=8,
).map("".join)


@pytest.fixture(scope="module")
def file(base: Path) -> Path:
    return base / "tokenizer.json"


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(turns=st.lists(st.tuples(fragments, fragments), min_size=1, max_size=4))
def test_cutting_equals_encoding_everything_again(file: Path, turns: list[tuple[str, str]]) -> None:
    encoder = encoder_of(file)
    text, spans = "", []
    for before, answer in turns:
        start = len(text) + len(before)
        text += before + answer.replace(STOP, "") + STOP
        spans.append((start, len(text)))
    if text.count(STOP, spans[-1][0]) == 1:
        assert encoder.joined(text, spans) == encoder.joined_slowly(text, spans)


LINES = [
    "x" * 100,
    '{"a": ' + "1" * 99,
    "é" * 101,
    "f" * 120 + STOP,
    " " + "b" * 110,
    "c" * 110 + " ",
    "d",
    "",
    "\t",
]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    turns=st.lists(
        st.tuples(st.lists(st.sampled_from(LINES), max_size=5), st.lists(st.sampled_from(LINES), max_size=3)),
        min_size=1,
        max_size=3,
    )
)
def test_long_lines_may_be_remembered(file: Path, turns: list[tuple[list[str], list[str]]]) -> None:
    """One encoder for all examples, so that most lines come from its memory."""
    encoder = encoder_of(file)
    text, spans = "", []
    for before, answer in turns:
        text += "\n".join([*before, "<|im_start|>assistant\n"])
        start = len(text)
        text += "\n".join(answer).replace(STOP, "") + STOP
        spans.append((start, len(text)))
        text += "\n"
    text = text[:-1]
    assert encoder._encode_lines(text) == encoder.encode(text)
    assert encoder.joined(text, spans) == encoder.joined_slowly(text, spans)


@pytest.mark.parametrize("kind", ["a blank", "a swallower", "a normalizer", "another splitter", "a start"])
def test_what_looks_across_lines_forbids_the_cut(file: Path, kind: str) -> None:
    tokenizer = Tokenizer.from_file(str(file))
    assert Encoder(tokenizer, STOP)._can_cut_lines
    if kind == "a blank":
        tokenizer.add_special_tokens(["x\ny"])
    elif kind == "a swallower":
        tokenizer.add_special_tokens([AddedToken("x", lstrip=True)])
    elif kind == "a normalizer":
        tokenizer.normalizer = Replace(Regex("\n+"), "\n")
    elif kind == "another splitter":
        tokenizer.pre_tokenizer = Split(Regex("[^ ]+"), "isolated")
    else:
        tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    encoder = Encoder(tokenizer, STOP)
    assert not encoder._can_cut_lines
    text = f"one\ny{STOP}"
    assert encoder.joined(text, [(4, len(text))]) == encoder.joined_slowly(text, [(4, len(text))])


@pytest.mark.parametrize("opening, answer, together", [("x\n", "Hello", True), ("x\n", "\n\nHello", False)])
def test_an_answer_that_merges_with_its_prompt_is_not_joined(
    file: Path, opening: str, answer: str, together: bool
) -> None:
    text = opening + answer + STOP
    found = encoder_of(file).joined(text, [(len(opening), len(text))])
    assert (found is not None) == together


ODD: dict[str, tuple[str, str]] = {
    "a stop that swallows blanks": (f"a{STOP}", "  b"),
    "a token that looks at its neighbours": (f"a{STOP}", "x b"),
    "a token that overlaps the stop": ("a<|im_end|>", "x b"),
    "a token that holds the stop": ("a<|im_end|>", "|> b"),
    "a splitter that knows the start of a text": (f"a{STOP}", "b"),
}


def odd(file: Path, kind: str) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    if kind == "a stop that swallows blanks":
        content = json.loads(file.read_text(encoding="utf-8"))
        for token in content["added_tokens"]:
            token["rstrip"] = token["content"] == STOP
        return Tokenizer.from_str(json.dumps(content))
    if kind == "a token that looks at its neighbours":
        tokenizer.add_special_tokens([AddedToken("word", single_word=True)])
    if kind == "a token that overlaps the stop":
        tokenizer.add_special_tokens(["|>x"])
    if kind == "a token that holds the stop":
        tokenizer.add_special_tokens([f"{STOP}|>"])
    if kind == "a splitter that knows the start of a text":
        tokenizer.pre_tokenizer = Metaspace(prepend_scheme="first")
    return tokenizer


@pytest.mark.parametrize("kind", ODD)
def test_a_tokenizer_without_the_law_is_not_cut(file: Path, kind: str) -> None:
    encoder = Encoder(odd(file, kind), STOP)
    text = f"one {STOP}  two{STOP}"
    spans = [(4, 4 + len(STOP)), (len(text) - 3 - len(STOP), len(text))]
    assert encoder.joined(text, spans) == encoder.joined_slowly(text, spans)
    assert not encoder._can_cut


@pytest.mark.parametrize("answer", ["one", "\none"], ids=["between lines", "elsewhere"])
def test_a_span_that_ends_twice_is_nothing_to_learn(file: Path, answer: str) -> None:
    text = f"x\n{answer}{STOP} two{STOP}"
    assert encoder_of(file).joined(text, [(2, len(text))]) is None


def encoder_of(file: Path) -> Encoder:
    if file not in _ENCODERS:
        _ENCODERS[file] = Encoder(Tokenizer.from_file(str(file)), STOP)
    return _ENCODERS[file]


_ENCODERS: dict[Path, Any] = {}
