"""`python -m bench.path`: the four figures of the first complete path, on the running cluster with the chart installed.

    control     control-plane time from apply to promoted, beyond the Jobs' work and the ramp's mandated time: at most 20 s
    errors      20 % errors at 50 requests/s, 25 % weight, 1 s scrapes: from the first bad answer to weight 0 in 5 s (p95 8 s)
    crash       a candidate that was serving and crashes: weight 0 within 5 s
    ratio       certified speed-up over the bare tool's: at least 0.95

No request may fail on the stable side in any of them. Raw figures and machine facts go to bench/results/path-<date>.json,
a table to the .md beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.path import control, detection
from bench.path.detection import Trial, quantile
from demo import paths, report
from demo.acts import Stage
from demo.follow import Follower
from demo.kube import Kube, of_model, target_of
from demo.reach import Reach
from demo.report import Report
from demo.screen import Screen
from demo.watching import GatewayCounters, RouteWatch
from examples.publish import built, publish

PARTS = ("control", "errors", "crash", "ratio")
TARGET = "edge-box"
CONTROL_SECONDS, MEDIAN_SECONDS, P95_SECONDS, CRASH_SECONDS, RATIO = 20.0, 5.0, 8.0, 5.0, 0.95


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.path", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=5, help="rollbacks per kind (default: 5)")
    parser.add_argument(
        "--minutes", type=float, default=20, help="the longest that the control part may take"
    )
    parser.add_argument("--out", type=Path, default=paths.REPO / "bench" / "results")
    options = parser.parse_args(argv)
    screen, client = Screen(), Kube(paths.kubeconfig())
    folder, reach = built("digits"), Reach(client)
    found: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": report.machine(),
        "versions": report.versions(client.server_version()),
        "loadAtStart": os.getloadavg(),
    }
    try:
        publish(reach.store(), "digits", folder)
        with RouteWatch(client) as routes, GatewayCounters(client, reach.gateway_stats()) as counters:
            stage = Stage(
                screen, client, reach, Report(time.time(), False), Follower(client, screen, paths.MODEL), routes, counters,
                folder / "requests.npz", (TARGET,), 50.0, 0.2, options.minutes * 60,
            )  # fmt: skip
            found |= _measure(stage, folder, options.parts.split(","), options.runs)
    finally:
        reach.close()
        found["loadAtEnd"] = os.getloadavg()
        _write(options.out, found, screen)
    return 0 if found["rows"] and all(row["met"] for row in found["rows"]) else 1


def _measure(stage: Stage, folder: Path, parts: list[str], runs: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "control" in parts:
        stage.screen.phase("Control-plane time")
        found["control"] = control.measure(stage)
    if "ratio" in parts:
        stage.screen.phase("Certified against bare")
        found["ratio"] = ratio(stage.kube, folder)
    for kind in ("errors", "crash"):
        if kind in parts:
            stage.screen.phase(f"Time to a rollback: {kind}")
            trials = detection.trials(stage, folder, kind, runs)
            found[kind] = {"runs": [vars(t) | {"seconds": t.seconds} for t in trials], **summary(trials)}
    return found


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Median and p95 over the trials that were rolled back, and the requests that stable failed."""
    rolled = [t for t in trials if t.outcome == "RolledBack" and t.seconds == t.seconds]
    times = [t.seconds for t in rolled]
    return {
        "rolledBack": len(rolled),
        "of": len(trials),
        "median": quantile(times, 0.5),
        "p95": quantile(times, 0.95),
        "stableFailed": sum(t.stable_failed for t in trials),
        "stableTotal": sum(t.stable_total for t in trials),
    }


def ratio(client: Kube, folder: Path) -> dict[str, Any]:
    """The certified speed-up of static INT8 in ONNX Runtime, and the bare tool's, measured right now on this machine."""
    runs = [r for r in of_model(client.items("optimizationruns"), paths.MODEL) if target_of(r) == TARGET]
    runs.sort(key=lambda r: str(r["metadata"]["creationTimestamp"]))
    rows = [c for r in runs for c in (r.get("status") or {}).get("candidates") or []]
    certified = [
        c
        for c in rows
        if c["id"] == "ort-static-int8" and c.get("measured") and c.get("reference") == "ort-f32"
    ]
    if not certified:
        return {
            "met": False,
            "why": "no measured ort-static-int8 against ort-f32; run the control part first",
        }
    ours = certified[-1]["measured"]["latency"]
    argv = [sys.executable, "-m", "bench.path.bare", str(folder)]
    done = subprocess.run(
        argv, cwd=paths.REPO, env=paths.environment(), capture_output=True, text=True, check=True
    )
    bare = json.loads(done.stdout)
    keys = ("speedup", "speedupLower", "referenceP50", "candidateP50")
    return {
        "certified": {k: ours.get(k) for k in keys},
        "bare": bare,
        "ratio": round(ours["speedup"] / bare["speedup"], 3),
    }


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What was asked and what was found, one row per figure."""
    out = []

    def add(name: str, asked: str, seen: object, met: bool) -> None:
        out.append({"figure": name, "asked": asked, "seen": seen, "met": met})

    if part := found.get("control"):
        seen = part.get("beyond")
        add(
            "control-plane time, s",
            f"<= {CONTROL_SECONDS:g}",
            seen,
            seen is not None and seen <= CONTROL_SECONDS,
        )
    limits = (
        ("errors", "median", MEDIAN_SECONDS, "20 % errors, median s to weight 0"),
        ("errors", "p95", P95_SECONDS, "20 % errors, p95 s to weight 0"),
        ("crash", "p95", CRASH_SECONDS, "crash, p95 s to weight 0"),
    )
    for kind, statistic, limit, name in limits:
        if part := found.get(kind):
            all_back = part["rolledBack"] == part["of"] > 0
            add(name, f"<= {limit:g}", part[statistic], all_back and part[statistic] <= limit)
    for kind in ("errors", "crash"):
        if part := found.get(kind):
            seen = f"{part['stableFailed']} of {part['stableTotal']}"
            add(
                f"failed requests of stable ({kind})",
                "0",
                seen,
                part["stableFailed"] == 0 < part["stableTotal"],
            )
    if part := found.get("ratio"):
        seen = part.get("ratio")
        add("certified / bare speed-up", f">= {RATIO:g}", seen, seen is not None and seen >= RATIO)
    return out


def _write(folder: Path, found: dict[str, Any], screen: Screen) -> None:
    found["rows"] = rows(found)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"path-{found['date'][:10]}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    machine = found["machine"]
    lines = [
        f"# bench-path, {found['date']}",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memoryBytes'] >> 30} GiB, {' '.join(machine['isa'])}; "
        f"Kubernetes {found['versions']['kubernetes']}; load {found['loadAtStart'][0]:.1f} at the start. "
        f"Commit {found['versions']['commit']}. Raw figures: {path.name}.",
        "",
        "| figure | asked | seen | met |",
        "| --- | --- | --- | --- |",
        *(
            f"| {r['figure']} | {r['asked']} | {r['seen']} | {'yes' if r['met'] else 'no'} |"
            for r in found["rows"]
        ),
        "",
    ]
    path.with_suffix(".md").write_text("\n".join(lines))
    table = [
        [r["figure"], r["asked"], str(r["seen"]), "met" if r["met"] else "NOT MET"] for r in found["rows"]
    ]
    screen.table(str(path), ("figure", "asked", "seen", ""), table)


if __name__ == "__main__":
    sys.exit(main())
