"""An alias with a policy moves with a report that shows nothing clearly worse, or with a reason on record."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from data.errors import UserError
from data.policy import Policy
from data.report import EvalReport
from serve.registry import reports, transfer
from serve.registry.storage import Storage
from serve.registry.tables import ReportRow
from tests.serve import tiny
from tests.serve.evaluated import Scores, report, served
from tests.serve.test_adapter_routes import error, push
from tests.serve.test_cli import serve
from tests.serve.test_client import listening
from tests.serve.tiny import Base, TinyServer

SUPPORT = "/v1/adapters/support"
ALIAS = f"{SUPPORT}/aliases/default"
POLICY = {"suites": [{"name": "quickstart", "most_worse": 0.02, "tasks": {"chat": 0.1}}]}

BEST = [1.0] * 100
SAME = [1.0] * 99 + [0.0]
WORSE = [1.0] * 80 + [0.0] * 20
FEW_WRONG = [1.0] * 97 + [0.0] * 3
"""3 points less, which 100 questions do not show clearly: McNemar's p is 0.25."""
LIKELY = [20.0 + number % 5 for number in range(100)]
"""Nats of answers of 10 tokens."""

Compare = Callable[..., EvalReport]


@pytest.fixture
def http(server: TinyServer, base: Base, tmp_path: Path) -> Iterator[TestClient]:
    """`support` with three versions, of which `default` means the first, and a policy for that."""
    with TestClient(server.app, raise_server_exceptions=False, headers=server.headers) as client:
        for seed in range(3):
            folder = tiny.make_adapter(tmp_path / f"adapter-{seed}", base, seed)
            assert push(client, folder, ["default"] if seed == 0 else []).status_code == 200
        assert client.put(f"{ALIAS}/policy", json=POLICY).status_code == 200
        yield client


@pytest.fixture
def compare(http: TestClient, base: Base) -> Compare:
    """A report on two of the versions, of which 0 is the base."""

    def made(
        before: int, after: int, old: Scores = BEST, new: Scores = SAME, other: str = "", **chat: Scores
    ) -> EvalReport:
        digests = {one["version"]: one["digest"] for one in http.get(SUPPORT).json()["versions"]}
        names = {number: f"support@{number}" if number else "base" for number in (before, after)}
        fingerprint = other or base.manifest.fingerprint
        models = [served(name, digests.get(number), fingerprint) for number, name in names.items()]
        plain = {names[before]: chat.get("was", LIKELY), names[after]: chat.get("now", LIKELY)}
        return report(models, {"known tools": {names[before]: old, names[after]: new}, "chat": plain})

    return made


def send(http: TestClient, version: int, found: EvalReport) -> Any:
    return http.post(f"{SUPPORT}/versions/{version}/reports", json=on_the_last(found))


def on_the_last(found: EvalReport) -> dict[str, Any]:
    """What is sent of a report on the last of its models."""
    adapter = found.models[-1].adapter
    assert adapter is not None
    return found.evidence(adapter.digest).model_dump(mode="json")


def move(http: TestClient, version: int = 2, **more: Any) -> Any:
    return http.put(ALIAS, json={"version": version, **more})


def stays(http: TestClient, answer: Any) -> str:
    """Why the alias did not move."""
    message = error(answer, 409, "gate_closed")
    assert http.get(ALIAS).json()["version"] == 1
    return message


def test_a_missing_report_is_asked_for(http: TestClient) -> None:
    message = stays(http, move(http))
    assert "no report on suite 'quickstart' compares support@2 with support@1" in message
    assert "finetune eval SUITE --models base,support@1,support@2" in message
    assert "serve promote support@2 --alias default --report report.json" in message


def test_a_report_of_this_very_version_opens_it(http: TestClient, compare: Compare) -> None:
    found = compare(1, 2)
    assert send(http, 2, found).status_code == 201
    assert move(http).json()["version"] == 2
    last = http.get(SUPPORT).json()["history"][-1]
    assert (last["version"], last["override"], last["reports"]) == (2, None, [found.result_digest])
    stays_open = move(http, 2)
    assert stays_open.status_code == 200, "where it is already it may be put again"
    message = error(move(http, 3), 409, "gate_closed")
    assert "compares support@3 with support@2" in message, "each version needs its own"


