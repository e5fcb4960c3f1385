"""Operating curves of the ramp's decisions by seeded simulation: `python -m bench.decisions.run [--ramps N]`.

Prints a table and writes bench/results/decisions.json. False rollbacks are judged by the lower 99 % binomial bound
against the declared rate. Simulated data only.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bench.decisions.worlds import Behaviour, World, ever_rolled_back, ramp
from scipy.stats import beta

from edgeramp.decide.evidence import ErrorsMetric, EvidenceConfig, LatencyMetric
from edgeramp.values.verdict import Verdict

RESULTS = Path(__file__).resolve().parent.parent / "results" / "decisions.json"
BLOCKS = 360
FOUR_HOURS = 4 * 3600.0


@dataclass(frozen=True)
class Healthy:
    """A kind of traffic in which both tracks are equally good, and what we know about it."""

    name: str
    world: World
    config: EvidenceConfig
    history_s: float = 0.0


@dataclass(frozen=True)
class Fault:
    """A candidate that is worse from its first judged request on."""

    name: str
    world: World
    weight: int


def healthy_kinds() -> Iterator[Healthy]:
    """Equal tracks: single failures, bursts on both, on one only, and wandering latency."""
    errors = (ErrorsMetric(user_budget=None),)
    for name, stable, candidate, limit, history in (
        ("independent, no history", 1, 1, 1, 0.0),
        ("independent, 4 h of history", 1, 1, 1, FOUR_HOURS),
        ("bursts of 16 on both, 4 h of history", 16, 16, 1, FOUR_HOURS),
        ("bursts of 16 on the candidate only, batch limit 16", 1, 16, 16, 0.0),
        ("bursts of 16 on stable only, 4 h of history", 16, 1, 1, FOUR_HOURS),
    ):
        world = World(100, Behaviour(0.005, stable), Behaviour(0.005, candidate), latency=False)
        yield Healthy(name, world, EvidenceConfig(batch_limit=limit, metrics=errors), history)
    at_tolerance = World(100, Behaviour(0.005), Behaviour(0.006), latency=False)
    yield Healthy("exactly at the tolerance", at_tolerance, EvidenceConfig(batch_limit=1, metrics=errors))
    for wobble, history in ((0.1, 0.0), (0.1, 600.0), (0.3, 0.0)):
        has = Behaviour(wobble=wobble)
        config = EvidenceConfig(batch_limit=1, metrics=(LatencyMetric(),), warmup_s=0.0)
        name = f"latency wanders by {wobble:.0%} a block, {history:.0f} s of history"
        yield Healthy(name, World(100, has, has), config, history)


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


def rolled_back(kind: Healthy, ramps: int, seed: int) -> dict[str, Any]:
    """How many of `ramps` healthy ramps of half an hour are rolled back."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for _ in range(ramps):
        history = kind.world.history(kind.config, kind.history_s, rng) if kind.history_s else None
        wrong += ever_rolled_back(kind.config, kind.world, rng, BLOCKS, history)
    bound = float(beta.ppf(0.01, wrong, ramps - wrong + 1)) if wrong else 0.0
    kept = bound <= kind.config.false_rollback
    return {"traffic": kind.name, "ramps": ramps, "rolledBack": wrong, "lower99": bound, "kept": kept}


def found(fault: Fault, ramps: int, seed: int) -> dict[str, Any]:
    """How soon a fault is found, and what it cost, with ten minutes of history and after the warm-up."""
    rng = np.random.default_rng(seed)
    config = EvidenceConfig(batch_limit=1, weights=(fault.weight,), warmup_s=0.0)
    endings = [
        ramp(config, fault.world, rng, fault.world.history(config, 600, rng), 7200.0) for _ in range(ramps)
    ]
    failed = [end for end in endings if end.judgement.verdict is Verdict.FAIL]
    return {
        "fault": fault.name,
        "weight": fault.weight,
        "ramps": ramps,
        "found": len(failed),
        "medianSeconds": median(end.at_s for end in failed) if failed else None,
        "medianServed": median(end.served for end in failed) if failed else None,
    }


def promoted(weights: tuple[int, ...], ramps: int, seed: int) -> dict[str, Any]:
    """How long a healthy ramp takes, and how often it ends at 100 %."""
    rng = np.random.default_rng(seed)
    config = EvidenceConfig(batch_limit=1, weights=weights)
    world = World(100)
    endings = [ramp(config, world, rng, world.history(config, 600, rng)) for _ in range(ramps)]
    done = [end for end in endings if end.judgement.verdict is Verdict.PASS]
    seconds = [end.at_s for end in done]
    return {
        "weights": list(weights),
        "ramps": ramps,
        "promoted": len(done),
        "medianSeconds": median(seconds),
        "p90Seconds": float(np.percentile(seconds, 90)),
        "medianServed": median(end.served for end in done),
    }


def main() -> int:
    """Run everything; 1 when a kind of traffic breaks the promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ramps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261123)
    asked = parser.parse_args()
    began = time.monotonic()
    healthy, few = [], max(20, asked.ramps // 20)
    for kind in healthy_kinds():
        healthy.append(rolled_back(kind, asked.ramps, asked.seed))
        print(json.dumps(healthy[-1]), flush=True)
    power = [found(fault, few, asked.seed) for fault in faults()]
    print(*(json.dumps(row) for row in power), sep="\n")
    ramps = [promoted(weights, few, asked.seed) for weights in ((5, 10, 25, 50), (5, 25, 50))]
    print(*(json.dumps(row) for row in ramps), sep="\n")
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "simulated": True,
        "seed": asked.seed,
        "machine": {"python": platform.python_version(), "machine": platform.machine()},
        "seconds": round(time.monotonic() - began, 1),
        "config": {k: v for k, v in asdict(EvidenceConfig()).items() if k != "latency_edges"},
        "healthy": healthy,
        "faults": power,
        "promotion": ramps,
    }
    RESULTS.write_text(json.dumps(result, indent=1, default=str) + "\n")
    return 0 if all(row["kept"] for row in healthy) else 1


if __name__ == "__main__":
    sys.exit(main())
