"""Counters as Envoy and our servers give them; the texts are what the real ones answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from edgeramp.api.rollout import Route
from edgeramp.decide.evidence.config import DEFAULT_EDGES
from edgeramp.effects.scrape import (
    Endpoint,
    Order,
    Scraper,
    clusters_of,
    merged_history,
    parse_gateway,
    parse_history,
    parse_server,
    stats_filter,
)
from edgeramp.render.route import http_route, split_between
from edgeramp.render.server import RolloutRef
from edgeramp.values.errors import EvidenceError
from edgeramp_serving.metrics import EDGES, Metrics

NAME = "httproute/ns/r/rule/0/backend"
CLUSTERS = {f"{NAME}/0": "stable", f"{NAME}/1": "candidate"}


def _counter(series: str, value: int, place: int = 1, more: str = "") -> str:
    name = f"envoy_cluster_upstream_{series}"
    return f'# TYPE {name} counter\n{name}{{{more}envoy_cluster_name="{NAME}/{place}"}} {value}\n'


COMPLETED = _counter("rq_completed", 3)
FIVES = _counter("rq_xx", 3, more='envoy_response_code_class="5",')
CUT = _counter("cx_destroy_remote_with_active_rq", 3)
TIMEOUTS = _counter("rq_timeout", 3)


@pytest.mark.parametrize(
    ("what", "text", "failed"),
    [
        ("three good answers", COMPLETED, 0),
        ("three answers 503 of the server", COMPLETED + FIVES, 3),
        ("three refused connections", COMPLETED + FIVES + _counter("cx_connect_fail", 3), 3),
        ("three crashes before the answer", COMPLETED + FIVES + CUT, 3),
        ("three answers cut off half-way", COMPLETED + CUT, 3),
        ("three timeouts before the answer", COMPLETED + FIVES + TIMEOUTS, 3),
        ("three timeouts half-way", COMPLETED + TIMEOUTS, 3),
        ("three given up by the client", "", 0),
    ],
)
def test_each_way_to_fail_counts_once(what: str, text: str, failed: int) -> None:
    counted = parse_gateway(text, CLUSTERS)["candidate"]
    assert counted == {"total": 3.0 if text else 0.0, "failed": float(failed)}, what


def test_a_cluster_that_was_not_used_yet_has_zeros_and_others_are_left_out() -> None:
    text = COMPLETED + COMPLETED.replace("ns/r/", "ns/other/").replace("} 3", "} 9")
    assert parse_gateway(text, CLUSTERS)["stable"] == {"total": 0.0, "failed": 0.0}
    assert parse_gateway(text, CLUSTERS)["candidate"]["total"] == 3.0


def test_failures_never_exceed_the_answers() -> None:
    text = _counter("rq_completed", 2) + _counter("cx_destroy_remote_with_active_rq", 6)
    assert parse_gateway(text, CLUSTERS)["candidate"] == {"total": 2.0, "failed": 2.0}


def test_nonsense_is_an_evidence_error() -> None:
    with pytest.raises(EvidenceError):
        parse_gateway("envoy_cluster_upstream_rq_completed{ what", CLUSTERS)
    with pytest.raises(EvidenceError, match="none of the metrics"):
        parse_server("up 1\n")


def test_the_track_of_a_cluster_is_what_the_routes_filter_says() -> None:
    route = Route.model_validate({"gatewayRef": {"name": "edge"}, "hostnames": ["a.example"]})
    made = http_route(RolloutRef("ns", "r", "uid"), route, split_between("s", "c", 25))
    assert clusters_of(made) == CLUSTERS
    made["spec"]["rules"][0]["backendRefs"].reverse()
    assert clusters_of(made) == {f"{NAME}/0": "candidate", f"{NAME}/1": "stable"}
    made["spec"]["rules"][0]["backendRefs"].pop()
    assert clusters_of(made) == {}


def test_the_filter_escapes_names_and_asks_for_little() -> None:
    assert stats_filter(["httproute/ns/a.b/rule/0/backend/0"]).startswith(
        "(httproute/ns/a\\.b/rule/0/backend/0)"
    )


def test_our_servers_own_metrics_are_understood() -> None:
    metrics = Metrics("sha256:a", "onnxruntime", "int8", clock=lambda: 1000.0)
    metrics.request(200, 0.010, "live")
    metrics.request(500, 0.020, "live")
    metrics.request(404, 0.001, "live")
    metrics.request(500, 9.0, "mirrored")
    metrics.request(500, 9.0, "chosen")
    metrics.execution(True)
    metrics.execution(False)
    found = parse_server(metrics.render())
    assert {k: found[k] for k in ("requests", "errors", "executions", "execution_errors", "started", "batch_limit")} == {
        "requests": 3.0, "errors": 1.0, "executions": 2.0, "execution_errors": 1.0, "started": 1000.0, "batch_limit": 1.0,
    }  # fmt: skip
    assert found["buckets"]["+Inf"] == 3.0
    edges = [float(edge) for edge in found["buckets"] if edge != "+Inf"]
    assert edges == pytest.approx(EDGES, rel=1e-5)
    assert pytest.approx(DEFAULT_EDGES[: len(EDGES)]) == EDGES


def test_a_servers_history_becomes_rows_of_the_evidences_buckets() -> None:
    now = [1000.0]
    metrics = Metrics("sha256:a", "onnxruntime", "int8", clock=lambda: now[0])
    metrics.request(200, 0.00005, "live")
    now[0] += 5
    metrics.request(500, 100.0, "live")
    now[0] += 5
    first, second = parse_history(metrics.history.report())
    assert (first["at"], first["requests"], first["errors"]) == (1000.0, 1, 0)
    assert (second["requests"], second["errors"], sum(second["latency"])) == (1, 1, 1)
    assert first["latency"][0] == 1 and len(first["latency"]) == len(DEFAULT_EDGES) + 1


def test_histories_of_several_pods_are_added_by_time() -> None:
    def row(at: float, requests: int, *latency: int) -> dict[str, object]:
        return {"at": at, "requests": requests, "errors": 0, "latency": latency}

    merged = merged_history([[row(5, 1, 1, 0), row(10, 2, 0, 2)], [row(10, 4, 4, 0), row(15, 0)]])
    assert [(r["at"], r["requests"], r["latency"]) for r in merged] == [
        (5, 1, (1, 0)),
        (10, 6, (4, 2)),
        (15, 0, ()),
    ]


Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def scraper() -> Iterator[Callable[[Handler], Scraper]]:
    yield lambda handler: Scraper(httpx.Client(transport=httpx.MockTransport(handler)))


def _answers(request: httpx.Request) -> httpx.Response:
    match request.url.host, request.url.port:
        case "10.0.0.1", 19001:
            return httpx.Response(200, text=COMPLETED)
        case "10.0.1.1", 8080:
            return httpx.Response(200, text=Metrics("d", "f", "p", clock=lambda: 1.0).render())
        case "10.0.1.2", 8080:
            return httpx.Response(500)
    raise httpx.ConnectTimeout("no route")


ORDER = Order(
    proxies=(Endpoint("proxy-1", "10.0.0.1"), Endpoint("proxy-2", "10.0.0.2")),
    clusters=CLUSTERS,
    servers={"stable": (Endpoint("s-1", "10.0.1.1", 1.0),), "candidate": (Endpoint("c-1", "10.0.1.2"),)},
)


def test_what_does_not_answer_is_said_and_the_rest_is_read(scraper: Callable[[Handler], Scraper]) -> None:
    found = scraper(_answers).scrape(ORDER, 7.0)
    assert found.at == 7.0
    assert found.gateway["candidate"] == {"proxy-1": {"total": 3.0, "failed": 0.0}}
    assert set(found.pods) == {"stable"}
    assert found.problem == "proxy-2: no answer: ConnectTimeout; c-1: HTTP 500"


def test_the_batch_limit_is_the_candidates(scraper: Callable[[Handler], Scraper]) -> None:
    order = Order(servers={"candidate": (Endpoint("c-1", "10.0.1.1"),)})
    assert scraper(_answers).scrape(order, 7.0).batch_limit == 1
    order = Order(servers={"stable": (Endpoint("s-1", "10.0.1.1"),)})
    assert scraper(_answers).scrape(order, 7.0).batch_limit is None


def test_a_history_that_cannot_be_read_is_none(scraper: Callable[[Handler], Scraper]) -> None:
    assert scraper(_answers).history([Endpoint("c-1", "10.0.1.2")]) is None
    assert scraper(_answers).history([Endpoint("s-1", "10.0.1.1")]) is None  # an answer, but not a history