def test_a_regression_is_refused_with_the_numbers(http: TestClient, compare: Compare) -> None:
    send(http, 2, compare(1, 2, new=WORSE))
    message = stays(http, move(http))
    assert (
        "on suite 'quickstart', known tools: accuracy −20.0 points (95% interval −28 to −12 points), where "
        "2 points worse is allowed"
    ) in message


def test_what_may_be_chance_is_no_regression(http: TestClient, compare: Compare) -> None:
    send(http, 2, compare(1, 2, new=FEW_WRONG))
    assert move(http).status_code == 200


def test_a_task_has_its_own_bound(http: TestClient, compare: Compare) -> None:
    """Perplexity 5% up is clearly worse than the 2% of the others, and within its own 10%."""
    up = [nats + 0.5 for nats in LIKELY]
    send(http, 2, compare(1, 2, now=up))
    assert move(http).status_code == 200
    http.post(f"{ALIAS}/rollback")
    http.put(f"{ALIAS}/policy", json={"suites": [{"name": "quickstart", "most_worse": 0.02}]})
    message = stays(http, move(http))
    assert "chat: perplexity +5.1%" in message
    assert "2% worse is allowed" in message


def test_the_newest_report_counts(http: TestClient, compare: Compare) -> None:
    """By when they came; one that found what an earlier one had found is new where it was made again."""
    good, bad = compare(1, 2), compare(1, 2, new=WORSE)
    for found, minute in ((good, 10), (bad, 5)):
        send(http, 2, found.model_copy(update={"finished": f"2026-05-04T10:{minute:02}:00Z"}))
    stays(http, move(http))
    send(http, 2, good.model_copy(update={"finished": "2026-05-04T10:10:00Z"}))
    stays(http, move(http))
    send(http, 2, good.model_copy(update={"finished": "2026-05-04T10:30:00+00:00"}))
    assert move(http).status_code == 200


def test_a_report_that_compares_others_hides_none(http: TestClient, compare: Compare) -> None:
    """In the later one the version stands before what the alias means, so it was compared with the base."""
    send(http, 2, compare(1, 2))
    later = compare(2, 1).model_copy(update={"finished": "2026-06-04T10:00:00Z"})
    assert later.models[0].adapter
    evidence = later.evidence(later.models[0].adapter.digest)
    assert http.post(f"{SUPPORT}/versions/2/reports", json=evidence.model_dump(mode="json")).is_success
    assert move(http).status_code == 200


@pytest.mark.parametrize(
    "what", ["the base", "another version", "another base", "another suite", "another state"]
)
def test_reports_of_something_else_do_not_count(http: TestClient, compare: Compare, what: str) -> None:
    found = {
        "the base": lambda: compare(0, 2),
        "another version": lambda: compare(3, 2),
        "another base": lambda: compare(1, 2, other="sha256:" + "7" * 64),
        "another suite": lambda: compare(1, 2).model_copy(
            update={"suite": compare(1, 2).suite.model_copy(update={"name": "other"})}
        ),
        "another state": lambda: compare(1, 2),
    }[what]()
    if what == "another state":
        rule = POLICY["suites"][0] | {"digest": "sha256:" + "7" * 64}
        http.put(f"{ALIAS}/policy", json={"suites": [rule]})
    assert send(http, 2, found).status_code == 201
    assert "no report on suite 'quickstart'" in stays(http, move(http))


@pytest.mark.parametrize("side", ["old", "new"])
def test_answers_without_a_score_are_no_good_news(http: TestClient, compare: Compare, side: str) -> None:
    send(http, 2, compare(1, 2, **{"new": WORSE} | {side: [*BEST[:5], *[None] * 95]}))
    assert "known tools: 5 of 100 answers have a score for both, where 90% must" in stays(http, move(http))


def test_a_task_that_is_asked_for_must_be_there(http: TestClient, compare: Compare) -> None:
    rule = {"name": "quickstart", "tasks": {"known tols": 0.1}}
    http.put(f"{ALIAS}/policy", json={"suites": [rule]})
    send(http, 2, compare(1, 2))
    assert "there is no task 'known tols'" in stays(http, move(http))


