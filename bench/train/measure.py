"""What every run of the bench tells, in one line of JSON; and the machine's matrix product at its best."""

import json
import resource
import statistics
import time

import torch

from bench.train.stream import BATCH, WARM, rows

# The small base's own products (tokens, in, out), and a square one.
_SHAPES = ((1024, 576, 576), (1024, 576, 1536), (1024, 1536, 576), (2048, 2048, 2048))


def report(seconds: list[float], losses: list[float], stream: str, weights: str) -> None:
    """`seconds` and `losses` of each step. Tokens are those of the rows: padding counts for nothing."""
    lengths = [len(row["input_ids"]) for row in rows(stream)]
    tokens = [sum(lengths[at : at + BATCH]) for at in range(0, len(lengths), BATCH)]
    speeds = [count / took for count, took in zip(tokens, seconds, strict=True)]
    content = {
        "tokens_per_second": statistics.median(speeds[WARM:]),
        "losses": losses,
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "weights": weights,
    }
    print(json.dumps(content), flush=True)


def peak(dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of `_SHAPES` in `dtype`."""
    best = 0.0
    for tokens, wide, out in _SHAPES:
        left, right = torch.randn(tokens, wide).to(dtype), torch.randn(out, wide).to(dtype)
        left @ right.t()
        for _ in range(12):
            started = time.perf_counter()
            left @ right.t()
            best = max(best, 2 * tokens * wide * out / (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    from finetune.model.choice import fastest_dtype

    kind = fastest_dtype()
    print(json.dumps({"flops": peak(kind), "dtype": str(kind)}), flush=True)
