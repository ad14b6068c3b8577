"""The Grafana dashboard asks for metrics and labels that a real server has; read by an independent parser."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve import talking, tiny
from tests.serve.talking import add, chat
from tests.serve.test_client import listening
from tests.waiting import PATIENCE

DASHBOARD = json.loads((Path(__file__).parents[2] / "serve/dashboards/enxerto.json").read_text())

SCRAPED = {"instance", "job"}
"""Labels that Prometheus itself adds."""

PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}


@pytest.fixture(scope="module")
def labels_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every sample of a server to which everything has happened, with its labels."""
    folder = tmp_path_factory.mktemp("dashboard")
    base = tiny.make_base(folder / "base")
    server = tiny.make_server(folder / "registry", base)
    for seed, name in enumerate(("support", "sql")):
        add(server, folder, base, name, seed)
    server.app.state.engine = talking.TalkingEngine(base.manifest.name)
    with (
        listening(server.app) as url,
        httpx.Client(base_url=url, headers=server.headers, timeout=PATIENCE) as http,
    ):
        tool = {"type": "function", "function": {"name": "get_weather"}}
        chat(http, f"call {talking.CUT}", tools=[tool])
        chat(http, "words 3", stream=True)
        chat(http, "refuse")
        server.engine.refuses = True
        chat(http, "hello", "sql")
        text = http.get("/metrics").text
    found: defaultdict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(text):
        assert family.samples, f"{family.name} has no sample: make it happen above"
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return dict(found)


def parsed(expression: str) -> Any:
    """The query's tree, with a value for each of Grafana's variables."""
    filled = expression.replace("$__rate_interval", "1m")
    return promql_parser.parse(re.sub(r"\$\w+", "x", filled))


def walk(node: Any) -> Iterator[Any]:
    yield node
    for field in ("expr", "lhs", "rhs", "param", "vector_selector"):
        if (child := getattr(node, field, None)) is not None:
            yield from walk(child)
    for child in getattr(node, "args", None) or ():
        yield from walk(child)


def selected(tree: Any) -> Iterator[tuple[str, set[str]]]:
    """Each metric that a query reads, with the labels that it is filtered by."""
    for node in walk(tree):
        if isinstance(node, promql_parser.VectorSelector):
            yield node.name, {matcher.name for matcher in node.matchers.matchers}


def grouped(tree: Any) -> Iterator[tuple[str, set[str]]]:
    """Each metric that is aggregated, with the labels that this keeps."""
    for node in walk(tree):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            yield from ((name, set(node.modifier.labels)) for name, _ in selected(node.expr))


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_asks_for_what_there_is(labels_of: dict[str, set[str]], title: str) -> None:
    assert PANELS[title]["description"].endswith(".")
    for target in PANELS[title]["targets"]:
        tree = parsed(target["expr"])
        asked, kept = list(selected(tree)), list(grouped(tree))
        assert asked
        for name, labels in asked + kept:
            assert name in labels_of, f"{title}: there is no metric {name}"
            assert labels <= labels_of[name] | SCRAPED, f"{title}: {name} has no {labels - labels_of[name]}"
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert shown <= set().union(*(labels for _, labels in kept)), f"{title}: its legend shows {shown}"


def test_every_metric_is_on_a_panel(labels_of: dict[str, set[str]]) -> None:
    asked = {
        name
        for panel in PANELS.values()
        for target in panel["targets"]
        for name, _ in selected(parsed(target["expr"]))
    }
    family = re.compile(r"_(bucket|sum|count)$")
    assert {family.sub("", name) for name in labels_of} == {family.sub("", name) for name in asked}


def test_the_variables_are_filled_from_labels_that_there_are(labels_of: dict[str, set[str]]) -> None:
    queries = [one for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    assert {one["name"] for one in queries} == {"instance", "adapter"}
    for one in queries:
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"])
        assert match
        ((name, filters),) = selected(parsed(match[1]))
        assert filters | {match[2]} <= labels_of[name] | SCRAPED
    named = {one["name"] for one in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"]))) <= named
