"""The manifests of a Job: restricted, small, named after its inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.optimize.models import edgemodel, played, world
from tests.unit.optimize.world import SETTINGS, SPEC, World

from edgeramp.render.job import JobOrder, Owner, image_name, job_name, render_job
from edgeramp.report.spec import JobSpec


@pytest.fixture(scope="module")
def done() -> World:
    return played()


def jobs_of(done: World, role: str) -> list[dict[str, Any]]:
    return [j for j in done.of("Job") if j["metadata"]["labels"]["edgeramp.dev/role"] == role]


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]["template"]["spec"]
    return found


def spec_of(done: World, job: dict[str, Any]) -> JobSpec:
    return SPEC.validate_json(done.get("ConfigMap", job["metadata"]["name"])["data"]["spec.json"])


def test_every_pod_is_restricted(done: World) -> None:
    for job in done.of("Job"):
        pod, worker = pod_of(job), pod_of(job)["containers"][0]
        assert pod["automountServiceAccountToken"] is False
        assert pod["restartPolicy"] == "Never"
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert worker["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(worker["resources"]["limits"]) >= {"memory"}


def test_every_job_ends_by_itself_and_is_cleared_away(done: World) -> None:
    for job in done.of("Job"):
        spec = job["spec"]
        assert spec["backoffLimit"] == 0 and spec["ttlSecondsAfterFinished"] == SETTINGS.job_ttl_seconds
        assert spec["activeDeadlineSeconds"] > spec_of(done, job).deadline_seconds


def test_a_disruption_is_not_counted_and_any_exit_code_is_final(done: World) -> None:
    rules = done.of("Job")[0]["spec"]["podFailurePolicy"]["rules"]
    assert [r["action"] for r in rules] == ["Ignore", "FailJob"]


def test_the_spec_travels_in_an_immutable_configmap_of_the_same_name(done: World) -> None:
    for job in done.of("Job"):
        config = done.get("ConfigMap", job["metadata"]["name"])
        assert config["immutable"] is True
        assert {"name": "spec", "configMap": {"name": job["metadata"]["name"]}} in pod_of(job)["volumes"]
        assert (
            json.loads(config["data"]["spec.json"])["verb"] == job["metadata"]["labels"]["edgeramp.dev/role"]
        )


def test_both_belong_to_the_object_that_ordered_them(done: World) -> None:
    for kind in ("Job", "ConfigMap"):
        for made in done.of(kind):
            (owner,) = made["metadata"]["ownerReferences"]
            ours = (
                "EdgeModel"
                if made["metadata"]["labels"]["edgeramp.dev/role"] in ("stage", "assess")
                else None
            )
            assert owner["kind"] == (ours or "OptimizationRun") and owner["controller"]


@pytest.mark.parametrize(
    ("role", "images"),
    [
        ("stage", {"courier"}),
        ("package", {"courier"}),
        ("assess", {"onnxruntime"}),
        ("prepare", {"onnxruntime", "openvino"}),
        ("measure", {"onnxruntime", "openvino"}),
        ("certify", {"openvino"}),
    ],
)
def test_each_role_runs_on_its_image(done: World, role: str, images: set[str]) -> None:
    found = {image_name(spec_of(done, job)) for job in jobs_of(done, role)}
    assert found == images
    used = {pod_of(job)["containers"][0]["image"] for job in jobs_of(done, role)}
    assert used == {f"registry/edgeramp/{name}:1" for name in images}


def test_a_measuring_pod_may_use_one_cpu_more_than_its_threads(done: World) -> None:
    for job in jobs_of(done, "measure"):
        resources = pod_of(job)["containers"][0]["resources"]
        assert resources["limits"]["cpu"] == "2" and resources["requests"]["cpu"] == "100m"
    for job in jobs_of(done, "prepare"):
        assert "cpu" not in pod_of(job)["containers"][0]["resources"]["limits"]


def test_jobs_of_a_run_are_pinned_to_the_node_that_was_chosen(done: World) -> None:
    for role in ("prepare", "measure", "certify"):
        for job in jobs_of(done, role):
            assert pod_of(job)["nodeSelector"]["kubernetes.io/hostname"] == "box"
    for role in ("stage", "assess", "package"):
        for job in jobs_of(done, role):
            assert "kubernetes.io/hostname" not in pod_of(job)["nodeSelector"]


def test_only_the_package_job_holds_the_signing_key(done: World) -> None:
    for job in done.of("Job"):
        signing = [v for v in pod_of(job)["volumes"] if "secret" in v]
        assert bool(signing) == (job["metadata"]["labels"]["edgeramp.dev/role"] == "package")


def test_claims_are_mounted_read_only_and_in_the_stage_job_only() -> None:
    made = world()
    source = {"uri": "pvc://models/digits/model.onnx"}
    made.objects["EdgeModel", "digits"] = edgemodel(source=source)
    made.until_idle()
    for job in made.of("Job"):
        claims = [v for v in pod_of(job)["volumes"] if "persistentVolumeClaim" in v]
        if job["metadata"]["labels"]["edgeramp.dev/role"] != "stage":
            assert not claims
            continue
        assert claims[0]["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
        mount = next(
            m for m in pod_of(job)["containers"][0]["volumeMounts"] if m["name"] == claims[0]["name"]
        )
        assert mount == {"name": claims[0]["name"], "mountPath": "/sources/models", "readOnly": True}


def test_the_name_follows_from_the_inputs(done: World) -> None:
    job = jobs_of(done, "package")[0]
    spec = spec_of(done, job)
    assert job["metadata"]["name"] == job_name(spec, 1)
    later = spec.model_copy(
        update={"run": spec.run.model_copy(update={"generation": 9}), "deadline_seconds": 7}
    )
    assert job_name(later, 1) == job_name(spec, 1)
    elsewhere = spec.model_copy(update={"run": spec.run.model_copy(update={"uid": "other"})})
    assert job_name(elsewhere, 1) != job_name(spec, 1)
    assert job_name(spec, 2) == job_name(spec, 1)[:-1] + "2"


def test_what_is_pinned_to_a_node_is_named_after_it_too(done: World) -> None:
    job = jobs_of(done, "measure")[0]
    spec = spec_of(done, job)
    assert job["metadata"]["name"] == job_name(spec, 1, "box") != job_name(spec, 1, "other")


def test_running_out_of_memory_raises_the_limit_by_half(done: World) -> None:
    spec = spec_of(done, jobs_of(done, "prepare")[0])
    owner = Owner("OptimizationRun", "shop", "r", "u")
    limits = []
    for ooms in (0, 1):
        _, job = render_job(JobOrder(spec, owner, ooms=ooms), SETTINGS)
        limits.append(pod_of(job)["containers"][0]["resources"]["limits"]["memory"])
    assert limits == ["2048Mi", "3072Mi"]


def test_priority_and_pull_secrets_are_set_only_where_the_administrator_names_them(done: World) -> None:
    order = JobOrder(spec_of(done, jobs_of(done, "prepare")[0]), Owner("OptimizationRun", "shop", "r", "u"))
    plain = pod_of(render_job(order, SETTINGS)[1])
    assert not {"priorityClassName", "imagePullSecrets"} & set(plain)
    settings = replace(SETTINGS, job_priority_class="batch", image_pull_secrets=("pull", "mirror"))
    _, job = render_job(order, settings)
    added = {"priorityClassName": "batch", "imagePullSecrets": [{"name": "pull"}, {"name": "mirror"}]}
    assert pod_of(job) == plain | added
    assert job["metadata"]["name"] == order.name  # the same Job, so that nothing is measured anew