def test_a_reason_overrides_and_is_kept(http: TestClient, compare: Compare) -> None:
    assert move(http, override="the old one insults people").json()["version"] == 2
    last = http.get(SUPPORT).json()["history"][-1]
    assert (last["override"], last["reports"]) == ("the old one insults people", [])
    send(http, 3, compare(2, 3))
    assert move(http, 3, override="no gate is in the way").json()["version"] == 3
    assert http.get(SUPPORT).json()["history"][-1]["override"] is None
    for reason in ("", "no", "a\nb", "a\x00b", "x" * 501, 7):
        error(move(http, 3, override=reason), 400, "invalid_request")


def test_who_saw_the_alias_elsewhere_is_told_that_first(http: TestClient) -> None:
    error(move(http, 2, expected=3), 409, "alias_moved")


def test_a_canary_is_asked_for_too_and_a_rollback_is_not(http: TestClient, compare: Compare) -> None:
    stays(http, move(http, weight=10))
    send(http, 2, compare(1, 2))
    assert move(http, weight=10).status_code == 200
    assert move(http).status_code == 200
    assert http.post(f"{ALIAS}/rollback").status_code == 200
    assert http.put(ALIAS, json={"version": None}).status_code == 200
    assert "compares support@3 with support@1" in error(move(http, 3), 409, "gate_closed"), (
        "to take an alias away and put it elsewhere is a move"
    )


def test_the_first_version_is_compared_with_the_base(
    http: TestClient, compare: Compare, base: Base, tmp_path: Path
) -> None:
    first = "/v1/adapters/first"
    http.put(f"{first}/aliases/default/policy", json=POLICY)
    folder = tiny.make_adapter(tmp_path / "first", base, seed=9)
    message = error(push(http, folder, ["default"], "first"), 409, "gate_closed")
    assert message.startswith("first@1 is stored and answers by that name, but alias 'default'")
    assert "compares first@1 with base" in message
    version = http.get(first).json()["versions"][0]
    assert version["state"] == "ready"
    models = [
        served("base", None, base.manifest.fingerprint),
        served("first@1", version["digest"], base.manifest.fingerprint),
    ]
    found = report(models, {"chat": {"base": WORSE, "first@1": BEST}})
    http.post(f"{first}/versions/1/reports", json=on_the_last(found))
    assert push(http, folder, ["default"], "first").status_code == 200, "the same push again moves it"


def test_a_report_must_be_of_the_version(http: TestClient, compare: Compare) -> None:
    answer = send(http, 3, compare(1, 2))
    assert "not on support@3" in error(answer, 400, "invalid_request")
    evidence = on_the_last(compare(1, 2))
    for broken in ({"report": "x"}, {"models": [{}] * 65}, {"extra": 1}, {"suite": ""}):
        error(http.post(f"{SUPPORT}/versions/2/reports", json=evidence | broken), 400, "invalid_request")
    nan = json.dumps(evidence).replace('"low": -0.03', '"low": NaN')
    assert "NaN" in nan
    answer = http.post(
        f"{SUPPORT}/versions/2/reports", content=nan, headers={"content-type": "application/json"}
    )
    error(answer, 400, "invalid_request")
    error(send(http, 9, compare(1, 2)), 404, "model_not_found")


def test_reports_of_large_suites_and_no_more_than_a_hundred(
    http: TestClient, server: TinyServer, compare: Compare
) -> None:
    models = compare(1, 2).models
    tasks = {f"a task, number {number}": {one.name: [1.0, 0.0] for one in models} for number in range(250)}
    assert send(http, 2, report(models, tasks)).status_code == 201
    for number in range(reports.MOST + 5):
        found = compare(1, 2, new=[1.0] * (99 - number % 50) + [0.0] * (1 + number % 50), old=[1.0] * 100)
        suite = found.suite.model_copy(update={"name": f"suite {number}"})
        send(http, 2, found.model_copy(update={"suite": suite}))
    with server.registry.storage.database.read() as session:
        assert session.scalar(select(func.count()).select_from(ReportRow)) == reports.MOST
    assert len(server.registry.storage.reports.of("support")[2]) == reports.SHOWN


