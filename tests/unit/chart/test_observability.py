"""Alerts and dashboard ask only for metrics that exist, with labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from edgeramp.values.metrics import METRICS
from edgeramp.values.reasons import REASONS

CHART = Path(__file__).resolve().parents[3] / "charts" / "edgeramp"
RULES = yaml.safe_load((CHART / "rules" / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((CHART / "dashboards" / "edgeramp.json").read_text())
PANELS = DASHBOARD["panels"]
QUERIES = {f"alert {rule['alert']}": rule["expr"] for rule in RULES} | {
    f"panel {panel['title']} {target['refId']}": target["expr"]
    for panel in PANELS
    for target in panel["targets"]
}
LABELS = {m.name: set(m.labels) for m in METRICS}
LABELS |= {f"{m.name}_bucket": {*m.labels, "le"} for m in METRICS if m.type == "histogram"}
_PARTS = ("lhs", "rhs", "expr", "vs", "vector_selector", "args")
_REASONS = {name for group in REASONS.values() for name in group}


def selectors(node: Any) -> Iterator[Any]:
    """Every vector selector of a parsed query."""
    if isinstance(node, promql.VectorSelector):
        yield node
    for part in _PARTS:
        child = getattr(node, part, None)
        for one in child if isinstance(child, list) else [child]:
            if one is not None and type(one).__module__ == type(node).__module__:
                yield from selectors(one)


def parsed(query: str) -> Any:
    """PromQL without Grafana's variables."""
    return promql.parse(query.replace("$__rate_interval", "5m").replace("$namespace", ".*"))


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_asks_for_what_exists(query: str) -> None:
    found = list(selectors(parsed(query)))
    assert found, "no metric was found in it"
    for selector in found:
        assert selector.name in LABELS, f"no metric {selector.name}"
        for matcher in selector.matchers.matchers:
            assert matcher.name in LABELS[selector.name], f"{selector.name} has no label {matcher.name}"
            if matcher.name == "reason":
                assert set(re.split(r"\|", matcher.value)) <= _REASONS


def test_a_misspelt_metric_would_be_found() -> None:
    (selector,) = selectors(parsed("rate(edgeramp_eror_total[5m])"))
    assert selector.name not in LABELS
    assert [s.name for s in selectors(parsed("sum(a) > 1 and time() - b{x='y'} > 5 or absent(c == 1)"))] == [
        "a",
        "b",
        "c",
    ]


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        s.name.removesuffix("_bucket")
        for p in PANELS
        for t in p["targets"]
        for s in selectors(parsed(t["expr"]))
    }
    assert shown == {m.name for m in METRICS}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule["annotations"]["summary"] and rule["annotations"]["description"].endswith(".")
    labels = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    told = {label for s in selectors(parsed(rule["expr"])) for label in LABELS[s.name]}
    assert labels <= told


def test_panels_have_their_own_number_and_do_not_overlap() -> None:
    assert len({p["id"] for p in PANELS}) == len(PANELS)
    cells = [
        (x, y)
        for p in PANELS
        for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
