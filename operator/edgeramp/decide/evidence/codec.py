"""The state as JSON types, compact: lists by position, histograms as one run without the zeros at both ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgeramp.decide.evidence import errors, latency
from edgeramp.decide.evidence.blocks import Buckets
from edgeramp.decide.evidence.config import ErrorsMetric, EvidenceConfig, Metric
from edgeramp.decide.evidence.state import (
    VERSION,
    Counters,
    Difference,
    Dispersion,
    ErrorsEvidence,
    EvidenceState,
    LastLatency,
    LastRequests,
    LatencyEvidence,
    MetricEvidence,
    Pair,
    Promotion,
    RankSums,
    Running,
)

COUNTERS_LIMIT = 8192
"""Bytes that last counters may take. With very many pods those that do not fit start with a new baseline."""


def to_json(state: EvidenceState) -> dict[str, Any]:
    """A compact dict of JSON types, under 16 KiB; `from_json` gives back an equal state."""
    return {
        "version": VERSION,
        "times": [state.now_s, state.weight_since_s, state.began_s],
        "weight": state.weight,
        "minutesPaid": state.minutes_paid,
        "missing": [state.missing_requests, state.missing_latency],
        "recent": [_pair(pair) for pair in state.recent],
        "metrics": [_encoded(evidence) for evidence in state.metrics],
        "counters": _counters(state.counters) if state.counters else None,
    }


def from_json(config: EvidenceConfig, data: Mapping[str, Any]) -> EvidenceState:
    """The inverse of `to_json`. Raises ValueError when `data` does not fit the config or this version."""
    if data.get("version") != VERSION:
        raise ValueError(f"evidence of version {data.get('version')!r}, but this operator writes {VERSION}")
    try:
        if [part["kind"] for part in data["metrics"]] != [_kind(metric) for metric in config.metrics]:
            raise ValueError("the evidence is of other metrics than spec.strategy.analysis names")
        now, since, began = data["times"]
        return EvidenceState(
            now_s=now,
            weight=data["weight"],
            weight_since_s=since,
            began_s=began,
            minutes_paid=data["minutesPaid"],
            metrics=tuple(
                _decoded(config, metric, part)
                for metric, part in zip(config.metrics, data["metrics"], strict=True)
            ),
            recent=tuple(Pair(*pair) for pair in data["recent"]),
            missing_requests=data["missing"][0],
            missing_latency=data["missing"][1],
            counters=_read_counters(config, data["counters"]) if data["counters"] else None,
        )
    except (KeyError, TypeError, IndexError) as problem:
        raise ValueError(f"the evidence in status cannot be read: {problem!r}") from problem


def _kind(metric: Metric) -> str:
    return "errors" if isinstance(metric, ErrorsMetric) else "latency"


def _encoded(evidence: MetricEvidence) -> dict[str, Any]:
    if isinstance(evidence, ErrorsEvidence):
        return {"kind": "errors", **_errors(evidence)}
    return {"kind": "latency", **_latency(evidence)}


def _decoded(config: EvidenceConfig, metric: Metric, data: Mapping[str, Any]) -> MetricEvidence:
    """Steps or margins may have been edited during the ramp: then promotion is proven anew, nothing else."""
    if isinstance(metric, ErrorsMetric):
        read = _read_errors(data)
        fresh = errors.no_promotion(config, metric)
        same = [p.target for p in read.promote] == [p.target for p in fresh]
        return read if same else replace(read, promote=fresh)
    pace = _read_latency(data, len(config.latency_edges) + 1)
    anew = latency.no_promotion(metric)
    return pace if len(pace.promote) == len(anew) else replace(pace, promote=anew)


def _errors(evidence: ErrorsEvidence) -> dict[str, Any]:
    return {
        "phi": [evidence.phi.phi, evidence.phi.source],
        "seen": list(evidence.seen),
        "wealth": list(evidence.wealth),
        "interval": list(evidence.interval),
        "promote": [[p.target, p.before, *p.logs] for p in evidence.promote],
        "counts": [_pair(pair) for pair in (evidence.pending, evidence.total, evidence.at_weight)],
    }


def _read_errors(data: Mapping[str, Any]) -> ErrorsEvidence:
    pending, total, at_weight = (Pair(*pair) for pair in data["counts"])
    return ErrorsEvidence(
        phi=Dispersion(*data["phi"]),
        seen=(data["seen"][0], data["seen"][1]),
        wealth=tuple(data["wealth"]),
        interval=tuple(data["interval"]),
        promote=tuple(Promotion(row[0], tuple(row[2:]), row[1]) for row in data["promote"]),
        pending=pending,
        total=total,
        at_weight=at_weight,
    )


def _latency(evidence: LatencyEvidence) -> dict[str, Any]:
    phis = (evidence.phi_ranks, evidence.phi_p95, evidence.phi_p99)
    return {
        "phi": [[phi.phi, phi.source] for phi in phis],
        "running": [[r.pairs, r.squares, r.last_n, r.last] for r in evidence.running],
        "reference": run(evidence.reference),
        "collecting": run(evidence.collecting),
        "held": [run(buckets) for buckets in evidence.held],
        "cuts": [evidence.cut95, evidence.cut99],
        "block": [evidence.block_s, evidence.pending_s, evidence.squares, evidence.blocks],
        "wealth": [list(x) for x in (evidence.shift, evidence.ranks, evidence.p95, evidence.p99)],
        "promote": list(evidence.promote),
        "ranks": [_ranks(sums) for sums in (evidence.pending, evidence.seen)],
        "tails": [_pair(pair) for pair in (evidence.total95, evidence.total99)],
        "shift": [_difference(part) for part in (evidence.total, evidence.at_weight)],
    }


def _read_latency(data: Mapping[str, Any], size: int) -> LatencyEvidence:
    block_s, pending_s, squares, blocks = data["block"]
    shift, ranks, p95, p99 = (tuple(logs) for logs in data["wealth"])
    phi_ranks, phi_p95, phi_p99 = (Dispersion(*phi) for phi in data["phi"])
    pending, seen = (RankSums(*sums) for sums in data["ranks"])
    total95, total99 = (Pair(*pair) for pair in data["tails"])
    runs = [Running(*row) for row in data["running"]]
    total, at_weight = (Difference(*part) for part in data["shift"])
    return LatencyEvidence(
        phi_ranks=phi_ranks,
        phi_p95=phi_p95,
        phi_p99=phi_p99,
        running=(runs[0], runs[1], runs[2]),
        reference=read_run(data["reference"], size),
        collecting=read_run(data["collecting"], size),
        held=(read_run(data["held"][0], size), read_run(data["held"][1], size)),
        cut95=data["cuts"][0],
        cut99=data["cuts"][1],
        block_s=block_s,
        pending_s=pending_s,
        squares=squares,
        blocks=blocks,
        shift=shift,
        ranks=ranks,
        p95=p95,
        p99=p99,
        promote=tuple(data["promote"]),
        pending=pending,
        seen=seen,
        total95=total95,
        total99=total99,
        total=total,
        at_weight=at_weight,
    )


def _counters(counters: Counters) -> dict[str, Any]:
    """Requests first: errors decide most; then as many histograms as fit."""
    out: dict[str, Any] = {"times": [counters.at_s, counters.fresh_s], "requests": [], "latency": []}
    left = COUNTERS_LIMIT
    for series in counters.requests:
        row: list[Any] = [series.track, series.source, series.total, series.bad, series.at_s]
        left -= _size(row)
        if left >= 0:
            out["requests"].append(row)
    for pod in counters.latency:
        row = [pod.track, pod.source, pod.at_s, run(pod.buckets)]
        left -= _size(row)
        if left >= 0:
            out["latency"].append(row)
    return out


def _read_counters(config: EvidenceConfig, data: Mapping[str, Any]) -> Counters:
    size = len(config.latency_edges) + 1
    return Counters(
        at_s=data["times"][0],
        fresh_s=data["times"][1],
        requests=tuple(LastRequests(*row) for row in data["requests"]),
        latency=tuple(
            LastLatency(track, source, read_run(numbers, size), at)
            for track, source, at, numbers in data["latency"]
        ),
    )


def _size(row: list[Any]) -> int:
    return len(json.dumps(row, separators=(",", ":"))) + 1


def _pair(pair: Pair) -> list[int]:
    return [pair.stable, pair.stable_bad, pair.candidate, pair.candidate_bad]


def _ranks(sums: RankSums) -> list[float]:
    return [sums.stable, sums.stable_sum, sums.candidate, sums.candidate_sum]


def _difference(part: Difference) -> list[float]:
    return [part.candidate, part.stable, part.weight, part.weighted]


def run(buckets: Buckets) -> list[int]:
    """[] for no histogram, else the index of the first bucket that is not empty and the counts from there on."""
    if not buckets:
        return []
    full = [i for i, count in enumerate(buckets) if count]
    return [full[0], *buckets[full[0] : full[-1] + 1]] if full else [0]


def read_run(numbers: list[int], size: int) -> Buckets:
    """The inverse of `run`, for so many buckets. ValueError when they do not fit."""
    if not numbers:
        return ()
    first, counts = numbers[0], numbers[1:]
    if first + len(counts) > size:
        raise ValueError("the evidence was taken with other latency buckets")
    return (*(0,) * first, *counts, *(0,) * (size - first - len(counts)))
