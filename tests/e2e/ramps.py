"""A Rollout of the demo's own artifacts, for tests that disturb or steer a ramp: the baseline serves, the winner comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo import paths
from tests.e2e.kubectl import Kubectl

ROLLOUT = "rollouts.edgeramp.dev"
JUDGED: dict[str, Any] = {
    "scrapeInterval": "1s",
    "stepMinimum": "10s",
    "errors": {"userBudget": "0.05"},
    "latency": {"promoteSlower": "0.9", "tolerateSlower": "0.8", "action": "Report"},
}
"""Margins that the little traffic of a test can prove."""


@dataclass(frozen=True)
class Artifacts:
    """What the demo's run on `edge-box` packaged: the best FP32 of the original model, and the certified winner."""

    baseline: str
    winner: str
    framework: str

    @classmethod
    def of_the_demo(cls, kubectl: Kubectl) -> Artifacts:
        runs = kubectl.items("optimizationruns", "edgeramp.dev/model=digits,edgeramp.dev/target=edge-box")
        status = next(r["status"] for r in runs if r["status"].get("winner", {}).get("packaged"))
        winner = status["winner"]
        return cls(
            status["baselinePackage"]["reference"], winner["packaged"]["reference"], winner["framework"]
        )

    def stable(self, name: str, host: str, **spec: Any) -> dict[str, Any]:
        """A Rollout of the baseline."""
        return _rollout(name, host, self.baseline, "onnxruntime", "f32", spec)

    def candidate(self, name: str, host: str, **spec: Any) -> dict[str, Any]:
        """The same Rollout with the winner."""
        return _rollout(name, host, self.winner, self.framework, "int8", spec)


def steered(steps: Sequence[Mapping[str, Any]], analysis: Mapping[str, Any]) -> dict[str, Any]:
    """`spec.strategy` of these steps."""
    return {"steps": [dict(s) for s in steps], "analysis": dict(analysis)}


def _rollout(
    name: str, host: str, artifact: str, framework: str, precision: str, changes: Mapping[str, Any]
) -> dict[str, Any]:
    spec = {
        "artifact": artifact,
        "allowUncertified": {"reason": "a test of ramps", "approvedBy": "tests/e2e"},
        "target": {
            "name": "edge-box",
            "nodeSelector": {"edgeramp.dev/hardware-class": "edge-box"},
            "resources": {"cpu": "300m", "memory": "512Mi"},
        },
        "server": {"framework": framework, "precision": precision, "modelName": paths.MODEL},
        "route": {"gatewayRef": {"name": "edge"}, "hostnames": [host]},
        "abortScaleDownDelaySeconds": 5,
    }
    return {
        "apiVersion": "edgeramp.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": paths.NAMESPACE},
        "spec": spec | dict(changes),
    }
