"""One revision of a Rollout as a Service and a Deployment: whole manifests from typed inputs.

The Service's selector names rollout and revision and never changes; traffic is moved by the HTTPRoute alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any

from edgeramp.api.rollout import ServedRevision
from edgeramp.render import restricted
from edgeramp.values import names
from edgeramp.values.quantities import cpu_cores
from edgeramp.values.settings import Settings

PORT = 8080
DRAIN_SECONDS = 5
"""A stopping pod still answers this long, until every proxy has heard that it goes."""
GRACE_SECONDS = 30
STARTUP_SECONDS = 600
ANNOTATION_ARTIFACT = f"{names.GROUP}/artifact"
ANNOTATION_SERVED = f"{names.GROUP}/served"
"""All that a revision was rendered from, as JSON on its Deployment: found again when a status was lost."""

SERVER_IMAGES = {"llama.cpp": "llama-cpp"}
"""Frameworks whose Jobs and servers share an image."""

CPU_FEATURE = "feature.node.kubernetes.io/cpu-cpuid."

Manifest = dict[str, Any]


@dataclass(frozen=True)
class RolloutRef:
    """The Rollout that owns what is rendered here. `labels` are its own model and target labels, carried on."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def owner(self) -> Manifest:
        """The controlling ownerReference: what we made goes when the Rollout goes."""
        return {
            "apiVersion": names.API_VERSION,
            "kind": "Rollout",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def object_name(self, revision: str) -> str:
        """The name of the Service and of the Deployment of one revision."""
        return names.bounded_name(self.name, revision)


def selector(owner: RolloutRef, revision: str) -> dict[str, str]:
    """The labels by which a revision's pods are found; they never change."""
    return {names.LABEL_ROLLOUT: names.label_value(owner.name), names.LABEL_REVISION: revision}


def labels(owner: RolloutRef, revision: str) -> dict[str, str]:
    """All labels of what belongs to one revision."""
    carried = {k: v for k, v in owner.labels.items() if k in (names.LABEL_MODEL, names.LABEL_TARGET)}
    return {
        names.LABEL_MANAGED_BY: "edgeramp",
        names.LABEL_ROLE: "server",
        **carried,
        **selector(owner, revision),
    }


def service(owner: RolloutRef, revision: str) -> Manifest:
    """The Service of one revision, port 80 to the server's 8080."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(owner, revision),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(owner, revision),
            "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def deployment(owner: RolloutRef, served: ServedRevision, replicas: int, settings: Settings) -> Manifest:
    """The Deployment of one revision. KeyError when the settings have no image for it."""
    metadata = _metadata(owner, served.revision)
    metadata["annotations"] = {
        ANNOTATION_ARTIFACT: served.artifact,
        ANNOTATION_SERVED: names.canonical_json(served.wire()),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 86400,  # the Rollout has its own deadline, with pauses that do not count
            "selector": {"matchLabels": selector(owner, served.revision)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": labels(owner, served.revision),
                    "annotations": {ANNOTATION_ARTIFACT: served.artifact},
                },
                "spec": _pod(served, settings),
            },
        },
    }


def _metadata(owner: RolloutRef, revision: str) -> Manifest:
    return {
        "name": owner.object_name(revision),
        "namespace": owner.namespace,
        "labels": labels(owner, revision),
        "ownerReferences": [owner.owner()],
    }


def _pod(served: ServedRevision, settings: Settings) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "nodeSelector": {
            **dict.fromkeys((f"{CPU_FEATURE}{feature}" for feature in served.isa), "true"),
            **served.node_selector,
        },
        "securityContext": restricted.pod(fsGroup=restricted.UID),
        **restricted.pull_secrets(settings),
        "initContainers": [_fetch(served, settings)],
        "containers": [_server(served, settings)],
        "volumes": [
            {"name": "models", "emptyDir": {"sizeLimit": "8Gi"}},
            {"name": "work", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    }


def _fetch(served: ServedRevision, settings: Settings) -> Manifest:
    """Brings the artifact by digest into /models and checks every file's digest."""
    arguments = ["fetch", "--artifact", served.artifact, "--dest", "/models"]
    if settings.store_plain_http:
        arguments.append("--plain-http")
    return {
        "name": "fetch",
        "image": served.fetch_image or settings.image("courier"),
        "imagePullPolicy": settings.image_pull_policy,
        "args": arguments,
        "env": [{"name": "HOME", "value": "/work"}],
        "resources": _resources("250m", "256Mi"),
        "securityContext": _container_security(),
        "volumeMounts": [
            {"name": "models", "mountPath": "/models"},
            {"name": "work", "mountPath": "/work"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _server(served: ServedRevision, settings: Settings) -> Manifest:
    return {
        "name": "server",
        "image": served.server_image or server_image(served, settings),
        "imagePullPolicy": settings.image_pull_policy,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": _environment(served),
        "resources": _resources(served.resources.cpu, served.resources.memory),
        "securityContext": _container_security(),
        "startupProbe": _probe(period=1, failures=STARTUP_SECONDS),
        "readinessProbe": _probe(period=1, failures=5),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "volumeMounts": [
            {"name": "models", "mountPath": "/models", "readOnly": True},
            {"name": "work", "mountPath": "/work"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def server_image(served: ServedRevision, settings: Settings) -> str:
    """The image of the spec, else the configured one of the framework. KeyError when there is none."""
    return served.image or settings.image(SERVER_IMAGES.get(served.framework, f"server-{served.framework}"))


def _environment(served: ServedRevision) -> list[Manifest]:
    values = {
        "EDGERAMP_MODEL_NAME": served.model_name,
        "EDGERAMP_MODEL_DIR": "/models",
        "EDGERAMP_ARTIFACT": served.artifact.rpartition("@")[2],
        "EDGERAMP_PRECISION": served.precision,
        "EDGERAMP_THREADS": str(max(1, floor(cpu_cores(served.resources.cpu)))),
        "HOME": "/work",
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _probe(period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": "/v2/health/ready", "port": PORT},
        "periodSeconds": period,
        "timeoutSeconds": 5,  # a crash shows at once without a probe; a busy small machine is no reason to stop serving
        "failureThreshold": failures,
    }


def _resources(cpu: str, memory: str) -> Manifest:
    amount = {"cpu": cpu, "memory": memory}
    return {"requests": dict(amount), "limits": dict(amount)}


def _container_security() -> Manifest:
    return restricted.container(readOnlyRootFilesystem=True, runAsNonRoot=True)
