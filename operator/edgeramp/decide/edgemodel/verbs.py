"""One-time verbs on an EdgeModel: `approve` and `retry` as annotations, answered on record, then cleared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeramp.api.rollout import VerbRecord
from edgeramp.decide.decision import Action, Patch
from edgeramp.decide.edgemodel.context import Context
from edgeramp.values.names import ANNOTATION_APPROVE, ANNOTATION_RETRY, API_VERSION
from edgeramp.values.quantities import timestamp

KEEP = 20
_WAITING = "no such revision waits here; write one that status.targets shows, or status.revision"


@dataclass(frozen=True)
class Verbs:
    """`records`: what was asked and answered. `answered`: annotations that are answered and not seen cleared yet.
    `fresh`: something was answered just now, so the annotation is cleared at the next look, when the record is safe."""

    records: list[VerbRecord]
    answered: list[str]
    actions: tuple[Action, ...] = ()
    fresh: bool = False

    def granted(self, *revisions: str) -> bool:
        """Whether one of the revisions is approved on record."""
        return any(r.verb == "approve" and r.accepted and r.value in revisions for r in self.records)


def answer(ctx: Context, known: Sequence[str]) -> Verbs:
    """`known`: the revisions that may be approved."""
    status = ctx.model.status
    asked = {
        _key(annotation, value): (annotation, value)
        for annotation in (ANNOTATION_APPROVE, ANNOTATION_RETRY)
        if (value := ctx.annotations.get(annotation)) is not None
    }
    new = [pair for key, pair in asked.items() if key not in status.answered]
    done = [annotation for key, (annotation, _) in asked.items() if key in status.answered]
    records = list(status.verbs)
    for annotation, value in new:
        records.extend(
            _approved(ctx, value, known) if annotation == ANNOTATION_APPROVE else _retried(ctx, value)
        )
    return Verbs(
        records=_kept(records, known),
        answered=sorted(asked),
        actions=() if new or not done else (_clear(ctx, done),),
        fresh=bool(new),
    )


def retry_asked(ctx: Context) -> bool:
    """True once per annotation: in the decision that answers it."""
    value = ctx.annotations.get(ANNOTATION_RETRY)
    return value is not None and _key(ANNOTATION_RETRY, value) not in ctx.model.status.answered


def _key(annotation: str, value: str) -> str:
    return f"{annotation}={value}"[:256]


def _approved(ctx: Context, value: str, known: Sequence[str]) -> list[VerbRecord]:
    revisions = [part.strip()[:64] for part in value.split(",") if part.strip()][:16]
    return [_record(ctx, "approve", r, r in known, "" if r in known else _WAITING) for r in revisions]


def _retried(ctx: Context, value: str) -> list[VerbRecord]:
    return [
        _record(
            ctx, "retry", value[:64], True, "what failed is tried again: the source, or runs without a winner"
        )
    ]


def _record(ctx: Context, verb: str, value: str, accepted: bool, message: str) -> VerbRecord:
    return VerbRecord(verb=verb, value=value, accepted=accepted, message=message, at=timestamp(ctx.now))


def _kept(records: list[VerbRecord], known: Sequence[str]) -> list[VerbRecord]:
    """The newest ones; an approval that is in force is never the one to go."""
    in_force = [r for r in records if r.verb == "approve" and r.accepted and r.value in known]
    others = [r for r in records if r not in in_force]
    room = max(0, KEEP - len(in_force[-KEEP:]))
    kept = [*in_force[-KEEP:], *(others[-room:] if room else [])]
    return [r for r in records if r in kept]


def _clear(ctx: Context, annotations: Sequence[str]) -> Patch:
    cleared = dict.fromkeys(annotations)
    body = {"metadata": {"annotations": cleared, "resourceVersion": ctx.resource_version}}
    return Patch(API_VERSION, "EdgeModel", ctx.owner.namespace, ctx.owner.name, body)
