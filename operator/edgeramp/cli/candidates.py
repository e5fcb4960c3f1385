"""An OptimizationRun as a report: its candidates, gates, figures and frontier. The shape of `report -o json`, and its
tables. Pure; read as leniently as the tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeramp.cli.screen import NARROW, Shape, plain_table, word

Json = dict[str, Any]
GATES = {
    "accuracyRetention": "kept",
    "speedup": "speed",
    "memoryReduction": "saved",
    "latencyVariation": "spread",
    "perplexityRatio": "perplexity",
    "agreement": "agree",
    "classRetention": "class",
}
"""The gates as columns; those that a run does not have take no room."""


class GateLine(Shape):
    """One gate on one candidate. `bound` is what the data prove, `required` what was demanded."""

    gate: str
    verdict: str
    value: str
    bound: str
    required: str


class CandidateLine(Shape):
    """One candidate. `frontier`: no other one is better in every respect. `score`: of those that pass, by the
    objective's weights. Milliseconds and bytes; None where nothing was measured."""

    id: str
    framework: str
    precision: str
    technique: str
    state: str
    verdict: str
    reason: str
    reference: str
    gates: list[GateLine]
    p50_ms: float | None
    size_bytes: int | None
    frontier: bool
    score: str
    chosen: bool
    message: str


class TryLine(Shape):
    """One look at the data that no search saw."""

    candidate: str
    alpha: str
    verdict: str
    message: str


class Report(Shape):
    """One run."""

    namespace: str
    name: str
    model: str
    target: str
    revision: str
    phase: str
    progress: str
    message: str
    node: str
    best_f32: str
    chosen: str
    artifact: str
    candidates: list[CandidateLine]
    certification: list[TryLine]
    exclusions: list[str]


def report(run: Json) -> Report:
    """The report on an OptimizationRun as served."""
    meta, spec, status = run["metadata"], run["spec"], run.get("status") or {}
    winner = status.get("winner") or {}
    chosen = str(winner.get("candidate", ""))
    known = status.get("candidates") or spec.get("candidates") or []
    return Report(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        model=spec["model"],
        target=spec["target"]["name"],
        revision=spec["revision"],
        phase=status.get("phase") or "",
        progress=status.get("progress") or "",
        message=status.get("message") or "",
        node=status.get("node") or "",
        best_f32=status.get("bestF32") or "",
        chosen=chosen,
        artifact=(winner.get("packaged") or {}).get("reference", ""),
        candidates=[_candidate(row, chosen) for row in known],
        certification=[_try(t) for t in status.get("certification") or []],
        exclusions=list(spec.get("exclusions") or []),
    )


def drawing(told: Report, width: int) -> RenderableType:
    """Head, table of figures, and a sentence for each candidate. A narrow terminal gets no bounds, sizes and scores."""
    parts: list[RenderableType] = [Text(line) for line in _head(told)]
    parts += [Text(""), _figures(told.candidates, with_bounds=width >= NARROW), Text(""), _reasons(told)]
    return Group(*parts)


def _head(told: Report) -> Iterator[str]:
    yield f"{told.name}: {told.phase or 'no phase yet'} ({told.progress or '0'} candidates judged)"
    yield f"  {told.model}, target {told.target}, revision {told.revision}" + (
        f", measured on {told.node}" if told.node else ""
    )
    if told.message:
        yield f"  {told.message}"
    if told.artifact:
        yield f"  serves {told.artifact}"


def _figures(candidates: Sequence[CandidateLine], with_bounds: bool) -> RenderableType:
    have = {gate.gate for row in candidates for gate in row.gates}
    judged = [gate for gate in GATES if gate in have]
    heads = ("candidate", "verdict", *(GATES[gate] for gate in judged), "p50")
    table = plain_table(*heads, *(["MB", "score"] if with_bounds else []))
    for column in table.columns:
        column.no_wrap = True
    for row in candidates:
        mark = "* " if row.chosen else "+ " if row.frontier else "  "
        gates = {g.gate: g for g in row.gates}
        size = "" if row.size_bytes is None else f"{row.size_bytes / 1e6:.3g}"
        table.add_row(
            mark + row.id,
            word(row.verdict or row.reason or row.state),
            *(_cell(gates.get(gate), with_bounds) for gate in judged),
            "" if row.p50_ms is None else f"{row.p50_ms:.3g}",
            *([size, row.score] if with_bounds else []),
        )
    bounds = "; below a figure what the data prove" if with_bounds else ""
    return Group(table, Text(f"* chosen   + on the frontier   ! does not pass   p50 in ms{bounds}"))


def _cell(gate: GateLine | None, with_bound: bool) -> Text:
    """The figure, marked where the gate does not pass, and under it the bound."""
    if gate is None:
        return Text("")
    missed = gate.verdict != "Pass"
    said = Text(f"{gate.value}{'!' if missed else ''}", style=word(gate.verdict).style if missed else "")
    return said.append(f"\n{gate.bound}", style="dim") if gate.bound and with_bound else said


def _reasons(told: Report) -> RenderableType:
    table = plain_table("candidate", "why")
    table.columns[0].no_wrap = True
    for row in told.candidates:
        table.add_row(row.id, row.message or row.reason or row.state)
    for tried in told.certification:
        table.add_row(
            tried.candidate, f"certification at alpha {tried.alpha}: {tried.verdict} {tried.message}"
        )
    for excluded in told.exclusions:
        name, _, why = excluded.partition(": ")
        table.add_row(name, f"not tried: {why}")
    return table


def _candidate(row: Json, chosen: str) -> CandidateLine:
    measured, prepared = row.get("measured") or {}, row.get("prepared") or {}
    return CandidateLine(
        id=row["id"],
        framework=row["framework"],
        precision=row["precision"],
        technique=row["technique"],
        state=row.get("state") or "Pending",
        verdict=row.get("verdict") or "",
        reason=row.get("reason") or "",
        reference=row.get("reference") or "",
        gates=[_gate(g) for g in row.get("gates") or []],
        p50_ms=(measured.get("latency") or {}).get("candidateP50"),
        size_bytes=prepared.get("sizeBytes"),
        frontier=bool(row.get("pareto")),
        score=row.get("score") or "",
        chosen=row["id"] == chosen,
        message=row.get("message") or "",
    )


def _gate(found: Json) -> GateLine:
    return GateLine(
        gate=found["gate"],
        verdict=found["verdict"],
        value=found["value"],
        bound=found.get("bound") or "",
        required=found["required"],
    )


def _try(found: Json) -> TryLine:
    return TryLine(
        candidate=found["candidate"],
        alpha=found["alpha"],
        verdict=found.get("verdict") or "",
        message=found.get("message") or "",
    )
