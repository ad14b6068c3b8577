"""Words against reference words: scores between 0 and 1, of one answer each."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

from finetune.eval.verdict import Verdict


def exact(expected: str, got: str) -> Verdict:
    """The same words: Unicode's canonical form, and spaces and line breaks alike, but case counts."""
    same = _plain(expected) == _plain(got)
    return Verdict(float(same), "the expected words" if same else "other words")


def contains(expected: str, got: str) -> Verdict:
    """The reference stands somewhere in the answer; case does not count."""
    within = _plain(expected).casefold() in _plain(got).casefold()
    return Verdict(float(within), "holds the reference" if within else "lacks the reference")


def chrf(expected: str, got: str) -> Verdict:
    """chrF2 (Popović 2015) as sacrebleu computes it for one sentence, divided by 100."""
    score = _chrf().sentence_score(got, [expected]).score / 100
    return Verdict(score, f"chrF {100 * score:.1f}")


@cache
def _chrf() -> Any:
    # Imported here, so that a suite without it starts faster.
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def rouge_l(expected: str, got: str) -> Verdict:
    """ROUGE-L's F1 (Lin 2004): the longest common subsequence of words.

    A word is a run of letters and digits of any script; `rouge-score` knows a to z only, where both agree.
    """
    wanted, said = _words(expected), _words(got)
    common = _longest_common(wanted, said)
    score = 2 * common / (len(wanted) + len(said)) if common else 0.0
    return Verdict(score, f"ROUGE-L {100 * score:.1f}")


SCORERS: dict[str, Callable[[str, str], Verdict]] = {
    "exact": exact,
    "contains": contains,
    "chrf": chrf,
    "rouge_l": rouge_l,
}


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).lower())


def _longest_common(one: list[str], other: list[str]) -> int:
    """The length of the longest common subsequence; time is the product of the lengths."""
    before = [0] * (len(other) + 1)
    for word in one:
        now = [0]
        for place, candidate in enumerate(other):
            now.append(before[place] + 1 if word == candidate else max(before[place + 1], now[place]))
        before = now
    return before[-1]
