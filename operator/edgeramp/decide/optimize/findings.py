"""What is certified and on which evidence, from the facts of a run: the certificate that the package Job signs, and the
findings that it makes the certification report of."""

from __future__ import annotations

from typing import Any

from edgeramp.api.optimizationrun import CandidateResult, CertificationTry, OptimizationRunStatus
from edgeramp.decide.hardware import Node, selected_features
from edgeramp.decide.optimize.context import Context
from edgeramp.recipes.common import BF16_DOT, INT8_DOT
from edgeramp.report.certification import (
    Approval,
    Contender,
    Evidence,
    Finding,
    Findings,
    Identity,
    Look,
    Threshold,
    Validity,
)
from edgeramp.report.summary import MeasureSummary, Memory, Quality
from edgeramp.values.names import ANNOTATION_APPROVE
from edgeramp.values.quantities import ratio


def certificate(
    ctx: Context, node: Node, row: CandidateResult, status: OptimizationRunStatus, certified: bool
) -> dict[str, object]:
    """What is certified, on which evidence, for which CPUs. Plain JSON; the package Job adds time and report, and signs."""
    tried = _look(status, row)
    content: dict[str, Any] = {
        "schema": "edgeramp.dev/certificate/v1",
        "certified": certified,
        "model": ctx.spec.model,
        "namespace": ctx.owner.namespace,
        "revision": ctx.spec.revision,
        "target": ctx.spec.target.name,
        "nodeSelector": dict(sorted(ctx.spec.target.node_selector.items())),
        "isa": list(certified_isa(ctx, node, row)),
        "node": node.name,
        "candidate": row.id,
        "framework": row.framework,
        "precision": row.precision,
        "source": ctx.spec.source,
        "data": ctx.spec.data.wire(),
        "gates": ctx.spec.gates.explicit().wire(),
        "results": [g.wire() for g in row.gates],
        "reference": row.reference,
        "monitoring": [t.model_dump(mode="json", by_alias=True) for t in monitoring(ctx, row, tried)],
    }
    if row.measured and row.measured.report:
        content["measureReport"] = row.measured.report
    if certified and tried and tried.quality:
        content["certification"] = {
            "alpha": tried.alpha,
            "quality": tried.quality.model_dump(mode="json", by_alias=True),
        }
    return content


def findings(
    ctx: Context, node: Node, row: CandidateResult, status: OptimizationRunStatus, certified: bool
) -> Findings:
    """Everything the report says but the artifact's digest, the time and the distributions."""
    tried, seen = _look(status, row), row.measured
    return Findings(
        certified=certified,
        identity=_identity(ctx, row),
        findings=tuple(Finding.model_validate(g.model_dump()) for g in row.gates),
        looks=tuple(
            Look(candidate=t.candidate, alpha=t.alpha, verdict=t.verdict, quality=t.quality, message=t.message)
            for t in status.certification
        ),
        contenders=tuple(_contender(r, r.id == row.id) for r in status.candidates),
        latency=seen.latency if seen else None,
        memory=seen.memory if seen else None,
        environment=seen.environment if seen else None,
        confidence=ctx.spec.gates.confidence,
        gates={name: str(value) for name, value in ctx.spec.gates.explicit().wire().items()},
        validity=Validity(
            isa=certified_isa(ctx, node, row),
            node_selector=dict(sorted(ctx.spec.target.node_selector.items())),
            data=ctx.spec.data.wire(),
            days=ctx.settings.certificate_days,
        ),
        monitoring=monitoring(ctx, row, tried),
        approval=_approval(ctx, certified),
        evidence=Evidence(
            measure=seen.report if seen else None, certify=tried.report if tried and certified else None
        ),
    )  # fmt: skip


def certified_isa(ctx: Context, node: Node, row: CandidateResult) -> tuple[str, ...]:
    """CPU features that a node must promise by label to serve this: what the target selects, and the instructions that
    the precision was measured with. Where nodes carry no such labels, the probe of the measuring Job counts."""
    needs = {"int8": INT8_DOT, "bf16": BF16_DOT}.get(row.precision, frozenset())
    probed = frozenset(row.measured.environment.isa) if row.measured else frozenset()
    promised = node.features or probed
    return tuple(sorted((needs & promised) | frozenset(selected_features(ctx.spec.target.node_selector))))


