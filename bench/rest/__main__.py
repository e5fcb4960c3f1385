"""`python -m bench.rest`: a thousand Rollouts at rest on a real API server. Needs `make tools`; no cluster.

    memory      resident memory of the operator after a minute at rest: at most 256 MiB
    requests    API requests that reach the server in a minute at rest (watches that stay open are none)
    start-up    from the start of the process until every Rollout was looked at and the queue is empty
    lag         from a change of a Rollout to the status that answers it, p50 and p99 of 200 changes: p99 at most 1 s

Pods are objects without containers. Figures and machine facts go to bench/results/rest-<date>.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from bench.rest.town import NAMESPACE, Kubelet, Operator, create_rollouts, operator
from demo import report
from demo.screen import Screen
from demo.until import until
from tests.support.apiserver import ApiServer, _auth, _trust, running
from tests.support.players import Store, furnish

from edgeramp.effects.kinds import ROLLOUT, Ref
from edgeramp.effects.live import LiveCluster

MEMORY, LAG = 256 * 1024**2, 1.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.rest", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long to watch the rest (default: 60)"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "results")
    options = parser.parse_args(argv)
    screen, store = Screen(), Store()
    with running() as server, tempfile.TemporaryDirectory() as folder:
        cluster = LiveCluster(server.access())
        furnish(server, cluster)
        create_rollouts(cluster, store, options.rollouts)
        screen.say(f"{options.rollouts} Rollouts are created")
        with Kubelet(cluster), operator(server, store, Path(folder)):
            brought_up = _until_healthy(screen, cluster, options.rollouts)
        screen.say(f"all of them are Healthy after {brought_up:.0f} s; now a fresh operator finds them so")
        with operator(server, store, Path(folder)) as fresh:
            figures = _measured(screen, server, cluster, fresh, options)
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": report.machine(),
        "commit": report.versions("")["commit"], "loadAtEnd": os.getloadavg(), "rollouts": options.rollouts,
        "broughtUpSeconds": round(brought_up, 1), **figures,
    }  # fmt: skip
    return _write(screen, found, options.out)


def _until_healthy(screen: Screen, cluster: LiveCluster, count: int) -> float:
    began = time.monotonic()

    def healthy() -> bool:
        phases = [(o.get("status") or {}).get("phase") for o in cluster.list(ROLLOUT)]
        screen.progress(f"{phases.count('Healthy')} of {count} are Healthy")
        return phases.count("Healthy") == count

    until("all Rollouts to be Healthy", healthy, 1200, every=2.0)
    return time.monotonic() - began


def _measured(
    screen: Screen, server: ApiServer, cluster: LiveCluster, fresh: Operator, options: argparse.Namespace
) -> dict[str, Any]:
    until("the first looks", lambda: fresh.looks() >= options.rollouts and fresh.depth() == 0, 300, every=0.1)
    start_up = time.monotonic() - fresh.started
    screen.say(f"start-up: {start_up:.1f} s until each was looked at")
    time.sleep(min(30.0, options.seconds / 2))  # what start-up left behind is part of no minute at rest
    before, looks = _requests(server), fresh.looks()
    time.sleep(options.seconds)
    after, minutes = _requests(server), options.seconds / 60
    rest = {
        "memoryBytes": fresh.memory(), "startUpSeconds": round(start_up, 1),
        "requestsPerMinute": round((after - before) / minutes, 1),
        "looksPerMinute": round((fresh.looks() - looks) / minutes, 1),
    }  # fmt: skip
    screen.say(
        f"at rest: {rest['memoryBytes'] / 1024**2:.0f} MiB, {rest['requestsPerMinute']} API requests a minute"
    )
    lags = sorted(_lags(screen, cluster, options))
    return rest | {
        "changes": len(lags), "lagP50Seconds": round(statistics.median(lags), 3),
        "lagP99Seconds": round(lags[max(0, -(-99 * len(lags) // 100) - 1)], 3), "lagMaxSeconds": round(lags[-1], 3),
        "memoryAfterBytes": fresh.memory(),
    }  # fmt: skip


def _requests(server: ApiServer) -> int:
    """Requests that the server has answered so far, without those for its own health and metrics."""
    with httpx.Client(base_url=server.url, verify=_trust(server.ca), headers=_auth(), timeout=30) as http:
        text = http.get("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("apiserver_request_total{")]
    ours = [line for line in lines if not re.search(r'[{,]resource=""|verb="(WATCH|CONNECT)"', line)]
    return int(sum(float(line.rpartition(" ")[2]) for line in ours))


def _lags(screen: Screen, cluster: LiveCluster, options: argparse.Namespace) -> list[float]:
    """One change after the other, each to a Rollout chosen by dice: paused and, the next time, not any more."""
    dice, lags, paused = random.Random(7), [], dict[str, bool]()
    for done in range(options.changes):
        name = f"r{dice.randrange(options.rollouts):04d}"
        paused[name] = not paused.get(name, False)
        began = time.monotonic()
        changed = cluster.patch(Ref(*ROLLOUT, NAMESPACE, name), {"spec": {"paused": paused[name]}}) or {}
        wanted = changed["metadata"]["generation"]
        until(f"{name} to be answered", lambda n=name, g=wanted: _observed(cluster, n) >= g, 30, every=0.005)  # type: ignore[misc]
        lags.append(time.monotonic() - began)
        screen.progress(f"{done + 1} of {options.changes} changes were answered")
    return lags


def _observed(cluster: LiveCluster, name: str) -> int:
    found = cluster.get(Ref(*ROLLOUT, NAMESPACE, name)) or {}
    return int((found.get("status") or {}).get("observedGeneration", 0))


def _write(screen: Screen, found: dict[str, Any], out: Path) -> int:
    mib, memory = 1024**2, found["memoryBytes"]
    rows = [
        ("resident memory at rest, MiB", f"<= {MEMORY // mib}", f"{memory / mib:.0f}", memory <= MEMORY),
        ("API requests per minute at rest", "next to none", f"{found['requestsPerMinute']}", None),
        ("start-up until each was looked at, s", "", f"{found['startUpSeconds']}", None),
        ("lag of a change, p50, s", "", f"{found['lagP50Seconds']}", None),
        ("lag of a change, p99, s", f"<= {LAG}", f"{found['lagP99Seconds']}", found["lagP99Seconds"] <= LAG),
    ]  # fmt: skip
    stem = out / f"rest-{found['date'][:10]}"
    stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    machine = found["machine"]
    text = [
        f"# bench-rest, {found['date']}", "",
        f"`make bench-rest`: {found['rollouts']} Rollouts, {machine['cpu']}, {machine['cores']} cores. "
        f"Commit {found['commit']}. Raw figures: {stem.name}.json.", "",
        "| figure | asked | seen | met |", "| --- | --- | --- | --- |",
    ]  # fmt: skip
    said = {True: "yes", False: "no", None: ""}
    text += [f"| {name} | {asked} | {seen} | {said[met]} |" for name, asked, seen, met in rows]
    stem.with_suffix(".md").write_text("\n".join(text) + "\n")
    for name, asked, seen, met in rows:
        (screen.bad if met is False else screen.say)(
            f"{name}: {seen} ({asked})" if asked else f"{name}: {seen}"
        )
    return 0 if all(met is not False for *_, met in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
