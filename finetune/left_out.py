"""What training leaves out, as a share, and what to do about it: the same words in `train` and `validate`."""

from collections import Counter
from math import ceil

from finetune.intake import BAD
from finetune.too_long import cuts


def share(dropped: Counter[str], rows: int) -> float:
    """Of rows and of records without one, those that are left out; 0 of nothing."""
    left_out = sum(count for reason, count in dropped.items() if not cuts(reason))
    return left_out / (rows + left_out) if rows + left_out else 0.0


def over(dropped: Counter[str], rows: int, allowed: float, longest: int) -> str:
    """The sentence about a share above `data.limits.dropped`; `longest` is the length of the longest row."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if not cuts(reason))
    found = share(dropped, rows)
    return (
        f"{found:.1%} of what could be learned is left out ({reasons}), and data.limits.dropped allows"
        f" {allowed:.1%}; {advice(dropped, longest)}, or set data.limits.dropped to"
        f" {ceil(1000 * found) / 1000:g} to train on the rest."
    )


def advice(dropped: Counter[str], longest: int) -> str:
    """The next step that fits the reasons."""
    steps = []
    if any(reason.startswith("longer than ") for reason in dropped):
        steps.append(f"raise data.max_length (the longest row has {longest:,} tokens)")
    if BAD & dropped.keys():
        steps.append("mend the records that `finetune validate` names")
    return " and ".join(steps) or "add records with answers to learn"
