"""Paired scores of reference and candidate on one split, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.summary import Behaviour, Quality, WorstClass
from edgeramp_harness import scoring, statistics, text
from edgeramp_harness.data import Split
from edgeramp_harness.errors import JobError
from edgeramp_harness.log import say
from edgeramp_harness.runner_process import RunnerProcess
from edgeramp_harness.statistics import Floats

Answers = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Wanted:
    """The share of quality to be kept, overall and in each class; a class that nobody asks about is held to the overall one."""

    retention: float
    class_retention: float | None = None

    @property
    def of_classes(self) -> float:
        return self.retention if self.class_retention is None else self.class_retention


@dataclass(frozen=True)
class Scores:
    """One score per item, in the order of the split, and the answers of classifiers; `folder` has them as files."""

    reference: Floats
    candidate: Floats
    folder: Path
    answers: Answers | None = None


def score_both(runners: Mapping[str, RunnerProcess], metric: str, folder: Path) -> Scores:
    """Both runners at once: nothing is timed here."""
    for side, runner in runners.items():
        runner.send("score", metric=metric, out=str(folder / f"{side}.npy"))
    for side, runner in runners.items():
        found = runner.receive()
        say(f"{side}: {metric} {found['mean']:.4f} on {found['items']} items")
    files = [folder / f"{side}.npy" for side in ("reference", "candidate")]
    reference, candidate = (np.load(file) for file in files)
    said = [scoring.answers_file(file) for file in files]
    answers = (np.load(said[0]), np.load(said[1])) if all(file.is_file() for file in said) else None
    return Scores(reference, candidate, folder, answers)


def assess_quality(
    scores: Scores, split: Split, metric: str, wanted: Wanted, confidence: float, seed: int
) -> Quality:
    """Exit 16 when the reference scores nothing: a ratio to zero means nothing."""
    gate = wanted.retention
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
        behaviour=assess_behaviour(scores, split, wanted.of_classes, confidence, seed),
    )


def assess_behaviour(
    scores: Scores, split: Split, gate: float, confidence: float, seed: int
) -> Behaviour | None:
    """How often both say the same, and what became of each class: for classifiers, whatever is right.

    `kept` counts the classes whose lower bound is above the gate, each at `confidence`: that all are needs no correction, since
    it is wrong only where one of them is (R. L. Berger, Multiparameter hypothesis testing and acceptance sampling,
    Technometrics 24, 1982). That one is below is said with Holm's. A class that the original never gets right keeps nothing.
    """
    if scores.answers is None:
        return None
    same = np.asarray(scores.answers[0] == scores.answers[1], np.float64)
    agreed = statistics.paired_quality(
        np.ones_like(same), same, 0.0, confidence, seed, split.cluster, ((1.0, 0.0), (1.0, 1.0))
    ).retention
    found: dict[str, statistics.PairedQuality] = {}
    for label in np.unique(split.labels):
        of = split.labels == label
        if scores.reference[of].sum() > 0:
            cluster = None if split.cluster is None else split.cluster[of]
            found[str(label)] = statistics.paired_quality(
                scores.reference[of], scores.candidate[of], gate, confidence, seed, cluster
            )
    refused = statistics.holm([f.p_below for f in found.values()], 1 - confidence)
    below = [label for label, is_below in zip(found, refused, strict=True) if is_below]
    worst = min(
        found, key=lambda label: (found[label].retention.point, found[label].margin.lower), default=None
    )
    return Behaviour(
        agreement=_short(agreed.point), agreement_lower=_short(agreed.lower), agreement_upper=_short(agreed.upper),
        classes=len(found), classes_kept=sum(f.margin.lower > 0 for f in found.values()), classes_below=len(below),
        below=sorted(below, key=lambda label: found[label].p_below)[:5],
        worst=None if worst is None else WorstClass(
            label=worst, items=int((split.labels == int(worst)).sum()), retention=_short(found[worst].retention.point),
            lower=_short(found[worst].retention.lower), upper=_short(found[worst].retention.upper),
        ),
    )  # fmt: skip


def save_scores(path: Path, scores: Scores, split: Split) -> dict[str, Path]:
    """Per-item scores for the report: whoever doubts a bound can compute it again."""
    arrays = {"id": split.ids, "reference": scores.reference, "candidate": scores.candidate}
    if scores.answers is not None:
        arrays |= {"referenceAnswer": scores.answers[0], "candidateAnswer": scores.answers[1]}
    np.savez_compressed(path, **arrays)
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
