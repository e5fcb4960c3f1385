"""From raw counters to a verdict: feeds decide/evidence at every scrape and says what the verdict means for the ramp."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any, assert_never

from edgeramp.api.rollout import MetricFinding, RampFacts, Strategy
from edgeramp.decide import evidence as ev
from edgeramp.decide import seen as raw
from edgeramp.decide.evidence import ledger
from edgeramp.decide.evidence.forecast import sentence
from edgeramp.decide.rollout.course import Course, Hold, abort, because, ramp_of, ramp_with
from edgeramp.decide.rollout.steps import clock, next_weight, weights_ahead
from edgeramp.decide.rollout.strategy import steps_of
from edgeramp.decide.rollout.view import View
from edgeramp.values.quantities import duration, seconds, timestamp
from edgeramp.values.verdict import Verdict

ERROR_LIMIT_SECONDS = 300.0
"""After so long without metrics a ramp that holds is shown as Paused."""


def compares(view: View, course: Course) -> bool:
    """Whether this ramp is judged: there is a stable to compare with, and nobody said otherwise."""
    ramp = course.ramp
    enabled = view.spec.strategy.analysis.enabled
    return enabled and course.active and not course.first and ramp is not None and not (
        ramp.skip_steps or ramp.promoted_full
    )  # fmt: skip


def planned(view: View, course: Course) -> Course:
    """The course with what would be found and when, as soon as stable's history was read: before any traffic moves,
    with a batch limit of 1, and once more at the first look, when the candidate's batch limit is known."""
    if view.seen.history is None or not compares(view, course):
        return course
    ramp, scrape = ramp_of(course), view.seen.scrape
    limit = ramp.batch_limit or (scrape.batch_limit if scrape is not None else None) or 1
    config = replace(_config(view, ramp), batch_limit=limit)
    history = _history(view)
    found = ev.forecast(config, ev.traffic(history), history)
    return because(replace(course, plan=sentence(found)), f"planned from {len(history)} rows of history")


def judge(view: View, course: Course) -> Course:
    """The course with the verdict on the evidence so far; a Fail ends the ramp."""
    if not compares(view, course):
        return course
    ramp = ramp_of(course)
    weight = view.weight(ramp.revision)
    if not 0 < weight < 100:
        return course
    course = _gathered(view, course, weight)
    ramp = ramp_of(course)
    state = _state(view, ramp)
    if state is None:
        return replace(
            course,
            verdict=Verdict.AWAITING_EVIDENCE,
            evidence=f"Holding at {weight} %: no look at the metrics yet.",
        )
    since = clock(view, ramp) - ramp.weight_since if ramp.weight_since is not None else 0.0
    judged = ev.judge(_config(view, ramp), state, weight, next_weight(view.steps, ramp.step), since)
    course = replace(
        course,
        verdict=judged.verdict,
        evidence=judged.sentence,
        findings=tuple(
            MetricFinding(name=f.name, verdict=f.verdict, message=f.sentence[:2048]) for f in judged.findings
        )[:8],
        why=(*course.why, f"evidence: {judged.verdict} ({judged.reason}): {judged.sentence}"),
    )
    return _consequence(view, course, str(judged.reason))


def _consequence(view: View, course: Course, reason: str) -> Course:
    ramp, verdict = ramp_of(course), course.verdict or Verdict.AWAITING_EVIDENCE
    if verdict is not Verdict.ERROR and ramp.error_since is not None:
        course = ramp_with(course, error_since=None)
    match verdict:
        case Verdict.FAIL:
            return abort(view, course, "RolledBack", reason, _sentence("Rolled back", course.evidence))
        case Verdict.ERROR:
            return (
                course if ramp.error_since is not None else ramp_with(course, error_since=clock(view, ramp))
            )
        case Verdict.INCONCLUSIVE:
            match view.spec.strategy.analysis.on_inconclusive:
                case "Rollback":
                    return abort(
                        view, course, "RolledBack", "Inconclusive", _sentence("Rolled back", course.evidence)
                    )
                case "Promote" | "Hold":
                    return course
                case other:
                    assert_never(other)
        case Verdict.AWAITING_EVIDENCE | Verdict.PASS:
            return course
        case _:
            assert_never(verdict)


def gate(view: View, course: Course, to: int) -> Hold | None:
    """Why the weight may not grow to `to` yet; None when it may. Only proof opens it."""
    ramp, analysis = ramp_of(course), view.spec.strategy.analysis
    at = f"{view.weight(ramp.revision)} %"
    verdict = course.verdict or Verdict.AWAITING_EVIDENCE
    match verdict:
        case Verdict.PASS:
            return _minimum(view, ramp, to)
        case Verdict.AWAITING_EVIDENCE | Verdict.FAIL:
            minimum = _minimum(view, ramp, to)
            return Hold("AwaitingEvidence", _sentence(f"Holding at {at}", course.evidence),
                        f"to {to} % when the evidence suffices", until=minimum.until if minimum else None)  # fmt: skip
        case Verdict.ERROR:
            since = ramp.error_since if ramp.error_since is not None else view.now
            lasting = clock(view, ramp) - since
            return Hold("EvidenceUnavailable", _sentence(f"Holding at {at}", course.evidence),
                        "goes on when the metrics are back", paused=lasting >= ERROR_LIMIT_SECONDS)  # fmt: skip
        case Verdict.INCONCLUSIVE:
            if analysis.on_inconclusive == "Promote":
                return _minimum(view, ramp, to)
            return Hold("Inconclusive", _sentence(f"Paused at {at}", course.evidence),
                        f"a person decides: promote={ramp.revision}/{ramp.step + 1} or abort", paused=True)  # fmt: skip
        case _:
            assert_never(verdict)


