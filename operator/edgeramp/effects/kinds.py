"""The resources that the operator touches: API version and kind to the path segment, and whether it has a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeramp.values.names import API_VERSION

EDGEMODEL = (API_VERSION, "EdgeModel")
OPTIMIZATIONRUN = (API_VERSION, "OptimizationRun")
ROLLOUT = (API_VERSION, "Rollout")
POD = ("v1", "Pod")
NODE = ("v1", "Node")
SECRET = ("v1", "Secret")
SERVICE = ("v1", "Service")
CONFIGMAP = ("v1", "ConfigMap")
EVENT = ("events.k8s.io/v1", "Event")
JOB = ("batch/v1", "Job")
DEPLOYMENT = ("apps/v1", "Deployment")
LEASE = ("coordination.k8s.io/v1", "Lease")
GATEWAY = ("gateway.networking.k8s.io/v1", "Gateway")
HTTPROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")

Kind = tuple[str, str]
"""API version and kind, as in a manifest."""

_PLURALS: Mapping[Kind, str] = {
    EDGEMODEL: "edgemodels",
    OPTIMIZATIONRUN: "optimizationruns",
    ROLLOUT: "rollouts",
    POD: "pods",
    NODE: "nodes",
    SECRET: "secrets",
    SERVICE: "services",
    CONFIGMAP: "configmaps",
    EVENT: "events",
    JOB: "jobs",
    DEPLOYMENT: "deployments",
    LEASE: "leases",
    GATEWAY: "gateways",
    HTTPROUTE: "httproutes",
    ("v1", "Namespace"): "namespaces",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): "customresourcedefinitions",
}
_CLUSTER_WIDE = {"nodes", "namespaces", "customresourcedefinitions"}


@dataclass(frozen=True)
class Ref:
    """One object by name. `namespace` is empty for cluster-wide kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def of(self) -> Kind:
        return self.api_version, self.kind


def ref(manifest: Mapping[str, Any]) -> Ref:
    """The reference of a manifest or of an object as served."""
    meta = manifest["metadata"]
    return Ref(manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), meta["name"])


def plural(kind: Kind) -> str:
    """The path segment of a kind; KeyError for one that the operator has no business with."""
    return _PLURALS[kind]


def resource(kind: Kind) -> str:
    """The kind as RBAC and messages name it: `rollouts.edgeramp.dev`, `pods`."""
    group = kind[0].rpartition("/")[0]
    return f"{plural(kind)}.{group}" if group else plural(kind)


def path(kind: Kind, namespace: str | None, name: str = "", subresource: str = "") -> str:
    """The URL path of a collection or an object; `namespace` None means all namespaces."""
    root = "/api/v1" if kind[0] == "v1" else f"/apis/{kind[0]}"
    segment = plural(kind)
    where = f"/namespaces/{namespace}" if namespace and segment not in _CLUSTER_WIDE else ""
    return (
        f"{root}{where}/{segment}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")
    )
