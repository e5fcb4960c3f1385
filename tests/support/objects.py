"""Small valid manifests of the three kinds, as a user would write them."""

from __future__ import annotations

from typing import Any

from edgeramp.values.names import API_VERSION

DIGEST_A = "sha256:" + "a" * 64
DIGEST_B = "sha256:" + "b" * 64


def rollout(name: str = "digits-vnni", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """A Rollout of an uncertified artifact; `spec` replaces top-level fields."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "artifact": f"oci://store.example:5000/digits@{DIGEST_A}",
            "target": {"name": "vnni", "nodeSelector": {"example.com/class": "box"}},
            "server": {"framework": "onnxruntime", "modelName": "digits"},
            "route": {"gatewayRef": {"name": "edge"}, "hostnames": ["digits.example"]},
            "allowUncertified": {"reason": "a test", "approvedBy": "tests"},
            **spec,
        },
    }


def edgemodel(name: str = "digits", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """An EdgeModel with one target and no rollout."""
    source = "oci://store.example:5000/"
    splits = {split: {"uri": f"{source}{split}:1"} for split in ("calibration", "selection", "certification")}
    return {
        "apiVersion": API_VERSION,
        "kind": "EdgeModel",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "source": {"uri": f"{source}digits@{DIGEST_A}"},
            "task": "image-classification",
            "evaluation": {"data": splits},
            "targets": [{"name": "vnni", "nodeSelector": {"example.com/class": "box"}}],
            **spec,
        },
    }


def configmap(name: str, namespace: str, data: dict[str, str], **meta: Any) -> dict[str, Any]:
    """A ConfigMap."""
    metadata = {"name": name, "namespace": namespace, **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
