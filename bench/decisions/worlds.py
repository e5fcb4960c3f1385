"""Seeded, simulated traffic for the evidence tests: two tracks, failures alone or in bursts, latency by ranks.

Simulated data only: what these worlds show says nothing about whether phi is estimated well on real servers.
"""

from __future__ import annotations

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
class World:
    """Open-loop Poisson traffic, split by weight, read every `interval_s` seconds."""

    requests_per_s: float
    stable: Behaviour = Behaviour()
    candidate: Behaviour = Behaviour()
    interval_s: float = 5.0
    latency: bool = True

    def track(
        self, config: EvidenceConfig, share: float, has: Behaviour, rng: np.random.Generator
    ) -> TrackCounts:
        """One track's counts of one block."""
        requests = int(rng.poisson(self.requests_per_s * self.interval_s * share))
        return TrackCounts(requests, _bad(requests, has, rng), self._latency(config, requests, has, rng))

    def block(self, config: EvidenceConfig, start_s: float, weight: int, rng: np.random.Generator) -> Block:
        """Both tracks' counts of one block."""
        return Block(
            start_s=start_s,
            end_s=start_s + self.interval_s,
            weight=weight,
            stable=self.track(config, 1 - weight / 100, self.stable, rng),
            candidate=self.track(config, weight / 100, self.candidate, rng),
        )

    def history(self, config: EvidenceConfig, seconds: float, rng: np.random.Generator) -> list[HistoryRow]:
        """Stable alone, in rows of 5 s."""
        alone = World(self.requests_per_s, self.stable, self.stable, 5.0, self.latency)
        tracks = [alone.track(config, 1.0, self.stable, rng) for _ in range(int(seconds / 5))]
        return [HistoryRow(t.requests, t.bad, t.latency) for t in tracks]

    def _latency(
        self, config: EvidenceConfig, requests: int, has: Behaviour, rng: np.random.Generator
    ) -> tuple[int, ...]:
        if not self.latency:
            return ()
        centre = np.log(has.median_s) + (rng.normal(0.0, has.wobble) if has.wobble else 0.0)
        where = np.searchsorted(np.log(config.latency_edges), rng.normal(centre, has.spread, requests))
        return tuple(np.bincount(where, minlength=len(config.latency_edges) + 1).tolist())


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
    at = since = 0.0
    served = position = 0
    said: list[str] = []
    while True:
        block = world.block(config, at, weights[position], rng)
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
    """Whether the evidence ever reaches the threshold in a ramp that goes through the weights by the clock."""
    state = initial_state(config, history or ())
    weights = [w for w in config.weights if w < 100]
    threshold = -np.log(config.false_rollback)
    for i in range(blocks):
        weight = weights[i * len(weights) // blocks]
        state = step(config, state, world.block(config, i * world.interval_s, weight, rng))
        if log_evidence(config, state) >= threshold:
            return True
    return False
