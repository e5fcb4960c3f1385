"""The steps of a strategy. Blue-green is steps as well: all replicas, copies if asked for, a wait, and the last stretch."""

from __future__ import annotations

from edgeramp.api.bluegreen import BlueGreen
from edgeramp.api.rollout import CandidateScale, Pause, Step, Strategy

DEFAULT_WEIGHTS = (5, 25, 50)


def steps_of(strategy: Strategy) -> list[Step]:
    """What is walked before the last stretch, at which the candidate gets 100."""
    if strategy.blue_green is not None:
        return _blue_green(strategy.blue_green)
    if strategy.steps is None:
        return [Step(set_weight=weight) for weight in DEFAULT_WEIGHTS]
    return strategy.steps


def _blue_green(asked: BlueGreen) -> list[Step]:
    count, wait = asked.preview_replica_count, asked.auto_promotion_seconds
    scale = CandidateScale(replicas=count) if count is not None else CandidateScale(percent=100)
    pause = Pause() if wait is None else Pause(duration=f"{wait}s")
    return [
        Step(set_candidate_scale=scale),
        *([Step(set_mirror=asked.mirror)] if asked.mirror else []),
        *([Step(pause=pause)] if wait != 0 else []),
    ]
