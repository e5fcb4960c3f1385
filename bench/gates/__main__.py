"""How often the gates' bounds are wrong, and what they can decide: `make bench-gates`.

    at the gate   a candidate that keeps exactly what the gate demands: how often it passes, or fails; nominal is 5 %
    three tries   three such candidates, certified one after the other at alpha/2, alpha/4, alpha/8
    power         the planner's number of items, and how often a candidate without any loss then passes; claimed is 80 %
    others        variation of latency, memory of processes, speed-up: how often a bound misses the truth

Prints tables, writes bench/results/gates.{json,md}. Simulated data only. Exit code 1 when a promise is broken: a lower
99.9 % binomial bound above the nominal rate.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from bench.gates.peers import PEERS
from scipy.stats import beta

from edgeramp.decide.gates_power import retention_items
from edgeramp_harness import statistics
from edgeramp_harness.statistics import Floats

RESULTS = Path(__file__).resolve().parent.parent / "results"
ALPHA = 0.05
Counts = tuple[int, int, int, int]
Row = dict[str, Any]
CELLS = [
    (0.95, 0.9, 0.0, 60), (0.95, 0.9, 0.01, 60), (0.95, 0.9, 0.01, 200), (0.95, 0.7, 0.01, 200), (0.95, 0.98, 0.0, 2500),
    (0.97, 0.9, 0.01, 100), (0.97, 0.9, 0.02, 500), (0.99, 0.9, 0.01, 500), (0.99, 0.9, 0.01, 2500), (0.99, 0.7, 0.05, 2500),
    (0.999, 0.9, 0.005, 20_000),
]  # fmt: skip


def kept(misses: int, trials: int, nominal: float) -> bool:
    """The lower 99.9 % binomial bound of the share of misses is within the nominal rate."""
    return misses == 0 or float(beta.ppf(0.001, misses, trials - misses + 1)) <= nominal


def scores(counts: Counts) -> tuple[Floats, Floats]:
    """Scores of the reference and of the candidate; `counts` are both right, only the reference, only the candidate, neither."""
    return np.repeat([1.0, 1.0, 0.0, 0.0], counts), np.repeat([1.0, 0.0, 1.0, 0.0], counts)


@functools.cache
def margin(counts: Counts, gate: float, confidence: float) -> statistics.Interval:
    return statistics.paired_quality(*scores(counts), gate, confidence, 1).margin


def drawn(shares: tuple[float, ...], items: int, trials: int, seed: int) -> list[Counts]:
    found = np.random.default_rng(seed).multinomial(items, shares, size=trials)
    return [tuple(map(int, row)) for row in found]  # type: ignore[misc]


def at_the_gate(gate: float, accuracy: float, gained: float, items: int, trials: int, seed: int) -> Row:
    """False passes of each bound, and false fails of ours."""
    lost = (1 - gate) * accuracy + gained
    rows = drawn((accuracy - lost, lost, gained, 1 - accuracy - gained), items, trials, seed)
    passes = {"edgeramp": sum(margin(r, gate, 1 - ALPHA).lower > 0 for r in rows)}
    for name, rule in PEERS.items():
        once = functools.cache(lambda r, rule=rule: rule(*scores(r), gate, 1 - ALPHA) > 0)
        passes[name] = sum(map(once, rows))
    fails = sum(margin(r, gate, 1 - ALPHA).upper < 0 for r in rows)
    return {
        "gate": gate, "accuracy": accuracy, "gained": gained, "items": items, "trials": trials, "passes": passes,
        "fails": fails, "kept": kept(passes["edgeramp"], trials, ALPHA) and kept(fails, trials, ALPHA),
    }  # fmt: skip


def three_tries(items: int, trials: int, seed: int) -> Row:
    """How often any of three candidates exactly at 0.95 is certified."""
    rng, wrong, alpha = np.random.default_rng(seed), 0, (ALPHA / 2, ALPHA / 4, ALPHA / 8)
    for three in rng.multinomial(items, (0.845, 0.055, 0.01, 0.09), size=(trials, 3)):
        tries = zip(three, alpha, strict=True)
        wrong += any(margin(tuple(map(int, row)), 0.95, 1 - a).lower > 0 for row, a in tries)  # type: ignore[arg-type]
    return {"items": items, "trials": trials, "certified": wrong, "kept": kept(wrong, trials, ALPHA)}


def power(gate: float, alpha: float, trials: int, seed: int) -> Row:
    """A candidate that is as good as the original, with the planner's assumptions."""
    items = retention_items(gate, alpha) or 0
    rows = drawn((0.89, 0.01, 0.01, 0.09), items, trials, seed)
    passed = sum(margin(r, gate, 1 - alpha).lower > 0 for r in rows)
    return {
        "gate": gate, "alpha": alpha, "items": items, "trials": trials, "passed": passed,
        "kept": kept(trials - passed, trials, 0.20),
    }  # fmt: skip


