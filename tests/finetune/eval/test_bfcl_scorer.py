"""Our scorer of calls beside BFCL's checker.

`bfcl_cases.json` holds made-up cases with the checker's verdict on each, which the slow test asks for again;
`difference` stands where ours is another on purpose, and docs/evaluation-suites.md says why.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import bfcl_agreement

FIXTURE = json.loads(Path(__file__).with_name("bfcl_cases.json").read_text(encoding="utf-8"))
CASES = FIXTURE["cases"]


def case(row: dict[str, Any]) -> dict[str, Any]:
    return {**FIXTURE["sets"][row["set"]], "calls": row["calls"]}


@pytest.mark.parametrize("row", CASES, ids=lambda row: row["name"])
def test_the_verdict_is_the_checkers_or_differs_on_purpose(row: dict[str, Any]) -> None:
    assert bfcl_agreement.ours(case(row)) == row["ours"]
    assert ("difference" in row) == (row["ours"] != row["official"])


def test_every_difference_on_purpose_is_documented() -> None:
    text = Path("docs/evaluation-suites.md").read_text(encoding="utf-8")
    for name in {row["difference"] for row in CASES if "difference" in row}:
        assert name in text.replace("\n", " "), name


@pytest.mark.parametrize("row", [row for row in CASES if "difference" in row], ids=lambda row: row["name"])
def test_the_measurement_knows_each_difference_by_its_reason(row: dict[str, Any]) -> None:
    told = {"valid": row["official"] is True, **({"error": ""} if row["official"] == "raises" else {})}
    assert bfcl_agreement.reason(case(row), told) == row["difference"]


def test_a_difference_of_no_known_kind_is_called_unexplained() -> None:
    [plain] = [row for row in CASES if row["name"] == "only what is needed"]
    assert bfcl_agreement.reason(case(plain), {"valid": False}) == bfcl_agreement.UNEXPLAINED


@pytest.mark.slow
def test_the_checker_still_says_what_the_cases_say() -> None:
    found = bfcl_agreement.official([case(row) for row in CASES])
    told = ["raises" if "error" in verdict else verdict["valid"] for verdict in found]
    assert told == [row["official"] for row in CASES]


@pytest.mark.slow
def test_more_than_99_in_100_verdicts_agree_and_the_rest_is_explained() -> None:
    goals = bfcl_agreement.judge(bfcl_agreement.compare(list(bfcl_agreement.cases(seed=11))))
    print([(goal.name, goal.measured) for goal in goals])
    assert all(goal.met for goal in goals), goals
