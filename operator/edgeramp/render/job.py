"""A Job of ours as manifests: an immutable ConfigMap with the spec, and a restricted pod that runs one verb once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeramp.render import restricted
from edgeramp.report import CertifySpec, MeasureSpec, PackageSpec, PrepareSpec, StageSpec
from edgeramp.report.spec import JobSpec
from edgeramp.values.names import API_VERSION, LABEL_MANAGED_BY, LABEL_ROLE, short_hash
from edgeramp.values.quantities import memory_bytes
from edgeramp.values.settings import Settings

HOSTNAME = "kubernetes.io/hostname"
KILL_SLACK_SECONDS = (
    60  # the harness ends itself at spec.deadlineSeconds; the Job's own deadline is the net below
)
OOM_FACTOR = 1.5
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """The object that orders the Job and owns it."""

    kind: str
    namespace: str
    name: str
    uid: str

    def reference(self) -> Manifest:
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


@dataclass(frozen=True)
class JobOrder:
    """Everything that makes one attempt at a Job. `threads` is 0 where nothing is timed; `ooms` counts runs out of
    memory so far, each of which raises the memory limit by half."""

    spec: JobSpec
    owner: Owner
    attempt: int = 1
    ooms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0

    @property
    def name(self) -> str:
        """`<role>-<12 hex of the hash of the inputs>-<attempt>`: equal inputs of one owner give an equal name."""
        return job_name(self.spec, self.attempt, self.node_selector.get(HOSTNAME, ""))


def job_name(spec: JobSpec, attempt: int, place: str = "") -> str:
    """The Job's name; the owner's uid is part of the inputs, its generation and deadlines are not. `place`, the
    node it is pinned to, is an input too: figures of one node are not taken for another's, and a Job on a node that is
    gone is not waited for."""
    inputs: Manifest = spec.model_dump(
        mode="json", by_alias=True, exclude={"deadline_seconds": True, "run": {"generation"}}
    )
    if place:
        inputs["place"] = place
    return f"{spec.verb}-{short_hash(inputs, 12)}-{attempt}"


def image_name(spec: JobSpec) -> str:
    """Which of our images runs this spec. Both CPU images carry ONNX Runtime and OpenVINO; llama.cpp has its own.
    Image names have no dot in them."""
    if isinstance(spec, StageSpec | PackageSpec):
        return "courier"
    if isinstance(spec, PrepareSpec | MeasureSpec | CertifySpec):
        return spec.candidate.framework.replace(".", "-")
    return "onnxruntime"


def render_job(order: JobOrder, settings: Settings) -> tuple[Manifest, Manifest]:
    """The ConfigMap, then the Job. Raises KeyError where the chart configures no image for the role."""
    meta = {
        "name": order.name,
        "namespace": order.owner.namespace,
        "labels": {**order.labels, LABEL_MANAGED_BY: "edgeramp", LABEL_ROLE: order.spec.verb},
        "ownerReferences": [order.owner.reference()],
    }
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta,
        "immutable": True,
        "data": {"spec.json": order.spec.to_json()},
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": order.spec.deadline_seconds + KILL_SLACK_SECONDS,
            "ttlSecondsAfterFinished": settings.job_ttl_seconds,
            "podFailurePolicy": _failure_policy(),
            "template": {"metadata": {"labels": meta["labels"]}, "spec": _pod(order, settings)},
        },
    }
    return config, job


def _failure_policy() -> Manifest:
    """A pod taken by a disruption is replaced and not counted; any exit code is final: the operator decides what is next."""
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": "worker", "operator": "NotIn", "values": [0]},
            },
        ]
    }


def _pod(order: JobOrder, settings: Settings) -> Manifest:
    mounts, volumes = _volumes(order, settings)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "nodeSelector": {"kubernetes.io/os": "linux", **order.node_selector},
        "securityContext": restricted.pod(fsGroup=restricted.UID),
        **restricted.pull_secrets(settings),
        **({"priorityClassName": settings.job_priority_class} if settings.job_priority_class else {}),
        "containers": [
            {
                "name": "worker",
                "image": settings.image(image_name(order.spec)),
                "imagePullPolicy": settings.image_pull_policy,
                "command": ["python", "-m", "edgeramp_harness", order.spec.verb, "--spec", "/spec/spec.json"],
                "env": _environment(order),
                "resources": _resources(order, settings),
                "securityContext": restricted.container(readOnlyRootFilesystem=True),
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def _environment(order: JobOrder) -> list[Manifest]:
    plain = {
        "HOME": "/work",
        "TMPDIR": "/tmp",
        "HF_HUB_OFFLINE": "1",
        "OLIVE_DISABLE_TELEMETRY": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if order.threads:
        plain["OMP_NUM_THREADS"] = str(order.threads)
    env: list[Manifest] = [{"name": k, "value": v} for k, v in sorted(plain.items())]
    return [*env, {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]


def _resources(order: JobOrder, settings: Settings) -> Manifest:
    """Modest requests, so that pods fit on small nodes; a measuring Job may use threads + 1 CPUs (see optimization.md)."""
    mebibytes = int(memory_bytes(settings.job_memory) * OOM_FACTOR**order.ooms) // 1024**2
    limits = {"memory": f"{mebibytes}Mi"}
    if order.threads:
        limits["cpu"] = str(order.threads + settings.threads_extra_cpu)
    return {"requests": {"cpu": "100m", "memory": f"{min(256, mebibytes)}Mi"}, "limits": limits}


def _volumes(order: JobOrder, settings: Settings) -> tuple[list[Manifest], list[Manifest]]:
    mounts: list[Manifest] = [
        {"name": "spec", "mountPath": "/spec", "readOnly": True},
        {"name": "work", "mountPath": "/work"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    volumes: list[Manifest] = [
        {"name": "spec", "configMap": {"name": order.name}},
        {"name": "work", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if isinstance(order.spec, PackageSpec):
        secret = {"secretName": settings.signing_secret, "defaultMode": 0o440}
        mounts.append({"name": "signing", "mountPath": "/signing", "readOnly": True})
        volumes.append({"name": "signing", "secret": secret})
    for number, claim in enumerate(_claims(order.spec)):
        name = f"source-{number}"
        mounts.append({"name": name, "mountPath": f"/sources/{claim}", "readOnly": True})
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
    return mounts, volumes


def _claims(spec: JobSpec) -> list[str]:
    """The PersistentVolumeClaims named by pvc:// sources; only a stage Job reaches a source."""
    if not isinstance(spec, StageSpec):
        return []
    uris = [spec.model.uri, *(s.uri for s in spec.data.values())]
    return sorted({u.removeprefix("pvc://").split("/")[0] for u in uris if u.startswith("pvc://")})
