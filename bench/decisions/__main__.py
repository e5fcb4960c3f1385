"""Operating curves of the ramp's decisions by seeded simulation: `make bench-decisions`.

    healthy      false rollbacks of equally good candidates for each kind of traffic, judged by the lower 99 % binomial
                 bound against the declared rate; beside them what other people's rules do with the very same counts
    faults       how soon a fault is found and how many requests it costs, ours and theirs
    promotion    how long a healthy ramp takes
    phi          the condition of the promise: what happens where phi is believed to be smaller than it is

Prints tables, writes bench/results/decisions.{json,md}. Simulated data only. Exit code 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bench.decisions import tables
from bench.decisions.rules import PEERS, Counts
from bench.decisions.worlds import Behaviour, Trouble, World, ramp
from scipy.stats import beta

from edgeramp.decide.evidence import (
    Block,
    ErrorsMetric,
    EvidenceConfig,
    HistoryRow,
    LatencyMetric,
    initial_state,
    judge,
    step,
)
from edgeramp.values.verdict import Verdict

RESULTS = Path(__file__).resolve().parent.parent / "results"
BLOCKS = 360
FOUR_HOURS = 4 * 3600.0
OURS = "edgeramp"
CHUNK = 25
"""Ramps per piece of work; each piece has its own seed, so results do not depend on the number of processes."""


@dataclass(frozen=True)
class Healthy:
    """A kind of traffic in which both tracks are equally good, and what we know about it. `promised`: the condition of
    the promise holds (phi is at least what one event fails together); without it the row shows what the promise is worth."""

    name: str
    world: World
    config: EvidenceConfig
    history_s: float = 0.0
    promised: bool = True


@dataclass(frozen=True)
class Fault:
    """A candidate that is worse from its first judged request on."""

    name: str
    world: World
    weight: int


def healthy_kinds() -> Iterator[Healthy]:
    """Equal tracks: single failures, bursts, stalls and incidents, overload, wandering latency."""
    yield from _failing_alone()
    yield from _in_trouble()
    for wobble, history in ((0.1, 0.0), (0.1, 600.0), (0.3, 0.0)):
        has = Behaviour(wobble=wobble)
        config = EvidenceConfig(batch_limit=1, metrics=(LatencyMetric(),), warmup_s=0.0)
        name = f"latency wanders by {wobble:.0%} a block, {history:.0f} s of history"
        yield Healthy(name, World(100, has, has), config, history)


def _failing_alone() -> Iterator[Healthy]:
    for name, stable, candidate, limit, history, promised in (
        ("independent, no history", 1, 1, 1, 0.0, True),
        ("independent, 4 h of history", 1, 1, 1, FOUR_HOURS, True),
        ("bursts of 16 on both, 4 h of history", 16, 16, 1, FOUR_HOURS, True),
        ("bursts of 16 on the candidate only, batch limit 16", 1, 16, 16, 0.0, True),
        ("bursts of 16 on stable only, 4 h of history", 16, 1, 1, FOUR_HOURS, True),
        ("bursts of 16 on the candidate only, batch limit believed 1", 1, 16, 1, 0.0, False),
    ):
        world = World(100, Behaviour(0.005, stable), Behaviour(0.005, candidate), latency=False)
        yield Healthy(name, world, _errors(limit), history, promised)
    at_tolerance = World(100, Behaviour(0.005), Behaviour(0.006), latency=False)
    yield Healthy("exactly at the tolerance", at_tolerance, _errors(1))


def _in_trouble() -> Iterator[Healthy]:
    """Stalls of each track's own, known from history or not, and incidents that hit both at once during the ramp."""
    for lasts, history, promised in ((20.0, FOUR_HOURS, True), (90.0, FOUR_HOURS, True), (20.0, 0.0, False)):
        trouble = Trouble(600.0, lasts, 0.5)
        known = "4 h of history" if history else "no history"
        name = f"stalls of {lasts:.0f} s (half fail) on each track, {known}"
        yield Healthy(name, World(100, latency=False, trouble=trouble), _errors(1), history, promised)
    shared = Trouble(600.0, 60.0, 0.3, shared=True)
    yield Healthy("incidents of 60 s on both at once", World(100, latency=False, trouble=shared), _errors(1))
    overload = Behaviour(0.05)
    yield Healthy("overload: 5 % fail on both", World(300, overload, overload, latency=False), _errors(1))


def _errors(batch_limit: int) -> EvidenceConfig:
    return EvidenceConfig(batch_limit=batch_limit, metrics=(ErrorsMetric(user_budget=None),))


def faults() -> Iterator[Fault]:
    """The table of the design, at 100 requests/s."""
    for weight in (5, 25):
        for name, candidate in (
            ("outage", Behaviour(1.0)),
            ("errors 0.1 to 1 %", Behaviour(0.01)),
            ("errors 0.1 to 5 %", Behaviour(0.05)),
            ("p95 +50 %", Behaviour(median_s=0.03)),
            ("p95 +20 %", Behaviour(median_s=0.024)),
        ):
            yield Fault(name, World(100, Behaviour(), candidate), weight)


def ours(config: EvidenceConfig, blocks: Sequence[Block], history: Sequence[HistoryRow]) -> float | None:
    """When the operator's own judge says Fail, guards included; None when it never does."""
    state = initial_state(config, history)
    since = weight = 0.0
    for block in blocks:
        if block.weight != weight:
            since, weight = block.start_s, block.weight
        state = step(config, state, block)
        if judge(config, state, block.weight, None, block.end_s - since).verdict is Verdict.FAIL:
            return block.end_s
    return None


