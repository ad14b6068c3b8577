"""BFCL's own checker over JSON lines: `python -I -S bench/bfcl_official.py WHEEL_FOLDER < CASES > VERDICTS`.

Isolated from every installed package. Each line in is {"category", "functions", "truth", "calls"}; each line
out is {"valid"}, with {"error"} where the checker raises instead of answering. Imports nothing of this
project; the checker's files run as they are.
"""

import json
import sys
import types
from typing import Any

MODEL = "enxerto"


def main(folder: str) -> None:
    sys.path.insert(0, folder)
    # The real module lists every vendor's models and imports their clients; the checker reads one flag of it.
    listing: Any = types.ModuleType("bfcl_eval.constants.model_config")
    listing.MODEL_CONFIG_MAPPING = {MODEL: types.SimpleNamespace(underscore_to_dot=True)}
    sys.modules[listing.__name__] = listing
    from bfcl_eval.constants.enums import Language  # type: ignore[import-not-found]
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker  # type: ignore[import-not-found]

    for line in sys.stdin:
        case = json.loads(line)
        try:
            told = ast_checker(
                case["functions"], case["calls"], case["truth"], Language.PYTHON, case["category"], MODEL
            )
            verdict = {"valid": told["valid"]}
        except Exception as error:
            verdict = {"valid": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(verdict))


if __name__ == "__main__":
    main(sys.argv[1])
