"""A ramp's decision made again from the counts in status, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from edgeramp.api.rollout import RampFacts, Rollout
from edgeramp.decide import evidence as ev
from edgeramp.decide.evidence import ledger
from edgeramp.decide.rollout.analysis import config_of, ledger_of
from edgeramp.decide.seen import Object
from edgeramp.values.errors import SpecError
from edgeramp.values.quantities import duration
from edgeramp.values.verdict import Verdict

Json = dict[str, Any]
SHOWN = 30
"""Looks that the text shows, the newest; -o json has all."""


@dataclass(frozen=True)
class Row:
    """One look and what it led to, as replayed."""

    look: ev.Look
    state: ev.EvidenceState
    judged: ev.Judgement


@dataclass(frozen=True)
class Replay:
    """`rows` are made from the counts, `recorded` from the state in status; they agree unless something is wrong.
    `base` is the state before the first row."""

    name: str
    ramp: RampFacts
    config: ev.EvidenceConfig
    base: ev.EvidenceState
    rows: tuple[Row, ...]
    recorded: ev.Judgement
    said: str
    agrees: bool

    @property
    def whole(self) -> bool:
        """Whether the rows go back to the first look of the ramp."""
        return self.base.now_s == 0.0


def replay(obj: Object) -> Replay:
    """The replay of the ramp in a Rollout's status. SpecError when it has none, or was judged by another spec."""
    name = f"{obj['metadata'].get('namespace', 'default')}/{obj['metadata']['name']}"
    try:
        rollout = Rollout.model_validate(
            {key: obj[key] for key in ("metadata", "spec", "status") if key in obj}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(".".join(str(part) for part in first["loc"]), str(first["msg"])) from error
    status = rollout.status
    ramp = status.ramp if status.ramp is not None and status.ramp.evidence else status.promoted_ramp
    if ramp is None or not ramp.looks:
        raise SpecError("status", f"Rollout {name} has no ramp that was judged: no counts are kept")
    config, kept = config_of(rollout.spec.strategy, ramp), ledger_of(ramp)
    if not ledger.current(config, kept):
        raise SpecError(
            "spec.strategy", "was edited after the last look: its looks were judged by the one before"
        )
    state = ev.from_json(config, json.loads(ramp.evidence))
    ended = (ramp.aborted_at or ramp.weight_ordered_at or ramp.started_at) - ramp.started_at
    rows = tuple(_rows(config, kept, ended))
    return Replay(
        name=name,
        ramp=ramp,
        config=config,
        base=ledger.started(config, kept),
        rows=rows,
        recorded=_judged(config, state, ended),
        said=ramp.abort_message or (status.message if ramp is status.ramp else _promoted(rollout, ramp)),
        agrees=ledger.agree(rows[-1].state, state),
    )


def _rows(config: ev.EvidenceConfig, kept: ledger.Ledger, until_s: float) -> Iterator[Row]:
    """Each look with its judgement; the last one at a weight as it stood when the weight was changed."""
    made = list(ledger.replayed(config, kept))
    for i, (look, state) in enumerate(made):
        following = made[i + 1][0] if i + 1 < len(made) else None
        ends = until_s if following is None else following.at_s if following.weight != look.weight else 0.0
        yield Row(look, state, _judged(config, state, ends))


def _judged(config: ev.EvidenceConfig, state: ev.EvidenceState, ends_s: float) -> ev.Judgement:
    """The judgement at the state's look, or when its weight ended if that is later. Looks begin a moment after the weight
    does, so that the operator's clock and theirs differ: when a weight has ended, its least time was over."""
    over = ends_s > state.now_s - 0.001  # looks are kept in milliseconds
    at_s, least = max(state.now_s, ends_s), config.step_s if over else 0.0
    following = min((w for w in config.weights if w > state.weight), default=100)
    return ev.judge(config, state, state.weight, following, max(at_s - state.weight_since_s, least))


def _promoted(rollout: Rollout, ramp: RampFacts) -> str:
    mine = (h.message for h in reversed(rollout.status.history) if h.revision == ramp.revision)
    return next(mine, "")


def lines(found: Replay) -> list[str]:
    """For people."""
    last = found.rows[-1].judged
    kept = "all looks of the ramp" if found.whole else "the newest looks; those before are in the totals"
    said = "the same as" if found.agrees else "NOT the same as"
    return [
        f"Rollout {found.name}, revision {found.ramp.revision}: {found.said}",
        "",
        *[line for finding in last.findings for line in _told(found, finding)],
        "",
        f"{len(found.rows)} looks, {kept}",
        _HEAD,
        *[_line(row) for row in found.rows[-SHOWN:]],
        "",
        f"Replayed from these counts: {last.verdict} ({last.reason}). {last.sentence}",
        f"That is {said} the evidence in status: {found.recorded.verdict} ({found.recorded.reason}),"
        f" 1 of {_number(found.recorded.against)} by chance.",
    ]


_HEAD = "      at weight  candidate     bad     stable     bad  by chance 1 of  errors x stable  P(slower)  verdict"


def _line(row: Row) -> str:
    block, judged = row.look.block, row.judged
    head = f"{duration(row.look.at_s):>8} {row.look.weight:4d} %"
    if block is None:
        return f"{head}  (a new baseline: the weight changed, or it is the first look)"
    low, high, slower = _shown(judged)
    return (
        f"{head} {block.candidate.requests:10,d} {block.candidate.bad:7,d} {block.stable.requests:10,d}"
        f" {block.stable.bad:7,d} {_number(judged.against):>15} {low:>7} to {high:<5} {slower:>9}  {judged.verdict}"
    )


def _shown(judged: ev.Judgement) -> tuple[str, str, str]:
    """Interval of the ratio of errors and P(slower) so far; "-" where nothing is known."""
    errors = next((f for f in judged.findings if f.slower is None), None)
    slower = next((f"{f.slower:.2f}" for f in judged.findings if f.slower is not None), "-")
    bounds = (errors.low, errors.high) if errors is not None else (None, None)
    low, high = ("-" if bound is None else f"{bound:.2f}" for bound in bounds)
    return low, high, slower


def _told(found: Replay, finding: ev.MetricFinding) -> Iterator[str]:
    decides = 1.0 / found.config.false_rollback
    yield f"{finding.name}: {finding.verdict}: {finding.sentence}"
    yield (
        f"  within tolerance such evidence comes up in at most 1 of {_number(finding.against)} rollouts (all metrics"
        f" together, by their shares: 1 of {decides:,.0f} rolls back); phi {finding.phi:.2f} {finding.phi_source}"
    )
    if finding.needed:
        yield f"  for the next weight: {_number(finding.proven)} of {finding.needed:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 10 <= value < 1e6 else f"{value:.3g}"


def document(found: Replay) -> Json:
    """For programs: counts per look, totals, and everything that the arithmetic in docs/evidence.md takes."""
    last = found.rows[-1].judged
    return {
        "rollout": found.name,
        "revision": found.ramp.revision,
        "said": found.said,
        "config": _config(found.config),
        "minutesPaidBefore": found.base.minutes_paid,
        "whole": found.whole,
        "findings": [_finding(f) for f in last.findings],
        "looks": [_look(row) for row in found.rows],
        "replayed": _decision(last),
        "recorded": _decision(found.recorded),
        "agrees": found.agrees,
    }


def _config(config: ev.EvidenceConfig) -> Json:
    return {
        "falseRollback": config.false_rollback,
        "falsePromotion": config.false_promotion,
        "maxDurationSeconds": config.max_duration_s,
        "warmupSeconds": config.warmup_s,
        "batchLimit": config.batch_limit,
        "weights": list(config.weights),
        "metrics": [asdict(metric) for metric in config.metrics],
        "latencyEdges": list(config.latency_edges),
    }


def _finding(finding: ev.MetricFinding) -> Json:
    return {
        "name": finding.name,
        "verdict": finding.verdict,
        "candidate": [finding.candidate, finding.candidate_bad],
        "stable": [finding.stable, finding.stable_bad],
        "phi": finding.phi,
        "phiSource": finding.phi_source,
        "against": finding.against,
        "proven": finding.proven,
        "needed": finding.needed,
        "interval": [finding.low, finding.high],
        "slower": finding.slower,
        "message": finding.sentence,
    }


def _look(row: Row) -> Json:
    block = row.look.block
    out: Json = {"at": row.look.at_s, "weight": row.look.weight}
    if block is not None:
        out["since"] = block.start_s
        for track, counts in (("stable", block.stable), ("candidate", block.candidate)):
            out[track] = {"requests": counts.requests, "bad": counts.bad, "latency": _sparse(counts.latency)}
    return {**out, "against": row.judged.against, "verdict": row.judged.verdict}


def _sparse(buckets: tuple[int, ...]) -> dict[str, int]:
    """Index of the bucket and its requests, empty ones left out."""
    return {str(i): count for i, count in enumerate(buckets) if count}


def _decision(judged: ev.Judgement) -> Json:
    return {
        "verdict": judged.verdict,
        "reason": judged.reason,
        "against": judged.against,
        "message": judged.sentence,
        "passes": judged.verdict is Verdict.PASS,
    }