def _minimum(view: View, ramp: RampFacts, to: int) -> Hold | None:
    least = seconds(view.spec.strategy.analysis.step_minimum)
    since = ramp.weight_since if ramp.weight_since is not None else view.now
    end = since + least
    if clock(view, ramp) >= end:
        return None
    return Hold("StepMinimum", f"Within tolerance at {view.weight(ramp.revision)} %; the least time at a weight is"
                f" {duration(least)}.", f"to {to} % at {timestamp(end)}", until=end)  # fmt: skip


def _sentence(head: str, tail: str) -> str:
    """What the evidence says is a whole sentence already; `head` stands in while there is none."""
    return tail or f"{head}: no evidence yet."


def _gathered(view: View, course: Course, weight: int) -> Course:
    """The evidence after this look at the counters, if there was a new one."""
    scrape, ramp = view.seen.scrape, ramp_of(course)
    if scrape is None or not _due(view, ramp, scrape.at, weight):
        return course
    changes: dict[str, Any] = {"last_scrape_at": scrape.at}
    if ramp.batch_limit is None and not ramp.evidence and scrape.batch_limit:
        changes["batch_limit"] = scrape.batch_limit
    if ramp.request_source is None and (scrape.gateway or scrape.pods):
        changes["request_source"] = "gateway" if scrape.gateway else "pods"
    course = ramp_with(course, **changes)
    ramp = ramp_of(course)
    config = _config(view, ramp)
    have = _state(view, ramp)
    state = have or ev.initial_state(config, _history(view))
    counters, look = ev.looked(config, state, converted(scrape, ramp), weight)
    kept = ledger.noted(config, ledger_of(ramp) if have else ledger.Ledger(), state, look)
    state = replace(ev.follow(config, state, look), counters=counters)
    evidence = json.dumps(ev.to_json(state), separators=(",", ":"))
    return ramp_with(course, evidence=evidence, looks_from=kept.base, looks=list(kept.looks))


def _due(view: View, ramp: RampFacts, at: float, weight: int) -> bool:
    """Whether this look is one of the analysis: half an interval after the last one, or the first at a new weight.
    Looks in between, caused by watches, are not counted as scrapes."""
    if ramp.last_scrape_at is None:
        return True
    since, state = at - ramp.last_scrape_at, _state(view, ramp)
    fresh = state is None or state.weight != weight
    return since > 0 and (fresh or since >= seconds(view.spec.strategy.analysis.scrape_interval) / 2)


def ledger_of(ramp: RampFacts) -> ledger.Ledger:
    """The looks of a ramp, as recorded."""
    return ledger.Ledger(ramp.looks_from, tuple(ramp.looks))


def config_of(strategy: Strategy, ramp: RampFacts) -> ev.EvidenceConfig:
    """What the tests of a ramp are asked to promise."""
    return ev.config_from_analysis(strategy.analysis, weights_ahead(steps_of(strategy)), ramp.batch_limit)


def _config(view: View, ramp: RampFacts) -> ev.EvidenceConfig:
    return config_of(view.spec.strategy, ramp)


def _state(view: View, ramp: RampFacts) -> ev.EvidenceState | None:
    """The state as recorded; None when there is none, or it belongs to another config: then the tests start anew."""
    if not ramp.evidence:
        return None
    try:
        return ev.from_json(_config(view, ramp), json.loads(ramp.evidence))
    except ValueError:
        return None


def _history(view: View) -> tuple[ev.HistoryRow, ...]:
    rows = view.seen.history or ()
    return tuple(
        ev.HistoryRow(int(r.get("requests", 0)), int(r.get("errors", 0)), tuple(r.get("latency") or ()))
        for r in rows
    )


def converted(scrape: raw.Scrape, ramp: RampFacts) -> ev.Scrape:
    """The scrape as the evidence package takes it; times count from the start of the ramp, in milliseconds at most."""
    requests: list[ev.RequestSeries] = []
    latency: list[ev.LatencySeries] = []
    for track in ev.Track:
        for source, at in scrape.gateway.get(track, {}).items():
            if ramp.request_source == "gateway":
                requests.append(ev.RequestSeries(track, source, int(at["total"]), int(at["failed"])))
        for source, look in scrape.pods.get(track, {}).items():
            counts: Mapping[str, Any] = look
            born = counts.get("started")
            born_s = round(float(born) - ramp.started_at, 3) if born else None
            if ramp.request_source == "pods":
                total, bad = int(counts.get("requests", 0)), int(counts.get("errors", 0))
                requests.append(ev.RequestSeries(track, source, total, bad, born_s))
            latency.append(ev.LatencySeries(track, source, _cumulative(counts.get("buckets") or {}), born_s))
    return ev.Scrape(round(scrape.at - ramp.started_at, 3), tuple(requests), tuple(latency))


def _cumulative(buckets: Mapping[str, Any]) -> tuple[tuple[float, int], ...]:
    edges = ((inf if edge in ("+Inf", "inf") else float(edge), int(count)) for edge, count in buckets.items())
    return tuple(sorted(edges))
