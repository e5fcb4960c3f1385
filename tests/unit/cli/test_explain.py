"""`edgeramp explain` tells what a look would do, and does nothing."""

from __future__ import annotations

import json

import pytest
from tests.support.world import SETTINGS, healthy, spec_of

from edgeramp.cli import explain
from edgeramp.decide.rollout import plan_rollout
from edgeramp.effects.memory import MemoryCluster
from edgeramp.values.names import API_VERSION

IMAGES = {"EDGERAMP_IMAGES": json.dumps(dict(SETTINGS.images))}


def cluster_with_a_paused_ramp() -> MemoryCluster:
    pauses = {"steps": [{"setWeight": 10}, {"pause": {}}], "analysis": {"enabled": False}}
    world = healthy(spec_of("A", strategy=pauses))
    world.set_artifact("B")
    world.run(5)
    cluster = MemoryCluster()
    kept = ("name", "namespace", "labels")
    meta = {key: world.rollout["metadata"][key] for key in kept}
    settings = {"name": "edgeramp-settings", "namespace": "edgeramp-system"}
    cluster.put({"apiVersion": API_VERSION, "kind": "Rollout", **world.rollout, "metadata": meta})
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": settings, "data": IMAGES})
    return cluster


def test_it_says_where_the_ramp_stands_and_changes_nothing() -> None:
    cluster = cluster_with_a_paused_ramp()
    before = cluster.list((API_VERSION, "Rollout"))
    told = explain.explain(cluster, "Rollout", "shop", "digits-box", "edgeramp-system")
    assert told is not None
    text = "\n".join(explain.described(told))
    assert text.startswith("Rollout shop/digits-box: ")
    assert "a look now would" in text and "apply HTTPRoute digits-box" in text
    assert cluster.list((API_VERSION, "Rollout")) == before


def test_what_is_not_there_is_said() -> None:
    assert explain.explain(MemoryCluster(), "Rollout", "shop", "digits-box", "edgeramp-system") is None


@pytest.mark.parametrize(
    ("word", "kind"), [("ero", "Rollout"), ("rollouts", "Rollout"), ("EdgeModel", "EdgeModel"), ("x", None)]
)
def test_kinds_are_known_by_all_their_names(word: str, kind: str | None) -> None:
    assert explain.kind_of(word) == kind


def test_a_settled_rollout_changes_nothing() -> None:
    world = healthy()
    told = explain.explained("Rollout", world.rollout, plan_rollout(world.observe()))
    lines = explain.described(told)
    assert "  change nothing" in lines and lines[-1] == "  and wait for something to happen"


def test_scripts_get_the_same_in_fields() -> None:
    told = explain.explain(cluster_with_a_paused_ramp(), "Rollout", "shop", "digits-box", "edgeramp-system")
    assert told is not None
    shape = told.wire()
    assert (shape["kind"], shape["namespace"], shape["name"]) == ("Rollout", "shop", "digits-box")
    assert any("HTTPRoute" in action for action in shape["actions"])
    assert {c["type"] for c in shape["conditions"]} >= {"Ready", "Progressing"} and "lookAgain" in shape