def monitoring(ctx: Context, row: CandidateResult, tried: CertificationTry | None) -> tuple[Threshold, ...]:
    """What to watch: each limit is where the gate that the artifact passed would be missed; no figure is made up."""
    if row.measured is None:
        return ()
    quality = tried.quality if tried and tried.quality else row.measured.quality
    return tuple(
        t
        for t in (_quality(ctx, quality), *_times(ctx, row.measured), _memory(ctx, row.measured.memory))
        if t
    )


def _quality(ctx: Context, quality: Quality) -> Threshold:
    if quality.text:
        return Threshold(
            metric=quality.metric, unit="", baseline=quality.candidate,
            limit=_short(ratio(ctx.spec.gates.perplexity) * quality.reference), direction="atMost", gate="perplexityRatio",
        )  # fmt: skip
    kept = ratio(ctx.spec.gates.retention)
    return Threshold(
        metric=quality.metric, unit="", baseline=quality.candidate, limit=_short(kept * quality.reference),
        direction="atLeast", gate="accuracyRetention",
    )  # fmt: skip


def _times(ctx: Context, seen: MeasureSummary) -> tuple[Threshold | None, Threshold]:
    faster, latency = ratio(ctx.spec.gates.speedup), seen.latency
    slowest = Threshold(
        metric="latencyP50", unit="ms", baseline=latency.candidate_p50,
        limit=_short(latency.reference_p50 / faster), direction="atMost", gate="speedup",
    ) if faster else None  # fmt: skip
    unsteady = Threshold(
        metric="latencyVariation", unit="", baseline=seen.consistency.variation,
        limit=ratio(ctx.spec.gates.latency_variation), direction="atMost", gate="latencyVariation",
    )  # fmt: skip
    return slowest, unsteady


def _memory(ctx: Context, memory: Memory) -> Threshold | None:
    metric = ctx.spec.gates.memory_metric
    used, reference = {
        "artifact": (memory.artifact, memory.artifact_reference),
        "incrementalRss": (memory.incremental_rss, memory.incremental_rss_reference),
        "privateDirty": (memory.private_dirty, memory.private_dirty_reference),
    }[metric]
    if used is None or not reference:
        return None
    limit = _short((1 - ratio(ctx.spec.gates.memory_reduction)) * reference)
    return Threshold(
        metric=metric, unit="B", baseline=used, limit=limit, direction="atMost", gate="memoryReduction"
    )


def _identity(ctx: Context, row: CandidateResult) -> Identity:
    return Identity(
        model=ctx.spec.model,
        namespace=ctx.owner.namespace,
        revision=ctx.spec.revision,
        target=ctx.spec.target.name,
        source=ctx.spec.source,
        candidate=row.id,
        framework=row.framework,
        precision=row.precision,
        technique=row.technique,
        reference=row.reference,
    )


def _contender(row: CandidateResult, chosen: bool) -> Contender:
    seen = row.measured
    return Contender(
        id=row.id,
        framework=row.framework,
        precision=row.precision,
        technique=row.technique,
        verdict=row.verdict,
        message=(row.message or row.reason)[:1024],
        frontier=row.pareto,
        chosen=chosen,
        reference=row.reference,
        speedup=seen.latency.speedup if seen else None,
        speedup_lower=seen.latency.speedup_lower if seen else None,
        retention=seen.quality.retention if seen else None,
        retention_lower=seen.quality.lower if seen else None,
        artifact_bytes=seen.memory.artifact if seen else row.prepared.size_bytes if row.prepared else None,
    )


def _approval(ctx: Context, certified: bool) -> Approval:
    where = f"{ctx.spec.model} -n {ctx.owner.namespace}"
    return Approval(
        basis="gates" if certified else "none",
        record=f"EdgeModel {ctx.owner.namespace}/{ctx.spec.model}, status.verbs",
        command=f"kubectl annotate edgemodel {where} {ANNOTATION_APPROVE}={ctx.spec.revision}",
    )


def _look(status: OptimizationRunStatus, row: CandidateResult) -> CertificationTry | None:
    return next((t for t in status.certification if t.candidate == row.id), None)


def _short(value: float) -> float:
    """Six significant digits."""
    return float(f"{value:.6g}")
