"""Encoding a long text once, and knowing which of its parts would be encoded the same alone."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from typing import Any

from data.control_tokens import ControlTokens
from finetune.render import Piece

Span = tuple[int, int]
"""Where something starts, and where it ends."""

_LONG_LINE = re.compile(r"\n(?=(\S[^\n]{98,}\S\n)\S)")
"""A line such as a tool's definition, which many conversations share. It lies ahead of the match, because the
next line may be one too; and the match starts with a plain sign, which is searched for much faster."""
_REMEMBERED = 8192
"""Lines whose ids are kept; about 2 KB each."""


class Encoder:
    """A tokenizer of the `tokenizers` library, with `stop`, the token that ends an answer.

    A tokenizer first takes the added tokens out of the text, from left to right, the longest at each place;
    what lies between them is normalised, split and merged piece by piece. So nothing merges across `stop`,
    and a text may be cut right behind it: encode(a + stop + b) = encode(a + stop) + encode(b). `_cuts` says
    whether that holds for this tokenizer; its conditions are that no other token can swallow a part of
    `stop`, that neither it nor a token beside it looks at its neighbours, and that a piece is encoded the
    same at the start of a text and later. Elsewhere everything is encoded again, prefix by prefix.

    GPT-2's splitter allows more cuts, see `_cuts_lines`: where an answer starts on a line of its own, there
    is nothing to check, and the ids of long lines can be remembered.

    Texts may be hidden ones of `controls`: a `stop` that a message spells is none of those above.
    """

    def __init__(self, tokenizer: Any, stop: str) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.controls = ControlTokens(tokenizer)
        self._stop, self._stop_id = stop, tokenizer.token_to_id(stop)
        added = tokenizer.get_added_tokens_decoder()
        self._special = {number for number, token in added.items() if token.special}
        self._can_cut = _cuts(list(added.values()), stop, tokenizer.pre_tokenizer)
        self._can_cut_lines = self._can_cut and _cuts_lines(tokenizer, list(added.values()))
        self._opening = lru_cache(maxsize=1024)(self.encode)
        self._lines: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        return self.controls.encode([text])[0]

    def joined(self, text: str, spans: list[Span]) -> tuple[list[int], list[Span]] | None:
        """`text`'s ids and each span's place among them; None where a span is not encoded as it is alone.

        `spans` are character ranges that end with `stop`, in order; the last one ends the text.
        """
        if self._can_cut_lines and all(_between_lines(text, start) for start, _ in spans):
            return self._by_lines(text, spans)
        return self._by_cuts(text, spans) if self._can_cut else self.joined_slowly(text, spans)

    def joined_slowly(self, text: str, spans: list[Span]) -> tuple[list[int], list[Span]] | None:
        """The definition: each prefix and each span, encoded alone, stands in the text's ids as it is."""
        ids, places = self.encode(text), []
        for start, end in spans:
            before, inside = self.encode(text[:start]), self.encode(text[start:end])
            place = len(before), len(before) + len(inside)
            if ids[: place[0]] != before or ids[place[0] : place[1]] != inside:
                return None
            places.append(place)
        return ids, places

    def _by_lines(self, text: str, spans: list[Span]) -> tuple[list[int], list[Span]] | None:
        """The same where all spans start between lines, at the cost of encoding the text once.

        The n-th stop of the text is the n-th among the ids, and what stands between a stop and the start of
        a span has the ids that it has alone.
        """
        ids, places = self._encode_lines(text), []
        at = place = 0  # in the text and among the ids, behind the same stop
        for start, end in spans:
            if text.find(self._stop, start) + len(self._stop) != end:
                return None
            for _ in range(text.count(self._stop, at, start)):
                at = text.index(self._stop, at) + len(self._stop)
                place = ids.index(self._stop_id, place) + 1
            begin = place + len(self._opening(text[at:start]))
            at, place = end, ids.index(self._stop_id, place) + 1
            places.append((begin, place))
        return ids, places

    def _encode_lines(self, text: str) -> list[int]:
        """`encode(text)`, with long lines that were seen before taken from memory."""
        lines = [line.span(1) for line in _LONG_LINE.finditer(text) if _between_lines(text, line.start(1))]
        edges = [0, *chain.from_iterable(lines), len(text)]
        pieces = [text[start:end] for start, end in pairwise(edges)]  # each second one is a long line
        unknown = [piece for piece in pieces if piece not in self._lines]
        found = dict(zip(unknown, self.controls.encode(unknown), strict=True))
        ids = list(
            chain.from_iterable(
                self._lines[piece] if piece in self._lines else found[piece] for piece in pieces
            )
        )
        if len(self._lines) > _REMEMBERED:
            self._lines.clear()
        self._lines |= {line: found[line] for line in pieces[1::2] if line in found}
        return ids

    def _by_cuts(self, text: str, spans: list[Span]) -> tuple[list[int], list[Span]] | None:
        """The same, by the law of the class, at the cost of encoding the text once and the spans once more.

        Proof: cut `text` behind every `stop`. A prefix that ends with `stop` has the ids of its pieces. A
        span starts inside a piece, behind its opening x, and where it holds no `stop` but its last, the
        piece is x + span, and the prefix before the span is some pieces and x. So the prefix and the span
        stand in the ids as they are alone just where encode(x + span) = encode(x) + encode(span), which is
        looked at for each span. (A span with a second `stop` is nothing to learn: None.)
        """
        pieces, at = [], 0
        ends: list[int] = []
        for start, end in spans:
            if text.find(self._stop, start) + len(self._stop) != end:
                return None
            while at < end:
                behind = text.index(self._stop, at) + len(self._stop)
                pieces.append(text[at:behind])
                at = behind
            ends.append(len(pieces) - 1)
        encoded = self.controls.encode([*pieces, *(text[start:end] for start, end in spans)])
        for number, (start, end), alone in zip(ends, spans, encoded[len(pieces) :], strict=True):
            opening = pieces[number][: start - end]
            if encoded[number] != self._opening(opening) + alone:
                return None
        lengths = list(accumulate(len(piece) for piece in encoded[: len(pieces)]))
        places = [
            (lengths[number] - len(alone), lengths[number])
            for number, alone in zip(ends, encoded[len(pieces) :], strict=True)
        ]
        return list(chain.from_iterable(encoded[: len(pieces)])), places

    def pieces(self, ids: Sequence[int]) -> list[Piece]:
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=False)
        return [Piece(stream.step(self._tokenizer, number) or "", number in self._special) for number in ids]


