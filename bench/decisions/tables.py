"""The result of bench.decisions as Markdown: what a person reads, the losses with the wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(result: Mapping[str, Any], ours: str, peers: Sequence[str]) -> str:
    """All tables."""
    parts = [
        "# Decisions of the ramp, by simulation",
        "",
        f"Printed by `{result['command']}` in {result['seconds']:.0f} s, seed {result['seed']}. **Simulated data only.**",
        "Open-loop Poisson traffic, 100 requests/s where nothing else is said, a look every 5 s. The other rules are ours"
        " after their documents and sources (bench/decisions/rules.py), fed the same counts; they read error rates.",
        "",
        "## Healthy candidates rolled back in half an hour",
        "",
        "Both tracks are equally good. The promise (at most 1 %) is judged by the lower 99 % binomial bound; rows marked"
        " with † break its condition on purpose (something unknown fails more requests together than phi says).",
        "",
        *_healthy(result["healthy"], ours, peers),
        "",
        "## Faults: found within half an hour, median seconds, median requests served by the bad candidate",
        "",
        *_faults(result["faults"], ours, peers),
        "",
        "## Healthy ramps to 100 %",
        "",
        *_promotion(result["promotion"]),
        "",
    ]
    return "\n".join(parts)


def _healthy(rows: Sequence[Mapping[str, Any]], ours: str, peers: Sequence[str]) -> list[str]:
    names = (ours, *peers)
    lines = [f"| traffic | ramps | {' | '.join(names)} |", "| --- |" + " ---: |" * (len(names) + 1)]
    for row in rows:
        cells = [f"{100 * row['rolledBack'][name] / row['ramps']:.3g} %" for name in names]
        cells[0] = f"**{cells[0]}**" if row["kept"] else f"{cells[0]} (broken)"
        mark = "" if row["promised"] else " †"
        lines.append(f"| {row['traffic']}{mark} | {row['ramps']} | {' | '.join(cells)} |")
    return lines


def _faults(rows: Sequence[Mapping[str, Any]], ours: str, peers: Sequence[str]) -> list[str]:
    names = (ours, *peers)
    lines = [f"| fault | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    for row in rows:
        cells = [_seen(row["rules"][name], row["ramps"]) for name in names]
        lines.append(f"| {row['fault']} at {row['weight']} % | {' | '.join(cells)} |")
    return lines


def _seen(found: Mapping[str, Any], ramps: int) -> str:
    if not found["found"]:
        return "not seen"
    share = "" if found["found"] == ramps else f" ({found['found']} of {ramps})"
    return f"{found['medianSeconds']:.0f} s, {found['medianServed']:.0f}{share}"


def _promotion(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| weights | promoted | median | p90 | requests served |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        weights = ", ".join(str(w) for w in (*row["weights"], 100))
        lines.append(
            f"| {weights} % | {row['promoted']} of {row['ramps']} | {row['medianSeconds']:.0f} s"
            f" | {row['p90Seconds']:.0f} s | {row['medianServed']:.0f} |"
        )
    return lines
