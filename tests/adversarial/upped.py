"""The `serve` command as it is, but for vLLM: `serve up` then answers by the engine without a model."""

import sys
from types import ModuleType

from tests.serve.talking import TalkingEngine


def main() -> None:
    instead = ModuleType("serve.engine.vllm")
    instead.VllmEngine = lambda settings: TalkingEngine(settings.base.name)  # type: ignore[attr-defined]
    sys.modules[instead.__name__] = instead
    from serve.cli import main as serve

    serve()


if __name__ == "__main__":
    main()
