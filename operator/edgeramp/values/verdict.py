"""One set of verdicts for gates and for the ramp's analysis (design.md, Verdicts)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """Worst first. Only Fail rolls back; never Pass without evidence."""

    FAIL = "Fail"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"
    AWAITING_EVIDENCE = "AwaitingEvidence"
    PASS = "Pass"


_ORDER = tuple(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of `verdicts`; AwaitingEvidence when there are none: no evidence is never a Pass."""
    return min(verdicts, key=_ORDER.index, default=Verdict.AWAITING_EVIDENCE)
