"""A text encoded once gives what encoding all its prefixes and answers alone gives."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from tokenizers.pre_tokenizers import Metaspace

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


def encoder_of(file: Path) -> Encoder:
    if file not in _ENCODERS:
        _ENCODERS[file] = Encoder(Tokenizer.from_file(str(file)), STOP)
    return _ENCODERS[file]


_ENCODERS: dict[Path, Any] = {}
