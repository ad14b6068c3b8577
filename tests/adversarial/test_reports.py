"""Reports of strangers: none closes a gate for good, opens it by a date, or makes a page too large."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from data import digest
from data.report import Evidence
from serve.registry import reports
from serve.registry.tables import ReportRow
from tests.adversarial.pushed import WORSE, World, world
from tests.serve.test_adapter_routes import error

ALIAS = "/v1/adapters/mine/aliases/default"
REPORTS = "/v1/adapters/mine/versions/2/reports"
POLICY = {"suites": [{"name": "quickstart", "most_worse": 0.02}]}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """`mine` with two versions; each test sets the alias and its policy."""
    with world(tmp_path_factory.mktemp("reports")) as made:
        made.push("mine", 1)
        made.push("mine", 2)
        yield made


@pytest.fixture
def there(pushed: World) -> World:
    pushed.http.delete(f"{ALIAS}/policy")
    assert pushed.http.put(ALIAS, json={"version": 1}).is_success
    assert pushed.http.put(f"{ALIAS}/policy", json=POLICY).is_success
    with pushed.server.registry.storage.database.write() as session:
        session.query(ReportRow).delete()
    return pushed


def with_differences(evidence: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return evidence | {"differences": [one | changes for one in evidence["differences"]]}


NO_NUMBERS = {
    "pairs and no value": {"value": None},
    "pairs and no interval": {"low": None, "high": None},
    "half an interval": {"high": None},
    "an interval the wrong way round": {"low": 0.9, "high": -0.9},
    "fewer pairs than none": {"n": -1},
}


@pytest.mark.parametrize("changes", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_pairs_without_numbers_are_refused(there: World, changes: dict[str, Any]) -> None:
    sent = with_differences(there.evidence("mine", 1, 2), **changes)
    why = error(there.http.post(REPORTS, json=sent), 400, "invalid_request")
    assert why.startswith("differences: item 0 has n ")


@pytest.mark.parametrize("changes", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_one_that_was_kept_before_closes_the_gate_and_no_more(there: World, changes: dict[str, Any]) -> None:
    """An alias moves with a reason, or with an honest report behind it."""
    evidence = with_differences(there.evidence("mine", 1, 2), **changes)
    there.server.registry.storage.reports.keep("mine", 2, Evidence.model_validate(evidence))
    refused = there.http.put(ALIAS, json={"version": 2})
    assert refused.status_code in (200, 409)
    assert there.http.put(ALIAS, json={"version": 2, "override": "it is an emergency"}).status_code == 200
    assert there.http.post(f"{ALIAS}/rollback").is_success
    honest = there.evidence("mine", 1, 2) | {"report": digest.of_bytes(b"honest")}
    assert there.http.post(REPORTS, json=honest).status_code == 201
    assert there.http.put(ALIAS, json={"version": 2, "weight": 5}).status_code == 200


@pytest.mark.parametrize(
    "finished",
    [
        "9998-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        pytest.param((datetime.now(UTC) + timedelta(days=1)).isoformat(), id="tomorrow"),
    ],
)
def test_a_time_that_cannot_be_is_refused(there: World, finished: str) -> None:
    """Those near the calendar's ends have no time in UTC."""
    sent = there.evidence("mine", 1, 2) | {"finished": finished}
    assert error(there.http.post(REPORTS, json=sent), 400, "invalid_request").startswith(
        "finished: must lie after 1970 and not later than now ("
    )


def test_a_clock_that_is_a_little_ahead_may_send_reports(there: World) -> None:
    ahead = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    sent = there.evidence("mine", 1, 2) | {"finished": ahead}
    assert there.http.post(REPORTS, json=sent).status_code == 201


def test_no_date_outweighs_what_comes_later(there: World) -> None:
    """As many of the future as are kept, from before their times were looked at: the honest one counts."""
    storage = there.server.registry.storage
    good = there.evidence("mine", 1, 2)
    for number in range(reports.MOST):
        named = good | {"report": digest.of_json(number), "finished": "9998-01-01T00:00:00Z"}
        storage.reports.keep("mine", 2, Evidence.model_validate(named))
    worse = there.evidence("mine", 1, 2, WORSE) | {"finished": "2020-01-01T00:00:00Z"}
    assert there.http.post(REPORTS, json=worse).status_code == 201
    assert "20.0 points" in error(there.http.put(ALIAS, json={"version": 2}), 409, "gate_closed")
    assert there.http.post(REPORTS, json=good).status_code == 201
    assert there.http.put(ALIAS, json={"version": 2}).status_code == 200


def test_an_old_report_sent_again_is_as_old_as_it_was(there: World) -> None:
    good, worse = there.evidence("mine", 1, 2), there.evidence("mine", 1, 2, WORSE)
    for sent in (good, worse, good):
        assert there.http.post(REPORTS, json=sent).status_code == 201
    error(there.http.put(ALIAS, json={"version": 2}), 409, "gate_closed")


UNSHOWABLE = ["\x1b]0;owned\x07", "a\nb", "\x9b2J", "\u202egnp.exe", "x\u2028y", "n" * 301]


@pytest.mark.parametrize("text", UNSHOWABLE, ids=ascii)
@pytest.mark.parametrize("place", ["suite", "task", "against", "model"])
def test_text_that_would_steer_a_terminal_is_refused(there: World, text: str, place: str) -> None:
    sent = there.evidence("mine", 1, 2)
    if place == "suite":
        sent["suite"] = text
    elif place == "model":
        sent["models"][0]["model"] = text
    else:
        sent = with_differences(sent, **{place: text})
    why = error(there.http.post(REPORTS, json=sent), 400, "invalid_request")
    assert place in why
    assert why.isprintable()


@pytest.mark.parametrize("text", UNSHOWABLE[:5], ids=ascii)
def test_so_is_such_a_reason(there: World, text: str) -> None:
    refused = there.http.put(ALIAS, json={"version": 2, "override": f"because {text}"})
    assert error(refused, 400, "invalid_request").startswith("override: ")


def test_what_is_shown_is_bounded(there: World) -> None:
    """However many reports there are, and however large they are."""
    large = there.evidence("mine", 1, 2)
    large["differences"] = [large["differences"][0] | {"task": f"{i:0>290}"} for i in range(2048)]
    storage = there.server.registry.storage
    storage.reports.keep("mine", 2, Evidence.model_validate(large))
    with storage.database.write() as session:
        row = session.get_one(ReportRow, ("mine", 2, large["report"]))
        for number in range(reports.MOST - 1):
            again = {c.key: getattr(row, c.key) for c in row.__mapper__.column_attrs}
            session.add(ReportRow(**again | {"report": digest.of_json(number)}))
    shown = there.http.get("/v1/adapters/mine")
    assert len(shown.content) < 2**20
    cards = shown.json()["versions"][1]["reports"]
    assert len(cards) == reports.SHOWN
    assert all((len(one["differences"]), one["more"]) == (32, 2016) for one in cards)
