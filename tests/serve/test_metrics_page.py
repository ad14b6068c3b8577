"""`docs/serving-metrics.md` lists what /metrics emits: each metric, its kind, its labels and their values."""

import re
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve import talking, tiny
from tests.serve.talking import TalkingEngine, add, chat
from tests.serve.test_client import listening
from tests.serve.tiny import Base
from tests.waiting import eventually

PAGE = Path(__file__).parents[2] / "docs" / "serving-metrics.md"
ROW = re.compile(r"\| (?P<names>`.*?`) \| (?P<kind>\w+) \| (?P<labels>.*?) ?\| (?P<says>.*) \|")
TICKED = re.compile("`([a-z_]+)`")

VALUES = {
    ("load_seconds", "phase"): {"verify", "make_room", "load", "probe"},
    ("finishes_total", "reason"): {"stop", "length", "tool_calls"},
    ("tool_call_failures_total", "kind"): {"arguments", "raw_text"},
}
"""The values that the page lists. What else is in a row is an example, as `client_closed` is."""

WHOSE = {"adapter", "version"}


def documented() -> dict[str, tuple[str, set[str], set[str]]]:
    """Kind, labels and the words in backticks of each metric in the page's table, in its order."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if row := ROW.fullmatch(line):
            told = row["kind"], set(TICKED.findall(row["labels"])), set(TICKED.findall(row["says"]))
            found |= dict.fromkeys(TICKED.findall(row["names"]), told)
    return found


@pytest.fixture
def emitted(tmp_path: Path, base: Base) -> str:
    """What /metrics says once everything has happened that it counts."""
    server = tiny.make_server(tmp_path / "registry", base)
    for seed, name in enumerate(("support", "sql")):
        add(server, tmp_path, base, name, seed)
    server.app.state.engine = TalkingEngine(base.manifest.name)
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    with listening(server.app) as url, httpx.Client(base_url=url, headers=server.headers) as http:
        for said in ("words 3", "length", f"call {talking.GOOD}", f"call {talking.CUT}", "raw"):
            assert chat(http, said, tools=tools, stream=True).status_code == 200
        server.engine.refuses = True
        assert chat(http, "words 1", "sql").status_code == 503
        eventually(lambda: 'enxerto_requests_total{adapter="support",version="1"} 5' in _read(http))
        return _read(http)


def _read(http: httpx.Client) -> str:
    return http.get("/metrics").text


def test_the_page_lists_the_metrics_that_there_are(emitted: str) -> None:
    told = documented()
    found = {}
    for family in text_string_to_metric_families(emitted):
        name = family.name.removeprefix("enxerto_") + ("_total" if family.type == "counter" else "")
        labels = set().union(*(sample.labels for sample in family.samples)) - {"le"}
        found[name] = family.type, labels
    assert found.keys() == told.keys()
    last = list(told)[-5:]
    for name, (kind, labels, _) in told.items():
        assert found[name] == (kind, labels | (set() if name in last else WHOSE)), name


def test_the_page_lists_the_values_of_their_labels(emitted: str) -> None:
    found = defaultdict(set)
    for family in text_string_to_metric_families(emitted):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found[sample.name.removeprefix("enxerto_"), label].add(value)
    told = documented()
    for (name, label), values in VALUES.items():
        emitted_name = f"{name}_count" if name.endswith("_seconds") else name
        assert found[emitted_name, label] == values
        assert told[name][2] >= values, name
        assert told[name][2] - values <= {"content"}, name
    assert found["load_failures_total", "phase"] <= VALUES["load_seconds", "phase"]