def test_who_may_do_what(http: TestClient, server: TinyServer, compare: Compare) -> None:
    """Who pushes may bring reports and say why not; only an administrator says what is asked for."""
    secret = server.registry.storage.keys.create("pusher", ["push"])
    pusher = {"authorization": f"Bearer {secret}"}
    for request in (
        lambda: http.put(f"{ALIAS}/policy", json=POLICY, headers=pusher),
        lambda: http.delete(f"{ALIAS}/policy", headers=pusher),
    ):
        error(request(), 403, "insufficient_scope")
    assert http.get(f"{ALIAS}/policy", headers=pusher).json()["policy"]["suites"][0]["name"] == "quickstart"
    assert http.delete(f"{ALIAS}/policy").json()["policy"] is None
    assert move(http).status_code == 200


def test_the_commands(
    http: TestClient, server: TinyServer, compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENXERTO_API_KEY", server.key)
    folder = tmp_path / "eval"
    folder.mkdir()
    (folder / "report.json").write_text(compare(1, 2).model_dump_json())
    with listening(server.app) as url:
        assert "quickstart  2.0%, chat: 10.0%" in serve("gate", "support", url=url)[1]
        code, _, problem = serve("promote", "support@2", url=url)
        assert (code, problem.count("\n")) == (2, 1)
        assert "no report" in problem
        code, _, problem = serve("promote", "support@3", "--report", folder, url=url)
        assert (code, "evaluate that version" in problem) == (2, True)
        code, out, _ = serve("promote", "support@2", "--report", folder, url=url)
        assert (code, out) == (0, "support:default -> version 2\n")
        shown = serve("show", "support", url=url)[1]
        assert (
            "@2: suite quickstart, known tools, against support@1: −1.0 points, no clear difference" in shown
        )
        code, out, _ = serve("promote", "support@3", "--override", "a customer waits", url=url)
        assert (code, out) == (0, "support:default -> version 3\n")
        assert "a customer waits" in serve("show", "support", url=url)[1]
        assert serve("gate", "support", "--off", url=url)[1] == "support:default moves without a report\n"
        policy = "recipes/gates/quickstart.yaml"
        assert "held-out chat: 10.0%" in serve("gate", "support", "--policy", policy, url=url)[1]
        (tmp_path / "broken.yaml").write_text("suites:\n- name: x\n  most_wors: 1\n")
        code, _, problem = serve("gate", "support", "--policy", tmp_path / "broken.yaml", url=url)
        assert code == 2
        assert "did you mean `most_worse`?" in problem


def test_an_export_brings_policy_and_reports_along(
    http: TestClient, server: TinyServer, compare: Compare, tmp_path: Path
) -> None:
    found = compare(1, 2)
    send(http, 2, found)
    transfer.export(server.registry.storage, tmp_path / "export")
    other = Storage(tmp_path / "other")
    transfer.restore(other, tmp_path / "export")
    policy = other.policies.find("support", "default")
    assert policy is not None
    assert policy.suites[0].tasks == {"chat": 0.1}
    assert [one.report for one in other.reports.of("support")[2]] == [found.result_digest]
    other.close()


def test_an_import_meets_no_policy(server: TinyServer, http: TestClient, tmp_path: Path) -> None:
    transfer.export(server.registry.storage, tmp_path / "export")
    other = Storage(tmp_path / "other")
    other.policies.keep("other", "default", Policy.model_validate(POLICY))
    with pytest.raises(UserError, match="holds policies already"):
        transfer.restore(other, tmp_path / "export")
    assert not list((tmp_path / "other" / "blobs").rglob("*sha*")), "nothing was taken in"
    other.close()


def test_the_same_on_postgresql(
    base: Base, tmp_path: Path, postgres_url: str, compare: Compare, http: TestClient
) -> None:
    """The JSON of both tables, and a reason with signs that few expect."""
    server = tiny.make_server(tmp_path / "on-postgres", base, database=postgres_url)
    with TestClient(server.app, headers=server.headers) as there:
        for number in range(2):
            push(there, tmp_path / f"adapter-{number}", ["default"] if number == 0 else [])
        there.put(f"{ALIAS}/policy", json=POLICY)
        stays(there, move(there))
        assert move(there, override="“nur” für heute, 🦊").status_code == 200
        assert there.get(SUPPORT).json()["history"][-1]["override"] == "“nur” für heute, 🦊"
        there.post(f"{ALIAS}/rollback")
        assert send(there, 2, compare(1, 2)).status_code == 201
        assert move(there).status_code == 200
    server.registry.close()
