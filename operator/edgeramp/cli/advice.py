"""What a manifest that the API server accepts will not bring about, or not as its author may think."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from edgeramp.api.edgemodel import EdgeModel
from edgeramp.api.rollout import Rollout, Strategy
from edgeramp.decide.rollout.standstill import next_opening
from edgeramp.decide.rollout.strategy import steps_of
from edgeramp.values.quantities import seconds

Piece = tuple[tuple[str | int, ...], str]
"""Path of the field, and the sentence."""


def advice(document: Mapping[str, Any]) -> Iterator[Piece]:
    """For a document that breaks no rule."""
    try:
        if document["kind"] == "EdgeModel":
            yield from _of_model(EdgeModel.model_validate(document))
        elif document["kind"] == "Rollout":
            yield from _of_rollout(Rollout.model_validate(document))
    except ValidationError as error:
        first = error.errors()[0]
        yield tuple(first["loc"]), f"the operator will refuse it: {first['msg']}"


def _of_model(model: EdgeModel) -> Iterator[Piece]:
    spec = model.spec
    if spec.source.digest is None and "@sha256:" not in spec.source.uri:
        yield (
            ("spec", "source", "uri"),
            (
                "names no digest: what is there at the first look is taken, and a later push changes nothing; write"
                " @sha256:… so that Git says which model serves"
            ),
        )
    if spec.rollout is None:
        yield ("spec",), "has no rollout: the model is optimized and certified, and served by nobody"
        return
    yield from _of_strategy(spec.rollout.strategy, ("spec", "rollout", "strategy"))


def _of_rollout(rollout: Rollout) -> Iterator[Piece]:
    spec = rollout.spec
    if spec.allow_uncertified is not None:
        yield (
            ("spec", "allowUncertified"),
            "lets anything be served whose bytes are right; take it away when the trial is over",
        )
    if spec.rollback_window.revisions == 0:
        yield (
            ("spec", "rollbackWindow", "revisions"),
            "is 0: no earlier revision can come back without all steps",
        )
    yield from _of_strategy(spec.strategy, ("spec", "strategy"))


def _of_strategy(strategy: Strategy, at: tuple[str, ...]) -> Iterator[Piece]:
    analysis, steps = strategy.analysis, steps_of(strategy)
    if strategy.blue_green is None and not any(s.set_weight and s.set_weight < 100 for s in steps):
        yield (
            (*at, "steps"),
            "has no weight between 0 and 100: nothing can be compared before the candidate has all requests",
        )
    if not analysis.enabled and not strategy.checks and strategy.blue_green is None:
        yield (
            (*at, "analysis", "enabled"),
            ("is false and there are no checks: steps go on by time alone, whatever the candidate answers"),
        )
    weights = [s.set_weight for s in steps if s.set_weight is not None]
    if weights != sorted(weights):
        yield (
            (*at, "steps"),
            f"goes down on the way ({', '.join(map(str, weights))}): a lower weight is proven anew",
        )
    least = seconds(analysis.step_minimum) * len({w for w in weights if 0 < w < 100})
    if analysis.enabled and least >= seconds(analysis.max_duration):
        yield (
            (*at, "analysis", "maxDuration"),
            (
                f"{analysis.max_duration} is over before {len(set(weights))} weights of at least {analysis.step_minimum} each:"
                " the ramp will end Inconclusive"
            ),
        )
    try:
        next_opening(strategy.windows, 0.0)
    except ValueError as error:
        yield (*at, "windows"), str(error)