def play(
    kind: Healthy | Fault, config: EvidenceConfig, history_s: float, ramps: int, seed: tuple[int, ...]
) -> list[dict[str, tuple[float, int] | None]]:
    """For each ramp and rule: (second of the rollback, candidate requests served until then), or None."""
    rng = np.random.default_rng(seed)
    weight = kind.weight if isinstance(kind, Fault) else None
    found = []
    for _ in range(ramps):
        history = kind.world.history(config, history_s, rng) if history_s else []
        blocks = list(kind.world.blocks(config, BLOCKS, rng, weight))
        counts = Counts.of(blocks)
        ends = {OURS: ours(config, blocks, history)} | {name: rule(counts) for name, rule in PEERS.items()}
        found.append({name: end and (end, _served(blocks, end)) for name, end in ends.items()})
    return found


def _served(blocks: Sequence[Block], until_s: float) -> int:
    return sum(b.candidate.requests for b in blocks if b.end_s <= until_s)


def rolled_back(kind: Healthy, endings: list[dict[str, Any]]) -> dict[str, Any]:
    """How many of these healthy ramps of half an hour are rolled back, by rule."""
    wrong = {name: sum(e[name] is not None for e in endings) for name in (OURS, *PEERS)}
    bound = float(beta.ppf(0.01, wrong[OURS], len(endings) - wrong[OURS] + 1)) if wrong[OURS] else 0.0
    kept = bound <= kind.config.false_rollback
    row: dict[str, Any] = {"traffic": kind.name, "promised": kind.promised, "ramps": len(endings)}
    return row | {"rolledBack": wrong, "lower99": bound, "kept": kept}


def found(fault: Fault, endings: list[dict[str, Any]]) -> dict[str, Any]:
    """How often a fault is found within half an hour, how soon, and what it cost, by rule."""
    rules: dict[str, Any] = {}
    for name in (OURS, *PEERS):
        seen = [e[name] for e in endings if e[name] is not None]
        rules[name] = {
            "found": len(seen),
            "medianSeconds": median(s for s, _ in seen) if seen else None,
            "medianServed": median(n for _, n in seen) if seen else None,
        }
    return {"fault": fault.name, "weight": fault.weight, "ramps": len(endings), "rules": rules}


def promoted(weights: tuple[int, ...], ramps: int, seed: int) -> dict[str, Any]:
    """How long a healthy ramp takes, and how often it ends at 100 %."""
    rng = np.random.default_rng(seed)
    config = EvidenceConfig(batch_limit=1, weights=weights)
    world = World(100)
    endings = [ramp(config, world, rng, world.history(config, 600, rng)) for _ in range(ramps)]
    done = [end for end in endings if end.judgement.verdict is Verdict.PASS]
    took = [end.at_s for end in done]
    return {
        "weights": list(weights),
        "ramps": ramps,
        "promoted": len(done),
        "medianSeconds": median(took),
        "p90Seconds": float(np.percentile(took, 90)),
        "medianServed": median(end.served for end in done),
    }


def main() -> int:
    """Run everything; 1 when a kind of traffic breaks the promise."""
    parser = argparse.ArgumentParser(prog="bench.decisions", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ramps", type=int, default=1000, help="healthy ramps per kind of traffic")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    began, few = time.monotonic(), max(20, asked.ramps // 10)
    result: dict[str, Any] = {"simulated": True, "command": f"make bench-decisions RAMPS={asked.ramps}"}
    with ProcessPoolExecutor(asked.processes) as pool:
        healthy = [(kind, kind.config, kind.history_s, asked.ramps) for kind in healthy_kinds()]
        result["healthy"] = [
            rolled_back(row[0], _all(pool, asked.seed, i, *row)) for i, row in _told(healthy)
        ]
        plain = EvidenceConfig(batch_limit=1, warmup_s=0.0)
        bad = [(f, replace(plain, weights=(f.weight,)), 600.0, few) for f in faults()]
        result["faults"] = [found(row[0], _all(pool, asked.seed + 1, i, *row)) for i, row in _told(bad)]
        ramps = [pool.submit(promoted, w, few, asked.seed) for w in ((5, 10, 25, 50), (5, 25, 50))]
        result["promotion"] = [r.result() for r in ramps]
    result |= {
        "seed": asked.seed,
        "machine": {"python": platform.python_version(), "machine": platform.machine()},
        "seconds": round(time.monotonic() - began, 1),
        "config": {k: v for k, v in asdict(EvidenceConfig()).items() if k != "latency_edges"},
    }
    text = tables.markdown(result, OURS, tuple(PEERS))
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "decisions.json").write_text(json.dumps(result, indent=1, default=str) + "\n")
    (RESULTS / "decisions.md").write_text(text)
    return 0 if all(row["kept"] for row in result["healthy"] if row["promised"]) else 1


def _told(rows: list[tuple[Any, ...]]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The rows with their numbers; what comes next is said on stderr."""
    for i, row in enumerate(rows):
        print(f"{row[0].name} ({i + 1} of {len(rows)})", file=sys.stderr, flush=True)
        yield i, row


def _all(
    pool: ProcessPoolExecutor,
    seed: int,
    number: int,
    kind: Any,
    config: EvidenceConfig,
    history_s: float,
    ramps: int,
) -> list[dict[str, Any]]:
    pieces = [min(CHUNK, ramps - at) for at in range(0, ramps, CHUNK)]
    work = [
        pool.submit(play, kind, config, history_s, count, (seed, number, piece))
        for piece, count in enumerate(pieces)
    ]
    return list(chain.from_iterable(w.result() for w in work))


if __name__ == "__main__":
    sys.exit(main())
