"""Whether an alias may move: its policy beside the reports that are known of a version's bytes."""

from collections.abc import Sequence
from typing import NamedTuple

from data import phrases
from data.policy import Policy, SuiteRule
from data.report import Difference, Evidence, Metric, Served

LEAST_SCORED = 0.9
"""The share of a task's answers that both must have a score for: of the others nobody knows what they are."""


class Side(NamedTuple):
    """A version as people name it, or the base, which has no digest; and the base's fingerprint."""

    name: str
    digest: str | None
    base: str


class Decision(NamedTuple):
    """`objections` say why an alias may not move; `reports` are the digests of those that were looked at."""

    objections: list[str]
    reports: list[str]


def decide(policy: Policy, known: Sequence[Evidence], candidate: Side, present: Side) -> Decision:
    """What stands against moving from `present` to `candidate`, by the newest report on each suite.

    `known` are the reports on the candidate, the newest first; those that do not compare the two say nothing.
    """
    objections, reports = list[str](), list[str]()
    for rule in policy.suites:
        found = next((pair for one in known if (pair := _compared(rule, one, candidate, present))), None)
        if found is None:
            state = f" in the state {rule.digest[:19]}" if rule.digest else ""
            objections.append(
                f"no report on suite {rule.name!r}{state} compares {candidate.name} with {present.name}"
            )
            continue
        evidence, name, other = found
        reports.append(evidence.report)
        objections += [f"on suite {rule.name!r}, {said}" for said in _worse(rule, evidence, name, other)]
    return Decision(objections, reports)


def _compared(
    rule: SuiteRule, evidence: Evidence, candidate: Side, present: Side
) -> tuple[Evidence, str, str] | None:
    """The names of both sides in a report on the rule's suite; None where it is not such a report."""
    if evidence.suite != rule.name or rule.digest not in (None, evidence.suite_digest):
        return None
    name, other = (_name(evidence.models, side) for side in (candidate, present))
    if not name or not any((one.model, one.against) == (name, other) for one in evidence.differences):
        return None
    return evidence, name, str(other)


def _name(models: Sequence[Served], side: Side) -> str | None:
    """What a report calls the version; the base by itself is the adapter that is none."""
    for served in models:
        same = (served.version, served.fingerprint) == (side.digest, side.base)
        if same and (served.version or served.is_base):
            return served.name
    return None


def _worse(rule: SuiteRule, evidence: Evidence, name: str, other: str) -> list[str]:
    metrics = [metric for metric in evidence.metrics if metric.model == name and metric.category is None]
    if not metrics:
        return ["nothing was scored"]
    absent = [task for task in rule.tasks if task not in {metric.task for metric in metrics}]
    said = [f"there is no task {task!r}" for task in absent]
    for metric in metrics:
        if why := _why_not(metric, _difference(evidence, name, other, metric), rule):
            said.append(f"{metric.task}: {why}")
    return said


def _why_not(metric: Metric, difference: Difference | None, rule: SuiteRule) -> str | None:
    asked = metric.n + metric.unscored
    both = difference.n if difference else 0
    if both == 0 or both < LEAST_SCORED * asked:
        return f"{both} of {asked} answers have a score for both, where {LEAST_SCORED:.0%} must"
    assert difference is not None  # it has pairs
    value, interval = difference.value, (difference.low, difference.high)
    if value is None or (both > 1 and None in interval):
        return f"the report gives {both} pairs and not how they differ"
    bound = rule.tasks.get(metric.task, rule.most_worse)
    ratio = metric.measure == "perplexity"
    lost = value - 1 if ratio else -value
    if difference.direction != "worse" or lost <= bound:
        return None
    return (
        f"{metric.measure} {phrases.amount(difference)} (95% interval {phrases.interval(difference)}), where "
        f"{100 * bound:g}{'%' if ratio else ' points'} worse is allowed"
    )


def _difference(evidence: Evidence, name: str, other: str, metric: Metric) -> Difference | None:
    key = (name, other, metric.task, metric.measure)
    for one in evidence.differences:
        if (one.model, one.against, one.task, one.measure) == key and one.category is None:
            return one
    return None
