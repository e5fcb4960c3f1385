"""The search for the best way to run one revision of a model on one target."""

from edgeramp.decide.optimize.plan import plan_run

__all__ = ["plan_run"]
