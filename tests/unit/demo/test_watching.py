"""The gateway's counters are read as an Envoy proxy writes them."""

from __future__ import annotations

from demo.watching import Split, TrackCounts

from edgeramp.effects.scrape import parse_gateway

CLUSTERS = {
    "httproute/ns/vnni/rule/0/backend/0": "stable",
    "httproute/ns/vnni/rule/0/backend/1": "candidate",
}
# As Envoy 1.40 answered /stats/prometheus: counters without the suffix _total.
TEXT = """\
# TYPE envoy_cluster_upstream_cx_destroy_remote_with_active_rq counter
envoy_cluster_upstream_cx_destroy_remote_with_active_rq{envoy_cluster_name="httproute/ns/vnni/rule/0/backend/0"} 1
# TYPE envoy_cluster_upstream_rq_completed counter
envoy_cluster_upstream_rq_completed{envoy_cluster_name="httproute/ns/vnni/rule/0/backend/0"} 6081
envoy_cluster_upstream_rq_completed{envoy_cluster_name="httproute/ns/vnni/rule/0/backend/1"} 315
# TYPE envoy_cluster_upstream_rq_timeout counter
envoy_cluster_upstream_rq_timeout{envoy_cluster_name="httproute/ns/vnni/rule/0/backend/0"} 0
# TYPE envoy_cluster_upstream_rq_xx counter
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="httproute/ns/vnni/rule/0/backend/0"} 3342
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="httproute/ns/vnni/rule/0/backend/0"} 2739
"""


def test_the_proxys_counters_are_read_by_track() -> None:
    assert parse_gateway(TEXT, CLUSTERS) == {
        "stable": {"total": 6081.0, "failed": 2739.0},
        "candidate": {"total": 315.0, "failed": 0.0},
    }


def test_requests_before_the_first_look_are_not_ours_and_a_reset_is_bridged() -> None:
    counts = TrackCounts()
    for total, failed in [(100.0, 5.0), (150.0, 5.0), (20.0, 1.0)]:
        counts.take({"total": total, "failed": failed})
    assert (counts.total, counts.failed) == (70.0, 1.0)


def test_a_weight_is_read_by_the_service_of_the_revision_in_every_place() -> None:
    split = Split(0.0, "digits-vnni", (("digits-vnni-aaaaaaaaaa", 75), ("digits-vnni-bbbbbbbbbb", 25)))
    assert (split.weight_of("aaaaaaaaaa"), split.weight_of("bbbbbbbbbb"), split.weight_of("cccccccccc")) == (
        75,
        25,
        0,
    )
    taken_over = Split(0.0, "digits-vnni", (("digits-vnni-bbbbbbbbbb", 99), ("digits-vnni-bbbbbbbbbb", 1)))
    assert taken_over.weight_of("bbbbbbbbbb") == 100
    assert Split(0.0, "digits-vnni", ()).weight_of("bbbbbbbbbb") == 0
