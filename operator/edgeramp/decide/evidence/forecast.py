"""Before a ramp: how long each step will take at this traffic, what would be found by then, and what to change if
that is too long. An estimate within 10-20 % of the simulation, no promise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgeramp.decide.evidence import errors
from edgeramp.decide.evidence.blocks import HistoryRow
from edgeramp.decide.evidence.config import ErrorsMetric, EvidenceConfig
from edgeramp.decide.evidence.planning import errors_requests, plan, stable_rate, step_seconds
from edgeramp.values.quantities import duration

TOO_LONG_S = 900.0
"""A step that takes longer is worth other steps."""
_ROW_S = 5.0
_HIGHEST_FIRST = 50
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class StepForecast:
    """`seconds` until a healthy candidate is proven fit for `target`; `least` is the lowest failure rate that would be
    found in that time (as often as not), None when only an outage would be."""

    weight: int
    target: int
    seconds: float
    least: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """`found` says what is found at the first weight and when; `proposal` is "" where the steps are fine."""

    requests_per_s: float
    stable: float
    steps: tuple[StepForecast, ...]
    found: str
    proposal: str

    @property
    def seconds(self) -> float:
        """How long a healthy ramp takes, pauses left out."""
        return sum(step.seconds for step in self.steps)


def forecast(
    config: EvidenceConfig, requests_per_s: float, history: Sequence[HistoryRow] = ()
) -> Forecast | None:
    """The forecast for this traffic; None without requests, or without a weight below 100: nothing is compared."""
    first = next((w for w in config.weights if w < 100), None)
    if requests_per_s <= 0 or first is None:
        return None
    steps = tuple(
        StepForecast(weight, target, seconds, _least(config, requests_per_s, weight, seconds, history))
        for weight, target, seconds in step_seconds(config, requests_per_s, history)
    )
    return Forecast(
        requests_per_s,
        stable_rate(history),
        steps,
        plan(config, requests_per_s, first, history),
        _proposal(config, requests_per_s, steps, history),
    )


def traffic(history: Sequence[HistoryRow]) -> float:
    """Requests a second in stable's history."""
    return sum(row.requests for row in history) / (_ROW_S * len(history)) if history else 0.0


def sentence(found: Forecast | None) -> str:
    """For status: short."""
    if found is None:
        return "No past request of stable is known: how long this ramp takes cannot be said beforehand."
    steps = ", ".join(f"{step.weight} % {duration(step.seconds)}" for step in found.steps)
    return f"{found.found} By step: {steps}; pauses left out. {found.proposal}".strip()


def table(found: Forecast | None) -> Iterator[str]:
    """For people at a terminal: one line a step."""
    if found is None:
        yield "plan: nothing is compared at this traffic and these steps"
        return
    yield f"plan at {found.requests_per_s:g} requests/s, stable failing {_percent(found.stable)}; pauses left out"
    for step in found.steps:
        least = f"errors above {_percent(step.least)}" if step.least is not None else "only an outage"
        yield (
            f"  {step.weight:3d} % to {step.target:3d} %: about {duration(step.seconds)} until it is proven;"
            f" {least} would be found by then"
        )
    yield f"  {found.found}"
    if found.proposal:
        yield f"  {found.proposal}"


def _least(
    config: EvidenceConfig, requests_per_s: float, weight: int, seconds: float, history: Sequence[HistoryRow]
) -> float | None:
    """The lowest failure rate that is found within `seconds` at `weight`, by bisection: more is found sooner."""
    metric = next((m for m in config.metrics if isinstance(m, ErrorsMetric)), None)
    if metric is None:
        return None
    phi, stable = errors.initial(config, metric, history).phi.phi, stable_rate(history)
    have, odds = requests_per_s * seconds * weight / 100.0, (100.0 - weight) / weight
    tolerated = metric.ratio * stable + metric.add
    low, high = math.log(tolerated * 1.001), 0.0
    if tolerated >= 0.99 or errors_requests(config, metric, phi, odds, stable, 1.0) > have:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        found = errors_requests(config, metric, phi, odds, stable, math.exp(middle)) <= have
        low, high = (low, middle) if found else (middle, high)
    return math.exp(high)


def _proposal(
    config: EvidenceConfig,
    requests_per_s: float,
    steps: tuple[StepForecast, ...],
    history: Sequence[HistoryRow],
) -> str:
    """What to write instead where a step, or the whole ramp, takes too long; "" where none does."""
    late = sum(step.seconds for step in steps) > config.max_duration_s
    slow = next((step for step in steps if step.seconds > TOO_LONG_S), None)
    if slow is None and not late:
        return ""
    why = (
        f"That is longer than maxDuration ({duration(config.max_duration_s)})"
        if late
        else f"{slow.weight if slow else 0} % takes long at this traffic"
    )
    begin = _quick_weight(config, requests_per_s, (slow or steps[0]), history)
    if begin is None:
        return (
            f"{why}, and no first weight up to {_HIGHEST_FIRST} % makes it short: allow a larger errors.userBudget, or"
            " more time."
        )
    weight, seconds = begin
    return (
        f"{why}: write setMirror: 100 and a pause first (copies show a crash and reach no user, but are not judged),"
        f" then setWeight: {weight}, which takes about {duration(seconds)}."
    )


def _quick_weight(
    config: EvidenceConfig, requests_per_s: float, slow: StepForecast, history: Sequence[HistoryRow]
) -> tuple[int, float] | None:
    """The lowest weight, and its time, from which a ramp that begins there is not slow."""
    for weight in range(5 * (slow.weight // 5 + 1), _HIGHEST_FIRST + 1, 5):
        rest = tuple(w for w in config.weights if w > weight)
        taken = list(step_seconds(replace(config, weights=(weight, *rest)), requests_per_s, history))
        times = [seconds for _, _, seconds in taken]
        if max(times) <= TOO_LONG_S and sum(times) <= config.max_duration_s:
            return weight, times[0]
    return None


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %"