Shape = Callable[[np.random.Generator, Any], Floats]
RARE = "one block in 20 up to 15 % slower"
SHAPES: dict[str, Shape] = {
    "normal, 5 %": lambda rng, size: rng.normal(1, 0.05, size),
    "lognormal, 20 %": lambda rng, size: np.exp(rng.normal(0, 0.2, size)),
    "exponential tail": lambda rng, size: 1 + 0.1 * rng.gamma(1, 1, size),
    "t with 5 degrees": lambda rng, size: 1 + 0.03 * rng.standard_t(5, size),
    RARE: lambda rng, size: (
        1 + 0.02 * rng.normal(size=size) + 0.15 * (rng.random(size) < 0.05) * rng.random(size)
    ),
}


def variation(name: str, blocks: int, promised: bool, trials: int, seed: int) -> Row:
    """Blocks of one process."""
    rng, shape = np.random.default_rng(seed), SHAPES[name]
    many = shape(rng, 1_000_000)
    truth = float(many.std() / many.mean())
    found = [statistics.variation(shape(rng, blocks), 1 - ALPHA) for _ in range(trials)]
    return _missed(f"variation, {blocks} blocks, {name}", found, truth, promised)


def memory(processes: int, trials: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    pairs = ((rng.normal(100, 3, processes), rng.normal(45, 3, processes)) for _ in range(trials))
    found = [f for f in (statistics.saved(*pair, 1 - ALPHA) for pair in pairs) if f]
    return _missed(f"memory saved, {processes} processes", found, 0.55, promised=True)


def speed(processes: int, differ: float, trials: int, seed: int) -> Row:
    """Fresh pairs of processes whose ratios differ, of ten rounds each, in which both sides feel the machine's speed wander."""
    rng, found = np.random.default_rng(seed), []
    for trial in range(trials):
        pairs = [_pair(rng, float(np.exp(rng.normal(0, differ)))) for _ in range(processes)]
        reference, candidate = ([p[side] for p in pairs] for side in (0, 1))
        found.append(statistics.speedup(reference, candidate, 1 - ALPHA, trial))
    name = f"speed-up, {processes} pair{'s' * (processes > 1)} of processes that differ by {differ:.0%}"
    return _missed(name, found, 2.0, promised=processes > 1 or not differ)


def _pair(rng: np.random.Generator, level: float) -> tuple[Floats, Floats]:
    rounds = 10
    common = np.exp(np.cumsum(rng.normal(0, 0.01, rounds)))[:, None]
    noise = np.exp(rng.normal(0, 0.03, (2, rounds, 2)))
    return 2 * level * common * noise[0], common * noise[1]


def _missed(name: str, found: list[statistics.Interval], truth: float, promised: bool) -> Row:
    low, high = sum(f.lower > truth for f in found), sum(f.upper < truth for f in found)
    holds = all(kept(misses, len(found), ALPHA) for misses in (low, high))
    return {
        "bound": name,
        "trials": len(found),
        "lower": low,
        "upper": high,
        "promised": promised,
        "kept": holds,
    }


def share(count: int, trials: int) -> str:
    return f"{100 * count / trials:.1f} %"


def markdown(result: Row) -> str:
    """The losses with the wins."""
    names = ("edgeramp", *PEERS)
    lines = [
        "# The gates' bounds, by simulation", "",
        f"Printed by `{result['command']}` in {result['seconds']:.0f} s. **Simulated data only.** Nominal: 5 % on each side.", "",
        "## A candidate exactly at the gate", "",
        "It should pass in at most 5 % of measurements. `gained`: share of items right only with the candidate.", "",
        f"| gate | accuracy | gained | items | {' | '.join(f'{n} passes' for n in names)} | edgeramp fails |",
        "| ---: " * (5 + len(names)) + "|",
    ]  # fmt: skip
    for r in result["gate"]:
        cells = [share(r["passes"][n], r["trials"]) for n in names]
        cells[0] = f"**{cells[0]}**" if r["kept"] else f"{cells[0]} (broken)"
        given, fails = (
            (f"{r[k]:g}" for k in ("gate", "accuracy", "gained", "items")),
            share(r["fails"], r["trials"]),
        )
        lines.append(f"| {' | '.join([*given, *cells, fails])} |")
    t = result["tries"]
    lines += [
        "", f"Three such candidates certified one after the other on {t['items']} items at alpha/2, alpha/4, alpha/8: "
        f"any passes in **{share(t['certified'], t['trials'])}** of {t['trials']} trials.", "",
        "## Power of the planned number of items", "",
        "0.90 accuracy, 2 % of the answers flip, no true loss; claimed: 80 %.", "",
        "| gate | alpha | items | passes |", "| ---: | ---: | ---: | ---: |",
        *(f"| {r['gate']:g} | {r['alpha']:g} | {r['items']} | {share(r['passed'], r['trials'])} |" for r in result["power"]),
        "", "## Other bounds: how often the truth lies outside", "",
        "| bound | below the lower | above the upper |", "| --- | ---: | ---: |",
        *(f"| {r['bound']}{'' if r['promised'] else ' †'} | {share(r['lower'], r['trials'])} | {share(r['upper'], r['trials'])} |"
          for r in result["others"]),
        "", "† No bound can promise this: what happens once in 20 blocks may not happen in 60, nor does one pair show how",
        "pairs differ.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _jobs(trials: int, seed: int) -> Iterator[tuple[str, Callable[..., Row], tuple[Any, ...]]]:
    few = max(100, trials // 5)
    for cell in CELLS:
        yield "gate", at_the_gate, (*cell, trials, seed)
    yield "tries", three_tries, (200, trials, seed)
    for gate in (0.95, 0.97, 0.99):
        for alpha in (ALPHA, ALPHA / 2):
            yield "power", power, (gate, alpha, trials, seed)
    yield "power", power, (0.999, ALPHA, few, seed)
    for name in SHAPES:
        for blocks in (60, 200):  # the rare blocks are beyond any bound: of 60, 5 % of the time none is slow
            yield "others", variation, (name, blocks, name != RARE, trials, seed)
    yield "others", memory, (5, trials, seed)
    for processes, differ in ((1, 0.0), (1, 0.05), (3, 0.01), (3, 0.05), (9, 0.05)):
        yield "others", speed, (processes, differ, few if processes == 1 else trials, seed)


def main() -> int:
    """Run everything; 1 when a bound breaks its promise."""
    parser = argparse.ArgumentParser(prog="bench.gates", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    began = time.monotonic()
    result: Row = {
        "simulated": True,
        "command": f"make bench-gates TRIALS={asked.trials}",
        "seed": asked.seed,
    }
    with ProcessPoolExecutor(asked.processes) as pool:
        waiting = [(part, pool.submit(work, *given)) for part, work, given in _jobs(asked.trials, asked.seed)]
        for number, (part, job) in enumerate(waiting, 1):
            row = job.result()
            print(f"{number} of {len(waiting)}: {part}", file=sys.stderr, flush=True)
            if part == "tries":
                result[part] = row
            else:
                result.setdefault(part, []).append(row)
    result["seconds"] = round(time.monotonic() - began, 1)
    print(markdown(result))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gates.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "gates.md").write_text(markdown(result))
    rows = [
        *result["gate"],
        result["tries"],
        *result["power"],
        *(r for r in result["others"] if r["promised"]),
    ]
    return 0 if all(row["kept"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
