"""The acts: a good model promoted, a bad one rolled back, a slow one rolled back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from demo import flow, kube, paths
from demo.flow import Flow
from demo.follow import ENDED_WITHOUT, Follower, Look, summary_of
from demo.kube import Kube
from demo.reach import Reach
from demo.report import Report, run_facts
from demo.screen import Screen
from demo.until import TookTooLong, until
from demo.watching import GatewayCounters, RouteWatch

MISSING_TARGET = "npu"
SETTLE_SECONDS = 10.0  # traffic after a rollback, to show that all requests are answered again


@dataclass
class Stage:
    """What all acts share."""

    screen: Screen
    kube: Kube
    reach: Reach
    report: Report
    follower: Follower
    routes: RouteWatch
    counters: GatewayCounters
    requests: Path
    targets: tuple[str, ...]
    rate: float
    bright: float
    deadline: float
    flows: dict[str, Flow] = field(default_factory=dict)
    act: str = ""

    def host(self, target: str) -> str:
        return f"{target}.{paths.HOSTNAME}"


@dataclass(frozen=True)
class Bad:
    """An act with a revision that must be rolled back: its manifest, and what makes an answer bad."""

    title: str
    manifest: str
    failing: bool  # answers with errors; else it is only slow


def clean(stage: Stage) -> None:
    """Remove what an earlier run left: the model, with all it owns."""
    left = [i for p in ("edgemodels", "optimizationruns", "rollouts") for i in _ours(stage.kube, p)]
    if not left:
        return
    stage.screen.say("removing the objects of an earlier run")
    stage.kube.delete("edgemodels", paths.MODEL)
    with stage.screen.waiting():
        until(
            "the earlier run's objects to go",
            lambda: not any(_ours(stage.kube, p) for p in ("edgemodels", "optimizationruns", "rollouts")),
            180,
            progress=stage.screen.progress,
        )


def good_act(stage: Stage) -> bool:
    """digits.yaml: assessed, optimized, certified, ramped, promoted on every target that has nodes."""
    applied = apply(stage, "act 1", "digits.yaml")
    look = follow(stage, lambda now: all(is_promoted(now, t) or is_over(now, t) for t in stage.targets))
    settle(stage)
    report, screen = stage.report, stage.screen
    assessed = kube.condition(look.model, "Assessed")
    report.expect(
        screen, "the model was assessed", assessed.get("status") == "True", assessed.get("message", "")
    )
    for target in stage.targets:
        _expect_certified(stage, look, target)
        weights = [step["weight"] for step in _ramp(stage, look, target, applied)]
        report.expect(
            screen,
            f"{target}: ramped 5, 25, 50, 100 %",
            _in_order([5, 25, 50, 100], weights),
            ", ".join(map(str, weights)),
        )
        report.expect(
            screen, f"{target}: promoted", is_promoted(look, target), look.target(target).get("message", "")
        )
    missing = look.target(MISSING_TARGET)
    report.expect(
        screen,
        f"{MISSING_TARGET}: says that no node matches, while the others went on",
        missing.get("reason") == "NoMatchingNode",
        missing.get("message", ""),
    )
    _record(stage, look, "act 1", applied, None)
    _expect_clean_traffic(stage, "act 1", "no request failed while the good revision was ramped")
    return report.ok


def bad_act(stage: Stage, bad: Bad) -> bool:
    """A revision that passes every offline gate and fails in production: ramped, then rolled back by itself."""
    before = {t: stage.follower.look().target(t).get("revision") for t in stage.targets}
    applied = apply(stage, bad.title, bad.manifest)
    look = follow(
        stage,
        lambda now: all(_rolled_back(now, t, before[t]) or is_over(now, t, before[t]) for t in stage.targets),
    )
    settle(stage)
    look = stage.follower.look()
    _record(stage, look, bad.title, applied, bad)
    for target in stage.targets:
        _expect_rollback(stage, look, target, bad)
    return stage.report.ok


def apply(stage: Stage, act: str, manifest: str) -> float:
    """Apply an example with the targets asked for; the moment just before."""
    path = paths.EXAMPLES / manifest
    item = kube.manifest(path)
    kept = [t for t in item["spec"]["targets"] if t["name"] in (*stage.targets, MISSING_TARGET)]
    if kept != item["spec"]["targets"]:
        item["spec"]["targets"] = kept
        path = written(item, manifest)
    return apply_file(stage, act, path)


def apply_file(stage: Stage, act: str, path: Path) -> float:
    """Apply a manifest as an act of its own; the moment just before."""
    stage.act = act
    applied = time.time()
    for line in kube.apply(path).splitlines():
        stage.screen.say(f"kubectl apply -f {_short(path)}: {line}")
    return applied


def written(item: kube.Object, name: str) -> Path:
    """A changed manifest as a file that kubectl can apply."""
    path = paths.scratch() / name.replace(".yaml", ".json")
    path.write_text(json.dumps(item, indent=2))
    return path


def _short(path: Path) -> str:
    return str(path.relative_to(paths.REPO)) if path.is_relative_to(paths.REPO) else str(path)


def follow(stage: Stage, done: Any) -> Look:
    """Look until the act is over; traffic runs for each target while it ramps."""
    seen = [stage.follower.look()]

    def look() -> Look | None:
        seen[0] = stage.follower.look()
        for target in stage.targets:
            _drive(stage, seen[0], target)
        return seen[0] if seen[0].observed and done(seen[0]) else None

    with stage.screen.waiting():
        try:
            return until(
                "waiting",
                look,
                stage.deadline,
                progress=stage.screen.progress,
                seen=lambda: summary_of(seen[0], list(stage.targets)),
            )
        except TookTooLong as error:
            stage.screen.bad(str(error))
            return seen[0]


def _drive(stage: Stage, look: Look, target: str) -> None:
    """Start traffic for a target once its host answers and a candidate is there; stop it between the acts."""
    rollout, running = look.rollout(target), stage.flows.get(target)
    if running is None and rollout.get("candidate") and rollout.get("stable"):
        address = stage.reach.gateway()
        if not _answers(address, stage.host(target)):
            return
        name = stage.act.replace(" ", "-").replace(":", "")
        stage.flows[target] = flow.start(
            address, stage.host(target), paths.MODEL, stage.requests, stage.rate, stage.bright, name=name
        )
        stage.screen.say(
            f"{target}: {stage.rate:.0f} requests a second to {stage.host(target)} through the gateway,"
            f" {stage.bright:.0%} of them brightened images"
        )


def _answers(address: str, host: str) -> bool:
    url = f"http://{address}/v2/models/{paths.MODEL}/ready"
    try:
        return httpx.get(url, headers={"Host": host}, timeout=2.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def settle(stage: Stage) -> None:
    """A few seconds more of traffic, then stop it and keep what it recorded."""
    until_epoch = time.time() + SETTLE_SECONDS
    with stage.screen.waiting():
        until(
            "traffic after the act",
            lambda: time.time() >= until_epoch,
            SETTLE_SECONDS + 5,
            progress=stage.screen.progress,
        )
    for running in stage.flows.values():
        running.stop()
    stage.counters.look()


def _record(stage: Stage, look: Look, act: str, applied: float, bad: Bad | None) -> None:
    """The act's part of the report."""
    targets: dict[str, Any] = {}
    for target in stage.targets:
        run, rollout = look.run_of(target), look.rollout(target)
        last = _last_outcome(rollout, applied)
        targets[target] = {
            **(run_facts(run["status"]) if run and run.get("status") else {}),
            "ramp": _ramp(stage, look, target, applied),
            "outcome": last.get("outcome") or look.target(target).get("phase", ""),
            "message": last.get("message") or look.target(target).get("message", ""),
            "failedRequests": stage.counters.snapshot(look.rollout_name(target)),
            "detection": _detection(stage, look, target, applied, last) if bad and bad.failing else None,
        }
    traffic = {running.host: running.totals() | _after(running) for running in stage.flows.values()}
    stage.report.acts[act] = {
        "applied": applied, "ended": look.at, "targets": targets, "traffic": traffic, "counterMisses": stage.counters.misses,
    }  # fmt: skip
    stage.flows.clear()
    stage.counters.counts.clear()


