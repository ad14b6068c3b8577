"""Rows of more than `data.max_length` tokens: left out, or cut behind their last whole answer.

Half of an answer is never learned: no request ends in one, its stop token would never be seen, and half of a
call is what no server's grammar writes.
"""

from typing import Literal

from finetune.render import Sample

TooLong = Literal["drop", "truncate"]


def fitted(sample: Sample, limit: int | None, too_long: TooLong) -> Sample | None:
    """What training learns of a row: all of it, what stands up to its last whole answer, or nothing.

    An answer is whole when its stop token is among the first `limit` tokens; None knows no limit.
    """
    if limit is None or len(sample.input_ids) <= limit:
        return sample
    if too_long == "drop":
        return None
    end = max((end for _, end in answers(sample) if end <= limit), default=0)
    return Sample(sample.input_ids[:end], sample.completion_mask[:end]) if end else None


def answers(sample: Sample) -> list[tuple[int, int]]:
    """Where each learned answer starts, and where it ends behind its stop token."""
    mask = [0, *sample.completion_mask, 0]
    starts = [at for at in range(len(mask) - 1) if mask[at + 1] > mask[at]]
    ends = [at for at in range(len(mask) - 1) if mask[at + 1] < mask[at]]
    return list(zip(starts, ends, strict=True))


def longer(limit: int) -> str:
    """Why a row is left out, as a manifest counts it."""
    return f"longer than {limit} tokens"


def shortened(limit: int) -> str:
    """What happened to a row that was cut, as a manifest counts it."""
    return f"cut to {limit} tokens"


LOST = "answers behind a cut"
"""Answers of rows that were cut, as a manifest counts them: no part of them is learned."""


def cuts(reason: str) -> bool:
    """Whether a reason counts what was cut, of which something is learned, rather than what was left out."""
    return reason.startswith("cut to ") or reason == LOST