def _cuts(added: list[Any], stop: str, splitter: Any) -> bool:
    """Whether encode(a + stop + b) = encode(a + stop) + encode(b) for all texts a and b."""
    own = [token for token in added if token.content == stop]
    if len(own) != 1 or own[0].normalized or any(token.single_word for token in added):
        return False
    if own[0].lstrip or own[0].rstrip or stop != stop.strip():
        return False
    if any(_overlap(token.content, stop) for token in added):
        return False
    # Metaspace's "first" adds a blank to the start of a text, but not to the same piece further on.
    return splitter is None or b'"first"' not in splitter.__getstate__()


def _between_lines(text: str, at: int) -> bool:
    """Whether `text` may be cut at `at`: behind a line end that has a sign on both sides, and no blank."""
    before, end, behind = text[at - 2 : at - 1], text[at - 1 : at], text[at : at + 1]
    return end == "\n" and not before.isspace() and not behind.isspace()


def _cuts_lines(tokenizer: Any, added: list[Any]) -> bool:
    """Whether encode(a + b) = encode(a) + encode(b) where `_between_lines(a + b, len(a))` for all a and b.

    True for GPT-2's splitter, whose matches depend on nothing before them, and look ahead only to leave the
    last of several blanks to the word behind it. The line end is one blank alone, so it is a match of its
    own in a + b as it is in a; no other match spans the cut, and b is split from its start. Nothing else may
    look across the cut: no normalizer, and no added token that holds blanks or swallows those beside it.
    """
    splitter = tokenizer.pre_tokenizer
    state = json.loads(splitter.__getstate__()) if splitter is not None else {}
    gpt2 = state.get("type") == "ByteLevel" and state.get("use_regex") and not state.get("add_prefix_space")
    return (
        bool(gpt2)
        and tokenizer.normalizer is None
        and not any(
            token.lstrip or token.rstrip or token.single_word or token.content.split() != [token.content]
            for token in added
        )
    )


def _overlap(other: str, stop: str) -> bool:
    """Whether an occurrence of `other` could share characters with one of `stop`."""
    if other != stop and (stop in other or other in stop):
        return True
    sizes = range(1, min(len(other), len(stop)))
    return any(other[-n:] == stop[:n] or stop[-n:] == other[:n] for n in sizes)