def _after(running: Flow) -> dict[str, Any]:
    """Failures in the last seconds, when the story was over."""
    rows = running.seconds()
    last = max((r["t"] for r in rows), default=0)
    tail = [r for r in rows if r["t"] > last - SETTLE_SECONDS + 2]
    return {"failedAtTheEnd": sum(r["failed"] for r in tail), "sentAtTheEnd": sum(r["sent"] for r in tail)}


def _ramp(stage: Stage, look: Look, target: str, since: float) -> list[dict[str, Any]]:
    """The candidate's weights in force since `since`, from the route itself, with the operator's words where it said any."""
    rollout = look.rollout(target)
    entry = _last_outcome(rollout, since)
    revision = entry.get("revision") or (rollout.get("candidate") or {}).get("revision") or ""
    said = {w["weight"]: w.get("message", "") for w in rollout.get("weights") or []}
    steps: list[dict[str, Any]] = []
    for split in stage.routes.of(look.rollout_name(target)):
        weight = split.weight_of(revision) if revision else 0
        if split.at >= since and (steps or weight) and (not steps or steps[-1]["weight"] != weight):
            steps.append({"at": round(split.at, 3), "weight": weight, "message": said.get(weight, "")})
    return steps


def _detection(
    stage: Stage, look: Look, target: str, since: float, last: Mapping[str, Any]
) -> dict[str, float | None]:
    """From the first bad answer that a client got to the weight 0 in the route."""
    running = stage.flows.get(target)
    revision = str(last.get("revision", ""))
    splits = [s for s in stage.routes.of(look.rollout_name(target)) if s.at >= since]
    exposed = next((s.at for s in splits if revision and s.weight_of(revision) > 0), None)
    zero = next((s.at for s in splits if exposed and s.at > exposed and s.weight_of(revision) == 0), None)
    failures = [f["t"] for f in running.failures()] if running else []
    first = next((t for t in sorted(failures) if exposed and t >= exposed), None)
    seconds = round(zero - first, 2) if zero and first else None
    return {"exposedAt": exposed, "firstBadAt": first, "weightZeroAt": zero, "seconds": seconds}


