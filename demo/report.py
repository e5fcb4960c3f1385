"""What was measured: the expectations, the summary table, and demo-report.json.

demo-report.json, schema version 1 (times in seconds, moments in seconds since the epoch):

    schemaVersion      1
    startedAt, seconds when it began, how long it took
    cold               whether nothing had been built on this machine before
    phases             {phase: seconds}; "go builds" stands apart
    machine            {cpu, cores, memoryBytes, kernel}
    versions           {kubernetes, python, commit, images: {name: reference}}
    expectations       [{name, met, detail}]; `ok` is true when all are met
    acts               per act: {applied, ended, targets: {name: Target}, traffic: {host: counts}}
    Target             {node, baseline, winner, candidates: [Candidate], ramp: [{at, weight, message}],
                        outcome, message, failedRequests: {stable, candidate: {total, failed}}, detection}
    Candidate          {id, framework, technique, precision, state, verdict, p50Ms, speedup, speedupLower, retention,
                        retentionLower, artifactBytes, reason}
    detection          {firstBadAt, weightZeroAt, seconds}, in the acts with a bad revision
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo import paths, shell
from demo.screen import Screen

ACT_COLUMNS = (
    "target", "winner", "p50 (FP32)", "speed (bound)", "accuracy kept (bound)", "artifact", "ramp", "requests", "outcome",
)  # fmt: skip


@dataclass(frozen=True)
class Expectation:
    name: str
    met: bool
    detail: str = ""


@dataclass
class Report:
    """Filled while the demo runs; written whatever happens."""

    started_at: float
    cold: bool
    phases: dict[str, float] = field(default_factory=dict)
    expectations: list[Expectation] = field(default_factory=list)
    acts: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)

    def expect(self, screen: Screen, name: str, met: bool, detail: str = "") -> bool:
        """Note an expectation as met or not, and say so."""
        self.expectations.append(Expectation(name, met, detail))
        (screen.good if met else screen.bad)(
            f"{'met' if met else 'NOT MET'}: {name}{f' · {detail}' if detail else ''}"
        )
        return met

    @property
    def ok(self) -> bool:
        return bool(self.expectations) and all(e.met for e in self.expectations)

    def write(self, path: Path, seconds: float) -> None:
        body = {
            "schemaVersion": 1,
            "ok": self.ok,
            "startedAt": round(self.started_at, 3),
            "seconds": round(seconds, 1),
            "cold": self.cold,
            "phases": self.phases,
            "machine": machine(),
            "versions": self.versions,
            "published": self.published,
            "expectations": [vars(e) for e in self.expectations],
            "acts": self.acts,
        }
        path.write_text(json.dumps(body, indent=2) + "\n")

    def show(self, screen: Screen, seconds: float) -> None:
        """The tables at the end."""
        for name, act in self.acts.items():
            screen.table(name, ACT_COLUMNS, [_row(target, facts) for target, facts in act["targets"].items()])
        times = [*self.phases.items(), ("all", seconds)]
        screen.table("time", ("phase", "seconds"), [[name, f"{spent:.0f}"] for name, spent in times])
        rows = [["met" if e.met else "NOT MET", e.name, e.detail] for e in self.expectations]
        screen.table("expectations", ("", "what", "seen"), rows)


def candidate(row: Mapping[str, Any]) -> dict[str, Any]:
    """One candidate of a run's status, in the report's form."""
    measured = row.get("measured") or {}
    latency, quality, memory = (measured.get(k) or {} for k in ("latency", "quality", "memory"))
    return {
        "id": row["id"],
        "framework": row.get("framework"),
        "technique": row.get("technique"),
        "precision": row.get("precision"),
        "state": row.get("state"),
        "verdict": row.get("verdict"),
        "reference": row.get("reference"),
        "referenceP50Ms": latency.get("referenceP50"),
        "p50Ms": latency.get("candidateP50"),
        "speedup": latency.get("speedup"),
        "speedupLower": latency.get("speedupLower"),
        "retention": quality.get("retention"),
        "retentionLower": quality.get("lower"),
        "artifactBytes": memory.get("artifact"),
        "referenceArtifactBytes": memory.get("artifactReference"),
        "reason": row.get("reason") or row.get("message", "")[:300],
    }


def run_facts(status: Mapping[str, Any]) -> dict[str, Any]:
    """What a finished run says: node, baseline, winner, all candidates."""
    return {
        "node": status.get("node"),
        "phase": status.get("phase"),
        "message": status.get("message"),
        "startedAt": status.get("startedAt"),
        "finishedAt": status.get("finishedAt"),
        "baseline": status.get("bestF32"),
        "winner": (status.get("winner") or {}).get("candidate"),
        "certification": status.get("certification"),
        "candidates": [candidate(row) for row in status.get("candidates") or []],
    }


def machine() -> dict[str, Any]:
    """The facts about the hardware without which figures say little."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), ""
    )
    flags = next(
        (line.partition(":")[2].split() for line in cpuinfo.splitlines() if line.startswith("flags")), []
    )
    interesting = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    return {
        "cpu": model or platform.processor(),
        "isa": [flag for flag in interesting if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memoryBytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
    }


def versions(kubernetes: str) -> dict[str, Any]:
    """What ran: versions, commit, image references by digest."""
    images = paths.local.state_dir() / "images-values.yaml"
    try:
        commit = shell.output(["git", "describe", "--always", "--dirty"]).strip()
    except (shell.CommandFailed, OSError):
        commit = ""
    return {
        "kubernetes": kubernetes,
        "python": platform.python_version(),
        "commit": commit,
        "images": json.loads(images.read_text())["images"] if images.exists() else {},
        "argv": sys.argv[1:],
    }


def _row(target: str, facts: Mapping[str, Any]) -> list[str]:
    rows = {c["id"]: c for c in facts.get("candidates", [])}
    best = rows.get(str(facts.get("winner")), {})
    ramp = "→".join(str(step["weight"]) for step in facts.get("ramp", []))
    tracks = facts.get("failedRequests", {})
    requests = ", ".join(f"{track} {c['total']} ({c['failed']} failed)" for track, c in tracks.items())
    detection = facts.get("detection") or {}
    outcome = str(facts.get("outcome", ""))
    if detection.get("seconds") is not None:
        outcome += f" {detection['seconds']:.1f} s after the first bad answer"
    return [
        target,
        f"{best.get('id', '')}",
        _text(best, "{p50Ms:.3f} ms ({referenceP50Ms:.3f})"),
        _text(best, "{speedup:.2f}x ({speedupLower:.2f}x)"),
        _text(best, "{retention:.4f} ({retentionLower:.4f})"),
        _smaller(best),
        ramp,
        requests,
        outcome,
    ]


def _text(facts: Mapping[str, Any], form: str) -> str:
    try:
        return form.format(**facts)
    except (KeyError, TypeError, ValueError):
        return ""


def _smaller(facts: Mapping[str, Any]) -> str:
    have, reference = facts.get("artifactBytes"), facts.get("referenceArtifactBytes")
    return f"{100 * (have / reference - 1):+.0f} %" if have and reference else ""
