"""What changed between two looks at our objects, as lines for people. Pure: old status, new status, lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Status = Mapping[str, Any]
GATE_WORDS = {
    "accuracyRetention": "accuracy kept",
    "speedup": "speed",
    "memoryReduction": "memory saved",
    "latencyVariation": "variation",
}
CANDIDATE_COLUMNS = (
    "candidate",
    "technique",
    "p50",
    "speed",
    "accuracy kept",
    "memory saved",
    "verdict",
    "why not",
)


@dataclass(frozen=True)
class Line:
    """A line of the story; `good` and `bad` colour it."""

    text: str
    tone: str = ""


def edgemodel_lines(old: Status, new: Status) -> Iterator[Line]:
    """Staging, the assessment, and each target's phases."""
    for kind in ("SourceReady", "Assessed"):
        before, after = _condition(old, kind), _condition(new, kind)
        decided = after.get("status") in ("True", "False")
        if decided and (before.get("status"), before.get("reason")) != (
            after.get("status"),
            after.get("reason"),
        ):
            good = after["status"] == "True"
            yield Line(
                f"{'assessed' if kind == 'Assessed' else 'staged'}: {after.get('message', '')}", _tone(good)
            )
    known = {t["name"]: t for t in old.get("targets") or []}
    for target in new.get("targets") or []:
        before = known.get(target["name"], {})
        if before.get("phase") == target.get("phase"):
            continue
        yield Line(f"{target['name']}: {_target_text(target)}", _target_tone(target.get("phase", "")))


def run_lines(target: str, old: Status, new: Status) -> Iterator[Line]:
    """The baseline, each candidate as it is judged, the certificate."""
    if new.get("bestF32") and not old.get("bestF32"):
        yield Line(
            f"{target}: the best FP32 on {new.get('node', 'the node')} is {new['bestF32']}; the speed gate refers to it"
        )
    known = {c["id"]: c for c in old.get("candidates") or []}
    for row in new.get("candidates") or []:
        before = known.get(row["id"], {})
        if row.get("verdict") and row.get("verdict") != before.get("verdict"):
            yield Line(
                f"{target}: {row['id']}: {row['verdict']} · {gates_text(row)}", _verdict_tone(row["verdict"])
            )
        elif row.get("state") == "Infeasible" and before.get("state") != "Infeasible":
            yield Line(
                f"{target}: {row['id']}: infeasible · {row.get('reason', '')} {row.get('message', '')[:160]}"
            )
    decided = len([t for t in old.get("certification") or [] if t.get("verdict")])
    for attempt in [t for t in new.get("certification") or [] if t.get("verdict")][decided:]:
        text = f"{target}: certification of {attempt['candidate']} at alpha {attempt['alpha']}: {attempt.get('message', '')}"
        yield Line(text, _verdict_tone(attempt["verdict"]))
    if new.get("finishedAt") and not old.get("finishedAt"):
        good = new.get("phase") == "Certified"
        yield Line(f"{target}: {new.get('phase')}: {new.get('message', '')[:600]}", _tone(good))


def rollout_lines(target: str, old: Status, new: Status) -> Iterator[Line]:
    """Each change of the weights with the operator's words, each hold that says something new, the end."""
    candidate = (new.get("candidate") or {}).get("revision")
    if candidate and candidate != (old.get("candidate") or {}).get("revision"):
        served = new["candidate"]
        yield Line(
            f"{target}: ramp of revision {candidate} ({served.get('framework')} {served.get('precision')}) begins"
        )
    for step in new_weights(old, new):
        yield Line(f"{target}: weight {step['weight']} % · {step.get('message', '')}", "cyan")
    for entry in (new.get("history") or [])[len(old.get("history") or []) :]:
        good = entry["outcome"] in ("Promoted", "FastPromoted")
        yield Line(f"{target}: {_said(entry['outcome'], entry.get('message', ''))}", _tone(good))
    if new.get("phase") != old.get("phase") and new.get("phase") in ("Paused", "Degraded"):
        yield Line(f"{target}: {new['phase']}: {new.get('message', '')}", "yellow")


def new_weights(old: Status, new: Status) -> list[Mapping[str, Any]]:
    """Weight records that the older status does not have; the list is bounded, so it may have moved."""
    known = {(w["at"], w["weight"]) for w in old.get("weights") or []}
    return [w for w in new.get("weights") or [] if (w["at"], w["weight"]) not in known]


def gates_text(row: Mapping[str, Any]) -> str:
    """One candidate's gates: value, bound, verdict where it is not Pass."""
    parts = []
    for gate in row.get("gates") or []:
        bound = f" (bound {gate['bound']})" if gate.get("bound") else ""
        verdict = "" if gate["verdict"] == "Pass" else f" {gate['verdict']}"
        parts.append(f"{GATE_WORDS.get(gate['gate'], gate['gate'])} {gate['value']}{bound}{verdict}")
    return ", ".join(parts) or row.get("message", "")[:200]


def candidate_rows(status: Status) -> list[list[str]]:
    """The table of a run: id, technique, p50, speed-up, accuracy kept, artifact, verdict, why not."""
    winner = (status.get("winner") or {}).get("candidate")
    rows = []
    for row in status.get("candidates") or []:
        by_gate = {g["gate"]: g for g in row.get("gates") or []}
        latency = (row.get("measured") or {}).get("latency") or {}
        p50 = f"{latency['candidateP50']:.3f} ms" if "candidateP50" in latency else ""
        figures = [
            by_gate.get(name, {}).get("value", "")
            for name in ("speedup", "accuracyRetention", "memoryReduction")
        ]
        verdict = "winner" if row["id"] == winner else row.get("verdict") or row.get("state", "")
        why = "" if row["id"] == winner else (row.get("message") or row.get("reason") or "")[:90]
        rows.append([row["id"], row.get("technique", ""), p50, *figures, verdict, why])
    return rows


def _target_text(target: Mapping[str, Any]) -> str:
    phase, message = target.get("phase", ""), target.get("message", "")
    if phase == "Certified":
        artifact = str(target.get("artifact", "")).rpartition("@")[2][:19]
        return f"certified: {target.get('framework')} {target.get('precision')}, {target.get('speedup')}, {artifact}…"
    return _said(phase, message)[:400]


def _said(word: str, message: str) -> str:
    """`word: message`, without the word where the message begins with it ("Rolled back: …" says RolledBack)."""
    if message.replace(" ", "").lower().startswith(word.lower()):
        return message
    return f"{word}: {message}" if message else word


def _target_tone(phase: str) -> str:
    if phase in ("Certified", "Promoted"):
        return "green"
    return (
        "red"
        if phase in ("RolledBack", "Failed")
        else "yellow"
        if phase in ("Stalled", "NoCandidate")
        else ""
    )


def _condition(status: Status, kind: str) -> Mapping[str, Any]:
    return next((c for c in status.get("conditions") or [] if c["type"] == kind), {})


def _tone(good: bool) -> str:
    return "green" if good else "red"


def _verdict_tone(verdict: str) -> str:
    return {"Pass": "green", "Fail": "red"}.get(verdict, "yellow")
