"""`make bench-bfcl`: our scorer of calls beside BFCL's own checker, verdict by verdict.

Both judge the same answers to every question that has possible answers: right ones that those describe, and
one of each mutation in `bfcl_mutations`. Each difference must be of a kind that docs/evaluation-suites.md
explains.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from bench import results
from bench.bfcl_mutations import Case, answers
from data.errors import UserError
from finetune.eval import bfcl_data
from finetune.eval.bfcl import possible
from finetune.eval.scorers_bfcl import mistake

SEED = 7
OFFICIAL = Path(__file__).with_name("bfcl_official.py")
console = Console()


def measured(_: Path) -> tuple[list[dict[str, Any]], list[results.Goal]]:
    """Each kind of answer, for `make bench-eval`."""
    rows = compare(list(cases(SEED)))
    return rows, judge(rows)


def cases(seed: int) -> Iterator[tuple[str, Case]]:
    """(kind of answer, case) for every question of every category that has possible answers."""
    rng = random.Random(seed)
    for category in get_args(bfcl_data.Category):
        path = bfcl_data.answers_file(category)
        if path is None:
            continue
        truths = {row["id"]: row["ground_truth"] for row in _lines(path)}
        for row in _lines(bfcl_data.questions_file(category)):
            case = {"category": category, "functions": row["function"], "truth": truths[row["id"]]}
            for kind, calls in answers(case, rng):
                yield kind, {**case, "calls": calls}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def official(found: list[Case]) -> list[dict[str, Any]]:
    """The checker's verdicts, from a process that sees nothing but Python and BFCL's package."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(OFFICIAL), str(bfcl_data.package())],
        input="".join(json.dumps(case) + "\n" for case in found),
        capture_output=True,
        text=True,
    )
    verdicts: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(verdicts) != len(found):
        raise UserError(f"BFCL's checker stopped after {len(verdicts)} of {len(found)}: {done.stderr[-500:]}")
    return verdicts


def ours(case: Case) -> bool:
    calls = [item for call in case["calls"] for item in call.items()]
    return mistake(possible(case["functions"], case["truth"]), calls) is None


def compare(found: list[tuple[str, Case]]) -> list[dict[str, Any]]:
    """One row for each kind of answer, with its differences by reason."""
    count, right, refused = Counter[str](), Counter[str](), Counter[str]()
    reasons: dict[str, Counter[str]] = {}
    for (kind, case), told in zip(found, official([case for _, case in found]), strict=True):
        count[kind] += 1
        right[kind] += told["valid"]
        if ours(case) != told["valid"]:
            refused[kind] += told["valid"]
            reasons.setdefault(kind, Counter())[reason(case, told)] += 1
    return [
        {
            "answers": kind,
            "n": count[kind],
            "official_right": right[kind],
            "refused_by_us": refused[kind],
            "differences": sum(reasons.get(kind, Counter()).values()),
            "reasons": dict(reasons.get(kind, Counter())),
        }
        for kind in count
    ]


UNEXPLAINED = "unexplained"


def reason(case: Case, told: dict[str, Any]) -> str:
    """Which of the known differences this one is; by what the answer holds and who says that it is right."""
    if "error" in told:
        return "the official checker raises"
    arguments = list(_arguments(case))
    for name, official_says, holds in _REASONS:
        if told["valid"] == official_says and any(holds(*argument) for argument in arguments):
            return name
    if not told["valid"] and len(case["calls"]) > 1:
        return "pairing: the first fit is not the right one"
    return UNEXPLAINED


def _arguments(case: Case) -> Iterator[tuple[Any, dict[str, Any], list[Any]]]:
    """(value, declared, possible values) of each argument, against every expected call of its function."""
    for expected in possible(case["functions"], case["truth"]):
        for call in case["calls"]:
            for argument, value in call.get(expected.name, {}).items():
                if argument in expected.parameters and argument in expected.arguments:
                    yield value, expected.parameters[argument], expected.arguments[argument]


def _whole_in_floats(value: Any, declared: dict[str, Any], options: list[Any]) -> bool:
    items = declared.get("items", {}).get("type")
    return isinstance(value, list) and items == "float" and any(type(item) is int for item in value)


def _float_in_whole(value: Any, declared: dict[str, Any], options: list[Any]) -> bool:
    items = declared.get("items", {}).get("type")
    is_list = isinstance(value, list) and items == "integer" and "" in options
    return is_list and any(type(item) is float for item in value)


def _deep_text(value: Any, declared: dict[str, Any], options: list[Any]) -> bool:
    """Text at a depth that the checker compares to the letter: two lists, or a list in a dictionary, down."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    deeper = [item for one in inner if isinstance(one, list | dict) for item in _leaves(one)]
    return any(isinstance(item, str) for item in deeper)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value


def _number_for_boolean(value: Any, declared: dict[str, Any], options: list[Any]) -> bool:
    """True where 1 is possible inside a list or dictionary, or the other way round."""
    if not isinstance(value, dict | list):
        return False
    wanted = {(type(leaf), leaf) for leaf in _leaves(options)}
    other = {bool: int, int: bool, float: bool}
    return any((other.get(type(leaf)), leaf) in wanted for leaf in _leaves(value))


_REASONS: list[tuple[str, bool, Callable[[Any, dict[str, Any], list[Any]], bool]]] = [
    ("a whole number in a list of floats", False, _whole_in_floats),
    ("text two levels down", False, _deep_text),
    ("a float in an optional list of whole numbers", True, _float_in_whole),
    ("true for 1, or 1 for true, inside another value", True, _number_for_boolean),
]


def judge(rows: list[dict[str, Any]]) -> list[results.Goal]:
    mutated = [row for row in rows if not row["answers"].startswith("official")]
    plain = [row for row in rows if row["answers"].startswith("official")]
    unexplained = sum(row["reasons"].get(UNEXPLAINED, 0) for row in rows)
    return [
        _agreement("official answers", plain, least=1),
        _agreement("mutated answers", mutated, least=2000),
        _recall(mutated),
        results.Goal(
            "differences", "each of a kind that is documented", f"{unexplained} of no kind", unexplained == 0
        ),
    ]


def _agreement(name: str, rows: list[dict[str, Any]], least: int) -> results.Goal:
    n, differ = sum(row["n"] for row in rows), sum(row["differences"] for row in rows)
    share = 1 - differ / n
    goal = f"over 99% of at least {least}"
    return results.Goal(
        f"agreement on {name}", goal, f"{share:.3%} of {n} ({differ} differ)", n >= least and share > 0.99
    )


def _recall(rows: list[dict[str, Any]]) -> results.Goal:
    """Most mutations are wrong to anybody; those that the checker lets pass are the harder half."""
    n, refused = sum(row["official_right"] for row in rows), sum(row["refused_by_us"] for row in rows)
    share = 1 - refused / n
    measured = f"{share:.3%} of {n} ({refused} differ)"
    return results.Goal("of the mutated answers that the checker takes", "over 99%", measured, share > 0.99)
