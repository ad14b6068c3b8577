"""A training on a machine whose faster dtype is the other one by now: `python -m ... RECIPE`."""

import sys
from pathlib import Path


def main(recipe: Path) -> None:
    from finetune import recipe as recipes
    from finetune.model import choice
    from finetune.train import train

    timed = choice._speeds()
    fast, slow = max(timed, key=timed.__getitem__), min(timed, key=timed.__getitem__)
    choice._speeds = lambda: {fast: timed[slow], slow: timed[fast]}  # type: ignore[assignment]
    train(recipes.load(recipe))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
