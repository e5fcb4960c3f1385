"""The Jobs of a run: what each one is told, derived from the run's spec and the facts so far."""

from __future__ import annotations

from collections.abc import Sequence

from edgeramp.api.common import Attempts
from edgeramp.api.optimizationrun import CandidateResult, CertificationTry, OptimizationRunStatus, Winner
from edgeramp.decide.gates import class_retention, quality_kept
from edgeramp.decide.hardware import PROBED, Node, selected_features
from edgeramp.decide.jobs_step import Work
from edgeramp.decide.optimize.context import Context
from edgeramp.decide.optimize.findings import certificate, findings
from edgeramp.decide.optimize.search import baseline, candidate_of, row_of
from edgeramp.render.job import HOSTNAME, JobOrder
from edgeramp.report import (
    ArtifactRef,
    BenchmarkProfile,
    CertifySpec,
    MeasureSpec,
    PackageSpec,
    PrepareSpec,
    Runner,
)
from edgeramp.report.spec import JobSpec
from edgeramp.values.names import LABEL_CANDIDATE
from edgeramp.values.quantities import cpu_cores, ratio, seconds

EXTENSION = 3  # how much longer a measurement is repeated whose bounds did not decide; once
PROCESSES = 3  # fresh pairs that a measurement starts
MEMORY_PROCESSES = 5  # where the gate is about the memory of processes
VOID_LIMIT = 3  # the third disturbed measurement is taken as it is: Inconclusive
MAX_ACCURACY_DROP = 0.01  # accuracy control stops reverting operators here


def prepare(ctx: Context, node: Node, row: CandidateResult) -> Work:
    """Convert or quantize. Only accuracy control may look at the selection split."""
    candidate = candidate_of(ctx.spec, row.id)
    sees_selection = candidate.technique == "accuracy-control"
    spec = PrepareSpec(
        run=ctx.run_ref,
        store=ctx.store,
        deadline_seconds=ctx.settings.job_deadline_seconds,
        candidate=candidate,
        model=ArtifactRef(digest=ctx.spec.source, format=ctx.spec.format),
        calibration=ArtifactRef(digest=ctx.spec.data.calibration),
        selection=ArtifactRef(digest=ctx.spec.data.selection) if sees_selection else None,
        metric=ctx.spec.metric,
        max_accuracy_drop=MAX_ACCURACY_DROP,
        required_isa=required_isa(ctx),
    )
    return _work(ctx, node, row.id, spec, row.tries, threads=0)


def measure(
    ctx: Context,
    node: Node,
    row: CandidateResult,
    reference: CandidateResult,
    rows: Sequence[CandidateResult],
) -> Work:
    """Candidate against reference on the selection split."""
    threads = threads_of(ctx)
    wanted, longer = ctx.spec.benchmark, EXTENSION**row.tries.extended
    budget = seconds(wanted.budget) * longer
    spec = MeasureSpec(
        run=ctx.run_ref,
        store=ctx.store,
        deadline_seconds=ctx.settings.job_deadline_seconds + int(budget),
        reference=runner(reference),
        candidate=runner(row),
        data=ArtifactRef(digest=ctx.spec.data.selection),
        metric=ctx.spec.metric,
        retention=quality_kept(ctx.spec.metric, ctx.spec.gates),
        class_retention=class_retention(ctx.spec.gates),
        benchmark=BenchmarkProfile(
            threads=threads,
            min_rounds=wanted.min_rounds * longer,
            budget_seconds=budget,
            processes=longer
            * (PROCESSES if ctx.spec.gates.memory_metric == "artifact" else MEMORY_PROCESSES),
            confidence=ratio(ctx.spec.gates.confidence),
        ),
        reference_seconds=_shortest(reference, rows),
        required_isa=required_isa(ctx),
    )
    return _work(ctx, node, row.id, spec, row.tries, threads)


def _shortest(reference: CandidateResult, rows: Sequence[CandidateResult]) -> float | None:
    """The shortest median that this run has seen of the reference, in seconds."""
    own = [reference.measured.latency.candidate_p50] if reference.measured else []
    others = [r.measured.latency.reference_p50 for r in rows if r.measured and r.reference == reference.id]
    return min((*own, *others), default=0.0) / 1e3 or None


def certify(ctx: Context, node: Node, attempt: CertificationTry, status: OptimizationRunStatus) -> Work:
    """The winner's quality on data that no search saw, at this try's alpha."""
    base = baseline(ctx.spec, status.candidates)
    row, reference = _prepared(status, attempt.candidate), _prepared(status, base.reference)
    spec = CertifySpec(
        run=ctx.run_ref,
        store=ctx.store,
        deadline_seconds=ctx.settings.job_deadline_seconds,
        reference=runner(reference),
        candidate=runner(row),
        data=ArtifactRef(digest=ctx.spec.data.certification),
        metric=ctx.spec.metric,
        retention=quality_kept(ctx.spec.metric, ctx.spec.gates),
        class_retention=class_retention(ctx.spec.gates),
        alpha=float(attempt.alpha),
    )
    return _work(ctx, node, f"certify/{row.id}", spec, attempt.tries, threads_of(ctx))


def package(ctx: Context, node: Node, winner: Winner, status: OptimizationRunStatus, certified: bool) -> Work:
    """The artifact that a Rollout serves, with its signed certificate (for the baseline: a statement of what it is)."""
    row = _prepared(status, winner.candidate)
    spec = PackageSpec(
        run=ctx.run_ref,
        store=ctx.store,
        deadline_seconds=ctx.settings.job_deadline_seconds,
        model_name=ctx.spec.model,
        version=ctx.spec.revision if certified else f"{ctx.spec.revision}-baseline",
        runner=runner(row),
        certificate=certificate(ctx, node, row, status, certified),
        findings=findings(ctx, node, row, status, certified).model_dump(mode="json", by_alias=True),
    )
    return _work(ctx, None, f"package/{row.id}", spec, winner.tries, threads=0)


def required_isa(ctx: Context) -> tuple[str, ...]:
    """What the target's labels promise, as far as a Job can probe it."""
    return tuple(f for f in selected_features(ctx.spec.target.node_selector) if f in PROBED)


def runner(row: CandidateResult) -> Runner:
    """A prepared candidate, ready to be executed."""
    if row.prepared is None:
        raise ValueError(f"{row.id} is not prepared")
    artifact = ArtifactRef(digest=row.prepared.artifact, format=row.prepared.format)
    return Runner(id=row.id, framework=row.framework, precision=row.precision, artifact=artifact)


def threads_of(ctx: Context) -> int:
    """Threads equal the allotment: whole CPUs of the target's resources."""
    return max(1, int(cpu_cores(ctx.spec.target.resources.cpu)))


def _prepared(status: OptimizationRunStatus, name: str) -> CandidateResult:
    row = row_of(status.candidates, name)
    if row is None:
        raise ValueError(f"no candidate {name!r}")
    return row


def _work(ctx: Context, node: Node | None, key: str, spec: JobSpec, tries: Attempts, threads: int) -> Work:
    selector: dict[str, str] = {}
    if node is not None:
        selector = {**ctx.spec.target.node_selector, HOSTNAME: node.hostname}
    order = JobOrder(
        spec=spec,
        owner=ctx.owner,
        labels={**ctx.labels, LABEL_CANDIDATE: key.rpartition("/")[2]},
        node_selector=selector,
        threads=threads,
    )
    return Work(key, order, tries, ctx.settings.max_attempts)
