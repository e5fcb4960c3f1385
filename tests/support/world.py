"""The simulated world of `edgeramp simulate`, as our tests use it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgeramp.cli.simulation import SETTINGS, Behaviour, World, artifact
from edgeramp.decide.seen import Admission

Json = dict[str, Any]


def spec_of(name: str, **changes: Any) -> Json:
    """A Rollout's spec for artifact `name`, with quick defaults."""
    spec: Json = {
        "artifact": artifact(name),
        "target": {
            "name": "box",
            "nodeSelector": {"class": "box"},
            "resources": {"cpu": "1", "memory": "512Mi"},
        },
        "server": {"framework": "onnxruntime", "precision": "int8", "modelName": "digits"},
        "replicas": 1,
        "route": {"gatewayRef": {"name": "edge"}, "hostnames": ["box.digits.example"], "path": "/"},
        "strategy": {"steps": [{"setWeight": 5}, {"setWeight": 25}, {"setWeight": 50}]},
    }
    return spec | changes


def healthy(spec: Json | None = None, **changes: Any) -> World:
    """A world in which artifact A serves already and its predecessor's traces are gone."""
    world = World(spec or spec_of("A"), **changes)
    world.run(60)
    assert world.phase == "Healthy", "\n".join(world.story)
    return world


__all__ = ["Admission", "Behaviour", "World", "artifact", "healthy", "replace", "spec_of"]


__all__ = ["SETTINGS", "Admission", "Behaviour", "World", "artifact", "healthy", "replace", "spec_of"]
