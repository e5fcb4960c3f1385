"""The ramp: from one revision to the next, judged at every look. `plan_rollout` is the only way in."""

from edgeramp.decide.rollout.plan import plan_rollout
from edgeramp.decide.rollout.view import revision_of

__all__ = ["plan_rollout", "revision_of"]
