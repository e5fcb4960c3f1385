"""Seeded, simulated traffic for the evidence tests: two tracks, failures alone or in bursts, latency by ranks.

Simulated data only: what these worlds show says nothing about whether phi is estimated well on real servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeramp.decide.evidence import (
    Block,
    EvidenceConfig,
    EvidenceState,
    HistoryRow,
    Judgement,
    TrackCounts,
    initial_state,
    judge,
    step,
)
from edgeramp.decide.evidence.judging import log_evidence
from edgeramp.values.verdict import Verdict


@dataclass(frozen=True)
class Behaviour:
    """How one track behaves: its failure rate, how many fail together, and its log-normal latency (seconds).

    `wobble` is the standard deviation of a factor on latency that is drawn anew for each block (log scale).
    """

    failure_rate: float = 0.001
    burst: int = 1
    median_s: float = 0.02
    spread: float = 0.6
    wobble: float = 0.0


@dataclass(frozen=True)
class Trouble:
    """Times in which a share of all requests fails: every `every_s` on average (Poisson), for `lasts_s`.

    `shared`: it hits both tracks at once (a sick node below both); else each track has its own, equally often.
    """

    every_s: float
    lasts_s: float
    share: float
    shared: bool = False


Times = tuple[tuple[float, float], ...]
"""Beginning and end of each trouble of one track, in seconds."""


@dataclass(frozen=True)
class World:
    """Open-loop Poisson traffic, split by weight, read every `interval_s` seconds."""

    requests_per_s: float
    stable: Behaviour = Behaviour()
    candidate: Behaviour = Behaviour()
    interval_s: float = 5.0
    latency: bool = True
    trouble: Trouble | None = None

    def times(self, seconds: float, rng: np.random.Generator) -> tuple[Times, Times]:
        """When stable and candidate are in trouble."""
        if self.trouble is None:
            return (), ()
        stable = _times(self.trouble, seconds, rng)
        return stable, stable if self.trouble.shared else _times(self.trouble, seconds, rng)

    def track(
        self,
        config: EvidenceConfig,
        share: float,
        has: Behaviour,
        rng: np.random.Generator,
        sick: float = 0.0,
    ) -> TrackCounts:
        """One track's counts of one block, of which it is in trouble for the share `sick`."""
        requests = int(rng.poisson(self.requests_per_s * self.interval_s * share))
        bad = _bad(requests, has, rng)
        if sick and self.trouble:
            bad = min(requests, bad + int(rng.binomial(requests, sick * self.trouble.share)))
        return TrackCounts(requests, bad, self._latency(config, requests, has, rng))

    def block(
        self,
        config: EvidenceConfig,
        start_s: float,
        weight: int,
        rng: np.random.Generator,
        times: tuple[Times, Times] = ((), ()),
    ) -> Block:
        """Both tracks' counts of one block."""
        end_s = start_s + self.interval_s
        sick = [_overlap(own, start_s, end_s) for own in times]
        return Block(
            start_s=start_s,
            end_s=end_s,
            weight=weight,
            stable=self.track(config, 1 - weight / 100, self.stable, rng, sick[0]),
            candidate=self.track(config, weight / 100, self.candidate, rng, sick[1]),
        )

    def blocks(
        self, config: EvidenceConfig, count: int, rng: np.random.Generator, weight: int | None = None
    ) -> Iterator[Block]:
        """`count` blocks at `weight`; without one the ramp goes through the config's weights by the clock."""
        times = self.times(count * self.interval_s, rng)
        weights = [w for w in config.weights if w < 100] if weight is None else [weight]
        for i in range(count):
            yield self.block(config, i * self.interval_s, weights[i * len(weights) // count], rng, times)

    def history(self, config: EvidenceConfig, seconds: float, rng: np.random.Generator) -> list[HistoryRow]:
        """Stable alone, in rows of 5 s."""
        alone = World(self.requests_per_s, self.stable, self.stable, 5.0, self.latency, self.trouble)
        own = self.times(seconds, rng)[0]
        tracks = [
            alone.track(config, 1.0, self.stable, rng, _overlap(own, 5.0 * i, 5.0 * i + 5.0))
            for i in range(int(seconds / 5))
        ]
        return [HistoryRow(t.requests, t.bad, t.latency) for t in tracks]

    def _latency(
        self, config: EvidenceConfig, requests: int, has: Behaviour, rng: np.random.Generator
    ) -> tuple[int, ...]:
        if not self.latency:
            return ()
        centre = np.log(has.median_s) + (rng.normal(0.0, has.wobble) if has.wobble else 0.0)
        where = np.searchsorted(np.log(config.latency_edges), rng.normal(centre, has.spread, requests))
        return tuple(np.bincount(where, minlength=len(config.latency_edges) + 1).tolist())


def _times(trouble: Trouble, seconds: float, rng: np.random.Generator) -> Times:
    count = int(rng.poisson(seconds / trouble.every_s))
    begins = np.sort(rng.uniform(0.0, seconds, count))
    return tuple((float(at), float(at) + trouble.lasts_s) for at in begins)


def _overlap(times: Times, start_s: float, end_s: float) -> float:
    """The share of start..end that lies in `times`."""
    covered = sum(max(0.0, min(end_s, end) - max(start_s, begin)) for begin, end in times)
    return min(1.0, covered / (end_s - start_s))


def _bad(requests: int, has: Behaviour, rng: np.random.Generator) -> int:
    if has.burst == 1:
        return int(rng.binomial(requests, has.failure_rate))
    return min(requests, has.burst * int(rng.poisson(requests * has.failure_rate / has.burst)))


@dataclass(frozen=True)
class Ending:
    """How a simulated ramp ended."""

    at_s: float
    served: int
    judgement: Judgement
    state: EvidenceState
    sentences: tuple[str, ...]


def ramp(
    config: EvidenceConfig,
    world: World,
    rng: np.random.Generator,
    history: list[HistoryRow] | None = None,
    limit_s: float = 3600.0,
) -> Ending:
    """Go through the config's weights as verdicts allow, until Fail, the end of the ramp or `limit_s`."""
    state = initial_state(config, history or ())
    weights = [*[w for w in config.weights if w < 100], 100]
    times = world.times(limit_s, rng)
    at = since = 0.0
    served = position = 0
    said: list[str] = []
    while True:
        block = world.block(config, at, weights[position], rng, times)
        state = step(config, state, block)
        at, served = at + world.interval_s, served + block.candidate.requests
        now = judge(config, state, weights[position], weights[position + 1], at - since)
        if now.verdict is Verdict.PASS:
            said.append(now.sentence)
            position, since = position + 1, at
        over = weights[position] == 100 or at >= limit_s
        if now.verdict is Verdict.FAIL or over:
            return Ending(at, served, now, state, tuple(said))


def ever_rolled_back(
    config: EvidenceConfig,
    world: World,
    rng: np.random.Generator,
    blocks: int,
    history: list[HistoryRow] | None = None,
) -> bool:
    """Whether the evidence ever reaches the threshold in a ramp that goes through the weights by the clock.

    The guards (an outage of the candidate alone) are outside the promise and are not asked."""
    state = initial_state(config, history or ())
    threshold = -np.log(config.false_rollback)
    for block in world.blocks(config, blocks, rng):
        state = step(config, state, block)
        if log_evidence(config, state) >= threshold:
            return True
    return False
