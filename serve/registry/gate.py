"""The gate before an alias: the reports that its policy asks for are there and show nothing clearly worse."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from data.policy import Policy
from data.probes import FILE as PROBES
from serve.registry import reports
from serve.registry.folders import COMPUTED
from serve.registry.records import Aim, GateClosed
from serve.registry.regression import Side, decide
from serve.registry.tables import MoveRow, PolicyRow, TombstoneRow, VersionRow


class Passage(NamedTuple):
    """How a move came through: the digests of the `reports` that were looked at, and what overrode them."""

    reports: list[str]
    override: str | None


FREE = Passage([], None)
"""Nothing was asked for."""


def passage(
    session: Session, name: str, alias: str, here: int | None, aim: Aim | None, override: str | None
) -> Passage:
    """How an alias comes from version `here` to `aim`; GateClosed where its policy asks for more.

    It runs in the transaction of the move, so what a version is compared with is what it takes the place of.
    With an `override` nothing is refused. Taking an alias away is always possible.
    """
    row = session.get(PolicyRow, (name, alias))
    if row is None or aim is None:
        return FREE
    policy, looked_at, objected = Policy.model_validate(row.policy), list[str](), False
    for number in aim.numbers:
        if number == here:
            continue
        candidate = session.get_one(VersionRow, (name, number))
        present = _present(session, name, alias, number, candidate.base_fingerprint)
        known = reports.on_suites(session, name, number, [rule.name for rule in policy.suites])
        decision = decide(policy, known, _side(candidate), present)
        stranger = _adopted(policy, candidate)
        objected |= bool(decision.objections or stranger)
        if stranger and not override:
            raise GateClosed(
                f"alias {alias!r} of adapter {name!r} does not move to {name}@{number}: {stranger}, or "
                "move it "
                "all the same with --override REASON."
            )
        if decision.objections and not override:
            raise GateClosed(_refusal(name, alias, candidate, present, decision.objections))
        looked_at += decision.reports
    return Passage(looked_at, override if objected else None)


def _adopted(policy: Policy, candidate: VersionRow) -> str | None:
    """What a policy has against a version that was trained elsewhere, and the next step; or None."""
    told = candidate.provenance.get("adopted")
    if told is None or policy.adopted == "allow":
        return None
    where = f"it was trained elsewhere ({told['source']})"
    if policy.adopted == "refuse":
        return f"{where}, and its policy says `adopted: refuse`; retrain it with `finetune train`"
    if {PROBES, COMPUTED} & candidate.files.keys():
        return None
    why = f" ({told['without_probes']})" if told["without_probes"] else ""
    return (
        f"{where} and has no parity probes{why}, which its policy asks for with `adopted: probes`; push "
        "it from "
        "a machine where training is installed and the base is built"
    )


def _present(session: Session, name: str, alias: str, candidate: int, base: str) -> Side:
    """What the alias means, or meant before it was taken away; the base where there is none on the same."""
    before = select(MoveRow.number).filter_by(adapter=name, alias=alias)
    before = before.where(MoveRow.number.is_not(None)).order_by(MoveRow.sequence.desc()).limit(1)
    number = session.scalar(before)
    if number is not None and number != candidate and session.get(TombstoneRow, (name, number)) is None:
        row = session.get_one(VersionRow, (name, number))
        if row.base_fingerprint == base:
            return _side(row)
    return Side("base", None, base)


def _side(row: VersionRow) -> Side:
    return Side(f"{row.adapter}@{row.number}", row.digest, row.base_fingerprint)


def _refusal(name: str, alias: str, candidate: VersionRow, present: Side, objections: list[str]) -> str:
    reference = f"{name}@{candidate.number}"
    asked = ["base", present.name, reference] if present.digest else ["base", reference]
    return (
        f"alias {alias!r} of adapter {name!r} does not move to {reference}: {'; '.join(objections)}. "
        f"Evaluate with `finetune eval SUITE --models {','.join(asked)}` and send it with "
        f"`serve promote {reference} --alias {alias} --report report.json`, or move it all the "
        "same with --override REASON."
    )
