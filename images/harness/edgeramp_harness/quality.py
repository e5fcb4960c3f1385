"""Paired scores of reference and candidate on one split, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.summary import Quality
from edgeramp_harness import statistics, text
from edgeramp_harness.data import Split
from edgeramp_harness.errors import JobError
from edgeramp_harness.log import say
from edgeramp_harness.runner_process import RunnerProcess
from edgeramp_harness.statistics import Floats


@dataclass(frozen=True)
class Scores:
    """One score per item, in the order of the split; `folder` has them as files."""

    reference: Floats
    candidate: Floats
    folder: Path


def score_both(runners: Mapping[str, RunnerProcess], metric: str, folder: Path) -> Scores:
    """Both runners at once: nothing is timed here."""
    for side, runner in runners.items():
        runner.send("score", metric=metric, out=str(folder / f"{side}.npy"))
    for side, runner in runners.items():
        found = runner.receive()
        say(f"{side}: {metric} {found['mean']:.4f} on {found['items']} items")
    reference, candidate = (np.load(folder / f"{side}.npy") for side in ("reference", "candidate"))
    return Scores(reference, candidate, folder)


def assess_quality(
    scores: Scores, split: Split, metric: str, gate: float, confidence: float, seed: int
) -> Quality:
    """Exit 16 when the reference scores nothing: a ratio to zero means nothing."""
    b, c = scores.reference, scores.candidate
    if metric == text.METRIC:
        return text.assess(b, c, scores.folder, split, gate, confidence, seed)
    if b.sum() <= 0:
        raise JobError(
            ExitCode.BAD_OUTPUT,
            f"the reference has {metric} 0 on {len(b)} items; check labels and preprocessing of the data",
            "BaselineUseless",
        )
    found = statistics.paired_quality(b, c, gate, confidence, seed, split.cluster)
    binary = bool(np.isin(b, (0, 1)).all() and np.isin(c, (0, 1)).all())
    return Quality(
        metric=metric,
        items=len(b),
        reference=_short(b.mean()),
        candidate=_short(c.mean()),
        retention=_short(found.retention.point),
        lower=_short(found.retention.lower),
        margin_lower=_short(found.margin.lower),
        margin_upper=_short(found.margin.upper),
        confidence=confidence,
        both=int(((b == 1) & (c == 1)).sum()) if binary else None,
        only_reference=int(((b == 1) & (c == 0)).sum()) if binary else None,
        only_candidate=int(((b == 0) & (c == 1)).sum()) if binary else None,
        neither=int(((b == 0) & (c == 0)).sum()) if binary else None,
        items_needed=found.items_needed,
        method=found.method,
    )


def save_scores(path: Path, scores: Scores, split: Split) -> dict[str, Path]:
    """Per-item scores for the report: whoever doubts a bound can compute it again."""
    np.savez_compressed(path, id=split.ids, reference=scores.reference, candidate=scores.candidate)
    return {path.name: path}


def by_class(scores: Scores, split: Split, limit: int = 100) -> list[dict[str, object]]:
    """Mean scores per label: the `limit` labels that lost most, worst first."""
    rows: list[dict[str, object]] = []
    for label in np.unique(split.labels):
        of = split.labels == label
        means = {
            "reference": _short(scores.reference[of].mean()),
            "candidate": _short(scores.candidate[of].mean()),
        }
        rows.append({"label": str(label), "items": int(of.sum()), **means})
    return sorted(rows, key=lambda r: (float(str(r["candidate"])) - float(str(r["reference"])), r["label"]))[
        :limit
    ]


def _short(value: float) -> float:
    return float(f"{value:.6g}") if math.isfinite(value) else 0.0
