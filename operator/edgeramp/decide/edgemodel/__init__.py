"""From an EdgeModel to runs and Rollouts, one per target."""

from edgeramp.decide.edgemodel.plan import plan_edgemodel

__all__ = ["plan_edgemodel"]
