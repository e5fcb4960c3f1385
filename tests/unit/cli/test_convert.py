"""Argo Rollouts become Rollouts of ours: what is kept keeps its meaning, and nothing is lost without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgeramp.api.rollout import Rollout, RolloutSpec
from edgeramp.cli import convert as command
from edgeramp.cli.argo import Given, NotAnArgoRollout, convert

CANARY = Path(__file__).parent / "argo" / "canary.yaml"
GIVEN = Given("oci://registry.example/shop@sha256:" + "a" * 64, "onnxruntime", "int8", "edge", "shop.example")


def canary() -> dict[str, Any]:
    return dict(yaml.safe_load(CANARY.read_text()))


def notes(argo: dict[str, Any], given: Given = GIVEN) -> dict[str, tuple[str, str]]:
    return {n.path: (n.kind, n.text) for n in convert(argo, given).notes}


def test_the_result_is_a_valid_rollout_with_the_same_numbers() -> None:
    made = convert(canary(), GIVEN)
    typed = Rollout.model_validate({k: made.manifest[k] for k in ("metadata", "spec")})
    spec = typed.spec
    assert made.complete
    assert (spec.replicas, spec.progress_deadline_seconds, spec.on_progress_deadline) == (4, 300, "Abort")
    assert (spec.abort_scale_down_delay_seconds, spec.rollback_window.revisions, spec.paused) == (60, 2, True)
    assert (spec.target.resources.cpu, spec.target.resources.memory) == ("1", "512Mi")
    assert made.manifest["metadata"] == {"name": "shop", "namespace": "web", "labels": {"team": "shop"}}


def test_steps_keep_their_order_and_meaning() -> None:
    assert convert(canary(), GIVEN).manifest["spec"]["strategy"]["steps"] == [
        {"setCandidateScale": {"replicas": 1}},
        {"setHeaderRoute": {"match": [{"headerName": "X-Cohort", "headerValue": {"exact": "beta"}}]}},
        {"setWeight": 5},
        {"pause": {"duration": "30s"}},
        {"pause": {"duration": "1h"}},
        {"setMirror": 35},
        {"setMirror": 0},
        {"setHeaderRoute": {"match": []}},
        {"setCandidateScale": {"percent": 25}},
        {"setCandidateScale": {"matchTrafficWeight": True}},
        {"setWeight": 40},
        {"pause": {}},
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("spec.strategy.canary.steps[11].analysis", "Lost"),
        ("spec.strategy.canary.steps[12].experiment", "Lost"),
        ("spec.strategy.canary.analysis", "Lost"),
        ("spec.strategy.canary.maxSurge", "Lost"),
        ("spec.strategy.canary.canaryService", "Changed"),
        ("spec.strategy.canary.trafficRouting.plugins", "Changed"),
        ("spec.template.spec.tolerations", "Lost"),
        ("spec.template.spec.serviceAccountName", "Lost"),
        ("spec.template.spec.containers[0]", "Changed"),
        ("spec.template.spec.containers[0].resources.nvidia.com/gpu", "Lost"),
        ("spec.template.spec.containers[1]", "Lost"),
        ("spec.minReadySeconds", "Lost"),
        ("spec.revisionHistoryLimit", "Lost"),
    ],
)
def test_what_has_no_counterpart_is_named(path: str, kind: str) -> None:
    assert notes(canary())[path][0] == kind


def test_a_field_of_tomorrow_is_named_too() -> None:
    argo = canary()
    argo["spec"]["strategy"]["canary"]["brandNew"] = {"deep": 1}
    argo["spec"]["template"]["spec"]["hostAliases"] = []
    found = notes(argo)
    assert found["spec.strategy.canary.brandNew"] == ("Lost", "no counterpart")
    assert found["spec.template.spec.hostAliases"] == ("Lost", "no counterpart")


def test_argos_defaults_are_written_out_where_ours_differ() -> None:
    bare = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "x"}, "spec": {}}
    spec = convert(bare, GIVEN).manifest["spec"]
    assert (spec["onProgressDeadline"], spec["rollbackWindow"]) == ("Hold", {"revisions": 0})
    assert spec["strategy"] == {"steps": []}


def test_what_only_a_person_knows_is_asked_for() -> None:
    made = convert(canary(), Given())
    needed = sorted(n.path for n in made.notes if n.kind == "Needed")
    assert needed == ["--artifact", "--framework", "--gateway", "--hostname"]
    assert not made.complete


def test_blue_green_keeps_its_times_and_says_what_has_no_counterpart() -> None:
    argo = canary()
    swap = {
        "activeService": "a", "previewService": "b", "autoPromotionEnabled": False, "autoPromotionSeconds": 60,
        "previewReplicaCount": 2, "scaleDownDelaySeconds": 5, "prePromotionAnalysis": {}, "abortScaleDownDelaySeconds": 7,
    }  # fmt: skip
    argo["spec"]["strategy"] = {"blueGreen": swap}
    made = convert(argo, GIVEN)
    assert made.manifest["spec"]["strategy"] == {
        "blueGreen": {"scaleDownDelaySeconds": 10, "autoPromotionSeconds": 60, "previewReplicaCount": 2}
    }
    assert made.manifest["spec"]["abortScaleDownDelaySeconds"] == 7
    RolloutSpec.model_validate(made.manifest["spec"])
    notes = {n.path.removeprefix("spec.strategy.blueGreen."): n.kind for n in made.notes}
    assert {k: notes.get(k) for k in ("activeService", "previewService", "prePromotionAnalysis")} == {
        "activeService": "Changed", "previewService": "Changed", "prePromotionAnalysis": "Lost",
    }  # fmt: skip


def test_blue_green_is_switched_at_once_where_argo_does_so() -> None:
    argo = canary()
    argo["spec"]["strategy"] = {"blueGreen": {"activeService": "a"}}
    assert convert(argo, GIVEN).manifest["spec"]["strategy"]["blueGreen"]["autoPromotionSeconds"] == 0


def test_anything_else_is_refused() -> None:
    with pytest.raises(NotAnArgoRollout, match="apps/v1 Deployment"):
        convert({"apiVersion": "apps/v1", "kind": "Deployment"})


def test_the_command_prints_a_manifest_and_says_what_is_left(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command.main([str(CANARY)]) == 3
    out, err = capsys.readouterr()
    assert yaml.safe_load(out)["kind"] == "Rollout"
    assert "Needed" in err
    full = [
        "--artifact",
        str(GIVEN.artifact),
        "--framework",
        "onnxruntime",
        "--gateway",
        "e",
        "--hostname",
        "h.x",
    ]
    assert command.main([str(CANARY), *full]) == 0
    other = tmp_path / "other.yaml"
    other.write_text("kind: Service\napiVersion: v1\n")
    assert command.main([str(other)]) == 1
