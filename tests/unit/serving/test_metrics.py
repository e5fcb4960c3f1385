"""Counters, histogram and history ring, with a clock of the test's own."""

from __future__ import annotations

import itertools

import pytest

from edgeramp_serving.metrics import EDGES, ROWS, Kind, Metrics, edge_index, outcome

DIGEST = f"sha256:{'a' * 64}"


class Clock:
    """Seconds since the epoch, set by hand."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    return Metrics(DIGEST, "onnxruntime", "int8", clock)


def parsed(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.render().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_edges_grow_by_a_tenth_up_to_a_minute() -> None:
    assert EDGES[0] == 0.0001
    assert all(b / a == pytest.approx(1.1) for a, b in itertools.pairwise(EDGES))
    assert EDGES[-1] <= 60 < EDGES[-1] * 1.1


@pytest.mark.parametrize(("seconds", "index"), [(0.0, 0), (0.0001, 0), (0.000105, 1), (61, len(EDGES))])
def test_a_value_on_an_edge_belongs_below_it(seconds: float, index: int) -> None:
    assert edge_index(seconds) == index


@pytest.mark.parametrize(
    ("status", "name"),
    [(200, "ok"), (302, "ok"), (400, "client_error"), (422, "client_error"), (500, "server_error")],
)
def test_outcomes_follow_the_status(status: int, name: str) -> None:
    assert outcome(status) == name


def test_live_requests_and_mirrored_copies_are_counted_apart(metrics: Metrics) -> None:
    metrics.request(200, 0.01, "live")
    metrics.request(500, 0.01, "live")
    metrics.request(503, 0.02, "mirrored")
    metrics.execution(True)
    metrics.execution(False)
    seen = parsed(metrics)
    assert seen['edgeramp_requests_total{outcome="ok",live="true"}'] == 1
    assert seen['edgeramp_requests_total{outcome="server_error",live="true"}'] == 1
    assert seen['edgeramp_requests_total{outcome="server_error",live="false"}'] == 1
    assert seen['edgeramp_executions_total{outcome="error"}'] == 1
    assert seen['edgeramp_request_duration_seconds_count{live="false"}'] == 1
    assert seen["edgeramp_batch_limit"] == 1
    assert seen[f'edgeramp_artifact_info{{digest="{DIGEST}",framework="onnxruntime",precision="int8"}}'] == 1
    assert seen["edgeramp_process_start_time_seconds"] == 1_000_000


def test_requests_chosen_by_header_have_series_of_their_own(metrics: Metrics) -> None:
    assert "routed" not in metrics.render()
    metrics.request(200, 0.01, "live")
    metrics.request(500, 0.01, "chosen")
    seen = parsed(metrics)
    assert seen['edgeramp_requests_total{outcome="server_error",live="true"}'] == 0
    assert seen['edgeramp_requests_total{outcome="server_error",live="true",routed="header"}'] == 1
    assert seen['edgeramp_request_duration_seconds_count{live="true"}'] == 1
    assert seen['edgeramp_request_duration_seconds_count{live="true",routed="header"}'] == 1


def test_the_histogram_is_cumulative_and_ends_in_infinity(metrics: Metrics) -> None:
    for seconds in (0.00005, 0.001, 0.001, 100):
        metrics.request(200, seconds, "live")
    buckets = [v for k, v in parsed(metrics).items() if "_bucket" in k]
    assert len(buckets) == len(EDGES) + 1
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[-2], buckets[-1]) == (1, 3, 4)


def test_a_row_is_complete_only_after_five_seconds(metrics: Metrics, clock: Clock) -> None:
    metrics.request(200, 0.01, "live")
    assert metrics.history.report()["rows"] == []
    clock.now += 5
    report = metrics.history.report()
    assert report == {"interval": 5, "start": 1_000_000, "rows": [[1, 0, {edge_index(0.01): 1}]]}


def test_quiet_times_are_rows_of_nothing(metrics: Metrics, clock: Clock) -> None:
    metrics.request(500, 0.01, "live")
    clock.now += 17
    metrics.request(200, 0.01, "live")
    clock.now += 5
    rows = metrics.history.report()["rows"]
    assert [row[:2] for row in rows] == [[1, 1], [0, 0], [0, 0], [1, 0]]


@pytest.mark.parametrize("kind", ["mirrored", "chosen"])
def test_what_is_no_share_of_the_split_stays_out_of_the_history(
    metrics: Metrics, clock: Clock, kind: Kind
) -> None:
    metrics.request(200, 0.01, kind)
    clock.now += 5
    assert metrics.history.report()["rows"] == [[0, 0, {}]]


def test_the_ring_keeps_four_hours(metrics: Metrics, clock: Clock) -> None:
    metrics.request(200, 0.01, "live")
    clock.now += 3600 * 5
    report = metrics.history.report()
    assert len(report["rows"]) == ROWS
    assert report["start"] == clock.now - 4 * 3600


def test_a_clock_set_back_loses_no_count(metrics: Metrics, clock: Clock) -> None:
    metrics.request(200, 0.01, "live")
    clock.now -= 100
    metrics.request(200, 0.01, "live")
    clock.now += 105
    assert metrics.history.report()["rows"][0][0] == 2
