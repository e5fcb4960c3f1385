"""Language models: negative log-likelihood per text in a runner, and what follows from two of them in the parent.

The perplexity ratio is exp(mean(nll_candidate - nll_reference)) over the same texts. Texts have one length, so the mean
over texts is the mean over tokens. KL divergence and same-first-choice are llama.cpp's own measures (its perplexity tool,
--kl-divergence), here over positions that fit KEPT_BYTES.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.summary import Quality, TextQuality
from edgeramp_harness import data, statistics
from edgeramp_harness.errors import JobError, bad_spec
from edgeramp_harness.statistics import Floats

METRIC = "perplexity"
KEPT_BYTES = 256 * 1024**2
_CHUNK = 256


def score(session: Any, split: data.Split, out: Path) -> Floats:
    """The mean negative log-likelihood per token of every text; log-probabilities of some positions go beside `out`."""
    if not hasattr(session, "token_logits"):
        raise bad_spec("perplexity needs a language model in llama.cpp", "UnknownMetric")
    tokens = split.inputs["tokens"]
    length = tokens.shape[1] - 1
    if length < 1:
        raise data.unusable("perplexity needs texts of at least two tokens")
    keep = kept_positions(split.items * length, session.vocabulary)
    kept = np.lib.format.open_memmap(
        log_probabilities(out), "w+", np.float32, (len(keep), session.vocabulary)
    )
    scores, filled = np.empty(split.items), 0
    for item, row in enumerate(tokens):
        total, place = 0.0, item * length
        for piece in session.token_logits(row[:-1]):
            if not np.isfinite(piece).all():
                raise JobError(ExitCode.BAD_OUTPUT, f"the output for text {item} is not finite", "NotFinite")
            logs = log_softmax(piece)
            at = place - item * length
            total -= float(logs[np.arange(len(logs)), row[at + 1 : at + 1 + len(logs)]].sum())
            while filled < len(keep) and keep[filled] < place + len(logs):
                kept[filled] = logs[keep[filled] - place]
                filled += 1
            place += len(logs)
        scores[item] = total / length
    kept.flush()
    return scores


def log_probabilities(scores: Path) -> Path:
    """Where the log-probabilities lie that belong to a file of scores."""
    return scores.with_suffix(".logp.npy")


def kept_positions(positions: int, vocabulary: int) -> Any:
    """Evenly spread positions, as many as fit: the same ones for reference and candidate."""
    fit = max(1, min(positions, KEPT_BYTES // (4 * vocabulary)))
    return np.linspace(0, positions - 1, fit).astype(np.int64)


def log_softmax(logits: Any) -> Any:
    """In float64 row by row."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))


def divergence(reference: Path, candidate: Path) -> tuple[float, float, int]:
    """Mean KL divergence of the candidate from the reference in nats, share of equal first choices, positions."""
    p, q = np.load(reference, mmap_mode="r"), np.load(candidate, mmap_mode="r")
    if p.shape != q.shape:
        raise JobError(
            ExitCode.BAD_OUTPUT, f"reference and candidate have {p.shape[1]} and {q.shape[1]} tokens"
        )
    total = same = 0.0
    for start in range(0, len(p), _CHUNK):
        a, b = p[start : start + _CHUNK].astype(np.float64), q[start : start + _CHUNK].astype(np.float64)
        total += float((np.exp(a) * (a - b)).sum())
        same += float((a.argmax(axis=1) == b.argmax(axis=1)).sum())
    return max(0.0, total / len(p)), same / len(p), len(p)


def assess(
    reference: Floats,
    candidate: Floats,
    folder: Path,
    split: data.Split,
    gate: float,
    confidence: float,
    seed: int,
) -> Quality:
    """In the form of all other qualities: retention is reference / candidate perplexity, its margin is in logarithms.

    With scores 1 and -(difference) and the gate ln(R0), the paired margin is mean(-difference) - ln(R0): above 0 is
    "the perplexity ratio is at most 1/R0", with the same clusters and bounds as for accuracy. A text has no worst score;
    in its place stands the worst one seen.
    """
    ones, gained = np.ones(len(reference)), reference - candidate
    seen = ((1.0, float(gained.min())), (1.0, float(gained.max())))
    found = statistics.paired_quality(ones, gained, math.log(gate), confidence, seed, split.cluster, seen)
    ratio, lower, upper = (
        math.exp(-v) for v in (found.retention.point, found.retention.upper, found.retention.lower)
    )
    kl, same, positions = divergence(
        log_probabilities(folder / "reference.npy"), log_probabilities(folder / "candidate.npy")
    )
    before, after = math.exp(float(reference.mean())), math.exp(float(candidate.mean()))
    text = TextQuality(
        tokens=split.items * (split.inputs["tokens"].shape[1] - 1),
        perplexity_reference=_short(before), perplexity_candidate=_short(after), perplexity_ratio=_short(ratio),
        ratio_lower=_short(lower), ratio_upper=_short(upper), kl_divergence=_short(kl), same_top=_short(same),
        positions=positions,
    )  # fmt: skip
    return Quality(
        metric=METRIC, items=len(reference), reference=_short(before), candidate=_short(after),
        retention=_short(1 / ratio), lower=_short(1 / upper), margin_lower=_short(found.margin.lower),
        margin_upper=_short(found.margin.upper), confidence=confidence, items_needed=found.items_needed,
        method=f"{found.method}, of log perplexity", text=text,
    )  # fmt: skip


def _short(value: float) -> float:
    return float(f"{value:.6g}")