def _expect_certified(stage: Stage, look: Look, target: str) -> None:
    run = look.run_of(target)
    status = (run or {}).get("status") or {}
    stage.report.expect(
        stage.screen, f"{target}: a candidate passed every gate and was certified", status.get("phase") == "Certified",
        str(status.get("message", "no run"))[:300],
    )  # fmt: skip


def _expect_clean_traffic(stage: Stage, act: str, what: str) -> None:
    facts = stage.report.acts[act]
    sent = sum(t.get("sent", 0) for t in facts["traffic"].values())
    failed = sum(t.get("failed", 0) for t in facts["traffic"].values())
    stage.report.expect(stage.screen, what, sent > 0 and failed == 0, f"{failed} of {sent}")


def _expect_rollback(stage: Stage, look: Look, target: str, bad: Bad) -> None:
    facts = stage.report.acts[bad.title]["targets"][target]
    report, screen = stage.report, stage.screen
    _expect_certified(stage, look, target)
    report.expect(
        screen, f"{target}: the revision that fails in production was rolled back by itself",
        facts["outcome"] == "RolledBack", str(facts["message"])[:400],
    )  # fmt: skip
    weights = [step["weight"] for step in facts["ramp"]]
    report.expect(
        screen, f"{target}: it was ramped first, and ended at 0 %", bool(weights) and weights[0] > 0 and weights[-1] == 0,
        ", ".join(map(str, weights)),
    )  # fmt: skip
    tracks = facts["failedRequests"]
    stable, candidate = tracks.get("stable", {}), tracks.get("candidate", {})
    report.expect(
        screen, f"{target}: no request failed on the stable side", stable.get("total", 0) > 0 and stable.get("failed") == 0,
        f"failed: stable {stable.get('failed')} of {stable.get('total')}, "
        f"candidate {candidate.get('failed')} of {candidate.get('total')}",
    )  # fmt: skip
    tail = stage.report.acts[bad.title]["traffic"].get(stage.host(target), {})
    report.expect(
        screen, f"{target}: after the rollback every request is answered",
        tail.get("sentAtTheEnd", 0) > 0 and tail.get("failedAtTheEnd") == 0,
        f"{tail.get('failedAtTheEnd')} of {tail.get('sentAtTheEnd')} failed in the last seconds",
    )  # fmt: skip


def is_promoted(look: Look, target: str) -> bool:
    return look.target(target).get("phase") == "Promoted"


def _rolled_back(look: Look, target: str, before: object) -> bool:
    line = look.target(target)
    return line.get("phase") == "RolledBack" and line.get("revision") != before


def is_over(look: Look, target: str, before: object = None) -> bool:
    """Whether the target's present revision ended without what was hoped for; nothing more is to be awaited."""
    line = look.target(target)
    if before is not None and line.get("revision") == before:
        return False
    ended = line.get("phase") in (*ENDED_WITHOUT, "RolledBack", "Stalled")
    source = kube.condition(look.model, "SourceReady").get("status") == "False"
    return ended or source or (before is not None and line.get("phase") == "Promoted")


def _last_outcome(rollout: Mapping[str, Any], since: float) -> Mapping[str, Any]:
    """The newest entry of the history that ended after `since`; empty when there is none."""
    from edgeramp.values.quantities import epoch

    recent = [h for h in rollout.get("history") or [] if epoch(h["finishedAt"]) >= int(since)]
    return recent[-1] if recent else {}


def _in_order(wanted: list[int], seen: list[int]) -> bool:
    """Whether `wanted` occurs within `seen` in this order."""
    rest = iter(seen)
    return all(weight in rest for weight in wanted)


def _ours(kube_client: Kube, plural: str) -> list[Any]:
    items = kube_client.items(plural)
    if plural == "edgemodels":
        return [i for i in items if i["metadata"]["name"] == paths.MODEL]
    return kube.of_model(items, paths.MODEL)
