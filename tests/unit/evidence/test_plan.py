"""The plan says what the simulation finds, within 10 to 20 per cent."""

from __future__ import annotations

import pytest

from edgeramp.decide.evidence import ErrorsMetric, EvidenceConfig, plan
from edgeramp.decide.evidence.planning import errors_requests, promotion_requests, ramp_seconds

CONFIG = EvidenceConfig(batch_limit=1)


def test_the_plan_of_little_traffic() -> None:
    assert plan(CONFIG, 10, 5) == (
        "At 5 % of 10 requests/s an outage is seen in about 10s, p95 +50 % in about 2m30s,"
        " errors 0.1→1 % in about 33m15s. A healthy candidate takes about 40m55s to 100 %."
    )


def test_the_plan_of_more_traffic() -> None:
    assert plan(CONFIG, 100, 25) == (
        "At 25 % of 100 requests/s an outage is seen in about 5s, p95 +50 % in about 5s,"
        " errors 0.1→1 % in about 1m00s. A healthy candidate takes about 4m10s to 100 %."
    )


@pytest.mark.parametrize(("rate", "weight"), [(0.0, 5), (10.0, 0), (10.0, 100)])
def test_nothing_is_promised_without_traffic_on_both_tracks(rate: float, weight: int) -> None:
    assert plan(CONFIG, rate, weight).endswith("nothing can be found: both tracks need requests.")


@pytest.mark.parametrize(("phi", "minutes"), [(1.25, 3.5), (8.0, 23.0), (16.0, 46.0)])
def test_phi_is_as_dear_as_the_design_says(phi: float, minutes: float) -> None:
    """Errors 0.1 to 1 % at 5 % of 100 requests/s: 210 s, 23 min, 46 min."""
    requests = errors_requests(CONFIG, ErrorsMetric(), phi, 19.0, 0.001, 0.01)
    assert requests / 5.0 / 60.0 == pytest.approx(minutes, rel=0.2)


def test_the_planned_ramp_is_as_long_as_the_designs() -> None:
    """5, 10, 25, 50, 100 % at 100 requests/s: 220 s."""
    config = EvidenceConfig(batch_limit=1, weights=(5, 10, 25, 50))
    assert ramp_seconds(config, 100) == pytest.approx(220.0, rel=0.2)


def test_every_step_takes_about_the_same_time_to_promote() -> None:
    seconds = [
        promotion_requests(ErrorsMetric(), target, 0.001) / (100 * weight / 100)
        for weight, target in ((5, 10), (10, 25), (25, 50), (50, 100))
    ]
    assert max(seconds) < 2 * min(seconds)
