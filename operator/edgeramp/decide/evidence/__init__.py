"""Evidence in the ramp: tests that may be looked at after every scrape and still keep their error rates.

How the ramp planner calls it (all functions are pure; whatever they return is a new value):

    config = config_from_analysis(rollout.spec.strategy.analysis, weights=(5, 25, 50, 100), batch_limit=1)
    state = initial_state(config, history)               # once, at the start of the ramp; history may be ()
    state = observe(config, state, scrape, weight)       # at every scrape; `weight` is the weight read back
    verdict = judge(config, state, weight, next_weight, seconds_at_weight)
    text = json.dumps(to_json(state))                    # into status: before acting, at weight changes, every 30 s
    state = from_json(config, json.loads(text))          # after a restart; ValueError: start anew

`observe` turns raw counters into increments (`increments`) and feeds them to `step`. Scrape once before a weight
change and once right after it: the first `observe` with another weight only takes a new baseline, so the block in
between is dropped. A scrape without an answer is passed on as a `Scrape` without series: it changes no evidence
and counts as missing. `scrape.at_s` is seconds since the rollout's start and must not go back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeramp.api.rollout import Analysis
from edgeramp.decide.evidence.blocks import (
    Block,
    HistoryRow,
    LatencySeries,
    RequestSeries,
    Scrape,
    Track,
    TrackCounts,
)
from edgeramp.decide.evidence.config import (
    Action,
    ErrorsMetric,
    EvidenceConfig,
    Guards,
    LatencyMetric,
)
from edgeramp.decide.evidence.judgement import EvidenceReason, Judgement, MetricFinding
from edgeramp.decide.evidence.state import Counters, EvidenceState


def config_from_analysis(analysis: Analysis, weights: Sequence[int], batch_limit: int | None) -> EvidenceConfig:
    """The config for an API `Analysis`. `batch_limit` is the candidate server's (None: unknown, taken as 8)."""
    raise NotImplementedError


def initial_state(config: EvidenceConfig, history: Sequence[HistoryRow] = (), weight: int = 0) -> EvidenceState:
    """The state before the first block. `history`: stable's rows of 5 s, oldest first, up to 4 h; may be empty."""
    raise NotImplementedError


def increments(
    config: EvidenceConfig, before: Counters | None, scrape: Scrape, weight: int
) -> tuple[Counters, Block | None]:
    """New last counters, and the block between the two scrapes (None for the very first scrape)."""
    raise NotImplementedError


def step(config: EvidenceConfig, state: EvidenceState, block: Block) -> EvidenceState:
    """The state after one block."""
    raise NotImplementedError


def observe(config: EvidenceConfig, state: EvidenceState, scrape: Scrape, weight: int) -> EvidenceState:
    """The state after one scrape: `increments`, then `step` unless the weight changed since the last scrape."""
    raise NotImplementedError


def judge(
    config: EvidenceConfig, state: EvidenceState, weight: int, next_weight: int | None, seconds_at_weight: float
) -> Judgement:
    """Decide from the state. `next_weight` None: the last step is reached, promotion asks for weight 100's margin."""
    raise NotImplementedError


def plan(config: EvidenceConfig, requests_per_s: float, weight: int, history: Sequence[HistoryRow] = ()) -> str:
    """One sentence: at this weight and traffic, what would be found and after how long."""
    raise NotImplementedError


def to_json(state: EvidenceState) -> dict[str, Any]:
    """A compact dict of JSON types, under 16 KiB; `from_json` gives back an equal state."""
    raise NotImplementedError


def from_json(config: EvidenceConfig, data: Mapping[str, Any]) -> EvidenceState:
    """The inverse of `to_json`. Raises ValueError when `data` does not fit the config or this version."""
    raise NotImplementedError


__all__ = [
    "Action",
    "Block",
    "Counters",
    "ErrorsMetric",
    "EvidenceConfig",
    "EvidenceReason",
    "EvidenceState",
    "Guards",
    "HistoryRow",
    "Judgement",
    "LatencyMetric",
    "LatencySeries",
    "MetricFinding",
    "RequestSeries",
    "Scrape",
    "Track",
    "TrackCounts",
    "config_from_analysis",
    "from_json",
    "increments",
    "initial_state",
    "judge",
    "observe",
    "plan",
    "step",
    "to_json",
]
