"""Encoding a long text once, and knowing which of its parts would be encoded the same alone."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any

from finetune.render import Piece

Span = tuple[int, int]
"""Where something starts, and where it ends."""


class Encoder:
    """A tokenizer of the `tokenizers` library, with `stop`, the token that ends an answer.

    A tokenizer first takes the added tokens out of the text, from left to right, the longest at each place;
    what lies between them is normalised, split and merged piece by piece. So nothing merges across `stop`,
    and a text may be cut right behind it: encode(a + stop + b) = encode(a + stop) + encode(b). `_cuts` says
    whether that holds for this tokenizer; its conditions are that no other token can swallow a part of
    `stop`, that neither it nor a token beside it looks at its neighbours, and that a piece is encoded the
    same at the start of a text and later. Elsewhere everything is encoded again, prefix by prefix.
    """

    def __init__(self, tokenizer: Any, stop: str) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._stop = stop
        added = tokenizer.get_added_tokens_decoder()
        self._special = {number: token.content for number, token in added.items() if token.special}
        self._can_cut = _cuts(list(added.values()), stop, tokenizer.pre_tokenizer)
        self._opening = lru_cache(maxsize=1024)(self.encode)

    def encode(self, text: str) -> list[int]:
        return self._encode_all([text])[0]

    def joined(self, text: str, spans: list[Span]) -> tuple[list[int], list[Span]] | None:
        """`text`'s ids and each span's place among them; None where a span is not encoded as it is alone.

        `spans` are character ranges that end with `stop`, in order; the last one ends the text.
        """
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
        encoded = self._encode_all([*pieces, *(text[start:end] for start, end in spans)])
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

    def specials_in(self, ids: list[int]) -> list[str]:
        """The control tokens among `ids`, by name."""
        return [self._special[number] for number in ids if number in self._special]

    def pieces(self, ids: Sequence[int]) -> list[Piece]:
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=False)
        return [Piece(stream.step(self._tokenizer, number) or "", number in self._special) for number in ids]

    def _encode_all(self, texts: list[str]) -> list[list[int]]:
        # The fast call leaves out offsets, a fifth of the time.
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [one.ids for one in encoded]


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


def _overlap(other: str, stop: str) -> bool:
    """Whether an occurrence of `other` could share characters with one of `stop`."""
    if other != stop and (stop in other or other in stop):
        return True
    sizes = range(1, min(len(other), len(stop)))
    return any(other[-n:] == stop[:n] or stop[-n:] == other[:n] for n in sizes)
