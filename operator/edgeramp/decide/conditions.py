"""One condition helper for all kinds: the transition time moves only when the status flips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgeramp.api.common import Condition
from edgeramp.values.quantities import timestamp


def condition(
    kind: str, status: bool | None, reason: str, message: str, generation: int, now: float
) -> Condition:
    """A condition as of now; None is Unknown. The message is cut to what the schema allows."""
    text = "Unknown" if status is None else str(status)
    return Condition(
        type=kind,
        status=text,
        reason=reason,
        message=message[:2048],
        observed_generation=generation,
        last_transition_time=timestamp(now),
    )


def merged(
    have: Sequence[Condition],
    new: Iterable[Condition],
    only_while_true: Iterable[str] = ("Reconciling", "Stalled"),
) -> list[Condition]:
    """`have` updated by `new`, sorted by type. Types in `only_while_true` vanish unless `new` says True."""
    new = tuple(new)
    before = {c.type: c for c in have}
    result = dict(before)
    for fresh in new:
        old = before.get(fresh.type)
        since = old.last_transition_time if old and old.status == fresh.status else fresh.last_transition_time
        result[fresh.type] = fresh.model_copy(update={"last_transition_time": since})
    told = {c.type for c in new}
    for kind in only_while_true:
        kept = result.get(kind)
        if kept and (kind not in told or kept.status != "True"):
            del result[kind]
    return [result[kind] for kind in sorted(result)]


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of that type, if there."""
    return next((c for c in conditions if c.type == kind), None)
