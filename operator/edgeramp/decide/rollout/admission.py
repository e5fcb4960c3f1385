"""Whether the wanted artifact may serve here and now: what the store said of it, held against the Rollout, its nodes and the
day; and the override on record, which allows everything but bytes that nobody vouched for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeramp.api.rollout import RolloutSpec
from edgeramp.decide.hardware import CPU_FEATURE, features_of, labels_match
from edgeramp.decide.seen import Admission, Object
from edgeramp.values.quantities import timestamp

NOT_TO_BE_ALLOWED = ("BadSignature", "DigestMismatch", "ArtifactMissing")
"""What no override makes right: these say that the bytes are not what somebody vouched for."""

OVERRIDDEN = "AllowedUncertified"
"""Admitted by the override on record alone."""


def admission(
    found: Admission | None, spec: RolloutSpec, nodes: Sequence[Object], now: float
) -> Admission | None:
    """The last word; None while the artifact was not looked at."""
    if found is None or found.admitted is None:
        return found
    judged = _judged(found, spec, nodes, now) if found.admitted else found
    allowed = spec.allow_uncertified
    if judged.admitted or allowed is None or judged.reason in NOT_TO_BE_ALLOWED:
        return judged
    text = (
        f"Served without a certificate ({judged.reason}), allowed by {allowed.approved_by}: {allowed.reason}"
    )
    # Foreign hardware, once allowed, must not be kept out by its labels.
    isa = () if judged.reason == "ForeignHardware" else judged.isa
    return replace(judged, admitted=True, reason=OVERRIDDEN, message=text, isa=isa)


def ends_at(found: Admission | None, now: float) -> float | None:
    """When the certificate of an admitted artifact ends (epoch); None when that is past, or never comes."""
    end = found.expires_at if found is not None and found.admitted else None
    return end if end is not None and end > now else None


def _judged(found: Admission, spec: RolloutSpec, nodes: Sequence[Object], now: float) -> Admission:
    for finding in (_expired(found, now), _another_server(found, spec), _foreign(found, spec, nodes)):
        if finding is not None:
            return replace(found, admitted=False, reason=finding[0], message=finding[1])
    return found


def _expired(found: Admission, now: float) -> tuple[str, str] | None:
    if found.expires_at is None or now < found.expires_at:
        return None
    return (
        "CertificateExpired",
        f"the certificate ended at {timestamp(found.expires_at)}; optimize the model anew",
    )


def _another_server(found: Admission, spec: RolloutSpec) -> tuple[str, str] | None:
    """The figures are those of one framework at one precision."""
    have = (found.framework or spec.server.framework, found.precision or spec.server.precision)
    if have == (spec.server.framework, spec.server.precision):
        return None
    wanted = f"{spec.server.framework} {spec.server.precision}"
    return "WronglyCertified", (
        f"certified for {have[0]} {have[1]}, but spec.server says {wanted}; write framework: {have[0]}, precision: {have[1]}"
    )


def _foreign(found: Admission, spec: RolloutSpec, nodes: Sequence[Object]) -> tuple[str, str] | None:
    """Nodes of the target are there, they tell their CPU features, and none has all that is asked for. A target without
    any node is another matter: nodes come and go."""
    needed = frozenset(found.isa)
    told = [features_of(n) for n in nodes if labels_match(n, spec.target.node_selector)]
    if not needed or not any(told) or any(needed <= features for features in told):
        return None
    lacking = ", ".join(sorted(needed - frozenset().union(*told)) or sorted(needed))
    return "ForeignHardware", (
        f"certified for CPUs with {', '.join(sorted(needed))}; no node of target {spec.target.name} promises "
        f"{lacking} ({CPU_FEATURE}*)"
    )
