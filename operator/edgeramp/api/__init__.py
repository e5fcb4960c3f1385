"""The three kinds as pydantic models: the single truth. `crds/` is generated from them (`make crds`)."""

from edgeramp.api.common import Condition, Revision
from edgeramp.api.edgemodel import EdgeModel, EdgeModelSpec, EdgeModelStatus
from edgeramp.api.optimizationrun import OptimizationRun, OptimizationRunSpec, OptimizationRunStatus
from edgeramp.api.rollout import Rollout, RolloutSpec, RolloutStatus

__all__ = [
    "Condition", "EdgeModel", "EdgeModelSpec", "EdgeModelStatus", "OptimizationRun", "OptimizationRunSpec",
    "OptimizationRunStatus", "Revision", "Rollout", "RolloutSpec", "RolloutStatus",
]  # fmt: skip
