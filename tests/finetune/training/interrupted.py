"""A training that gets a SIGTERM in the middle of its second step: `python -m ... RECIPE`."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

PASSES_BEFORE = 9
"""Six passes a step."""


def main(recipe: Path) -> None:
    from finetune import recipe as recipes
    from finetune.train import train
    from finetune.training.objectives import Supervised

    whole, passes = Supervised.loss, []

    def loss(self: Supervised, model: Any, batch: Any) -> Any:
        passes.append(batch)
        if len(passes) == PASSES_BEFORE:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, model, batch)

    Supervised.loss = loss  # type: ignore[method-assign]
    train(recipes.load(recipe))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
