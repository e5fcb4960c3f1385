"""Which nodes a target means."""

from __future__ import annotations

from tests.unit.optimize.world import AVX2, VNNI, node

from edgeramp.decide.hardware import common_features, matching_nodes, selected_features, why_none


def test_a_target_means_the_nodes_with_all_its_labels() -> None:
    nodes = [node("b", {VNNI: "true"}), node("a", {VNNI: "true", AVX2: "true"}), node("c", {AVX2: "true"})]
    assert [n.name for n in matching_nodes(nodes, {VNNI: "true"})] == ["a", "b"]


def test_nodes_that_take_no_pods_do_not_count() -> None:
    cordoned, tainted = node("a", {VNNI: "true"}), node("b", {VNNI: "true"})
    cordoned["spec"]["unschedulable"] = True
    tainted["spec"]["taints"] = [{"key": "k", "effect": "NoSchedule"}]
    nodes = [cordoned, tainted, node("c", {VNNI: "true"}, ready=False)]
    assert matching_nodes(nodes, {VNNI: "true"}) == ()
    assert why_none(nodes, {VNNI: "true"}) == f"the nodes with {VNNI}=true take no pods now: a, b, c"
    assert why_none(nodes, {"x": "y"}) == "no node has the labels x=y"


def test_an_artifact_may_use_what_all_nodes_promise() -> None:
    nodes = matching_nodes(
        [node("a", {VNNI: "true", AVX2: "true"}), node("b", {AVX2: "true"})], {AVX2: "true"}
    )
    assert common_features(nodes) == {"AVX2"}
    assert common_features(()) == frozenset()


def test_nodes_of_one_machine_share_a_lease() -> None:
    one, two = matching_nodes(
        [node("a", {AVX2: "true"}, host="m1"), node("b", {AVX2: "true"}, host="m1")], {}
    )
    (own,) = matching_nodes([node("c", {})], {})
    assert one.lease == two.lease == "edgeramp-measure-m1" and one.shared
    assert own.lease == "edgeramp-measure-c" and not own.shared


def test_features_that_a_selector_demands_are_probed() -> None:
    assert selected_features({VNNI: "true", AVX2: "false", "class": "box"}) == ("AVX512VNNI",)
