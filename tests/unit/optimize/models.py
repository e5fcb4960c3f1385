"""EdgeModels and runs to begin a test with, and the way to play one to its end."""

from __future__ import annotations

from typing import Any

from tests.unit.optimize.bench import Bench
from tests.unit.optimize.world import NAMESPACE, VNNI, World

from edgeramp.values.names import API_VERSION

STORE = "oci://store.example:5000/"
TARGET: dict[str, Any] = {"name": "vnni", "nodeSelector": {VNNI: "true"}}
ROUTE: dict[str, Any] = {"gatewayRef": {"name": "edge"}, "hostnames": ["digits.example"]}


def edgemodel(name: str = "digits", **spec: Any) -> dict[str, Any]:
    """An EdgeModel as the API server gives it; `spec` replaces top-level fields."""
    splits = {split: {"uri": f"{STORE}{split}:1"} for split in ("calibration", "selection", "certification")}
    return {
        "apiVersion": API_VERSION,
        "kind": "EdgeModel",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": "7",
        },
        "spec": {
            "source": {"uri": f"{STORE}{name}:1"},
            "task": "image-classification",
            "evaluation": {"data": splits},
            "targets": [TARGET],
            **spec,
        },
    }


def world(bench: Bench | None = None, **spec: Any) -> World:
    """A world with one EdgeModel, `digits`."""
    made = World(bench or Bench())
    made.objects["EdgeModel", "digits"] = edgemodel(**spec)
    return made


def played(bench: Bench | None = None, **spec: Any) -> World:
    """The same, until nothing happens any more."""
    made = world(bench, **spec)
    made.until_idle()
    return made


def edit(made: World, **spec: Any) -> None:
    """What a user does with kubectl."""
    model = made.objects["EdgeModel", "digits"]
    model["spec"] |= spec
    model["metadata"]["generation"] += 1


def model_status(made: World) -> dict[str, Any]:
    status: dict[str, Any] = made.get("EdgeModel", "digits")["status"]
    return status


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """The condition of that type; empty when absent."""
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})
