"""Evidence in the ramp: tests that may be looked at after every scrape and still keep their error rates.

How the ramp planner calls it (all functions are pure; whatever they return is a new value):

    config = config_from_analysis(rollout.spec.strategy.analysis, weights=(5, 25, 50, 100), batch_limit=1)
    state = initial_state(config, history)            # once, at the start of the ramp; history may be ()
    state = observe(config, state, scrape, weight)    # at every scrape; `weight` is the weight read back
    verdict = judge(config, state, weight, next_weight, seconds_at_weight)
    text = json.dumps(to_json(state))                 # to status: before acting, at weight changes, every 30 s
    state = from_json(config, json.loads(text))       # after a restart; ValueError: start anew

`observe` turns raw counters into increments (`increments`) and feeds them to `step`. Scrape once before a weight
change and once right after it: the first `observe` with another weight only takes a new baseline, so the block
in between is dropped. A scrape without an answer is passed on as a `Scrape` without series: it changes no
evidence and counts as missing. `scrape.at_s` is seconds since the rollout's start and must not go back.
"""

from __future__ import annotations

from edgeramp.decide.evidence.blocks import (
    Block,
    HistoryRow,
    LatencySeries,
    Look,
    RequestSeries,
    Scrape,
    Track,
    TrackCounts,
)
from edgeramp.decide.evidence.codec import from_json, to_json
from edgeramp.decide.evidence.config import (
    Action,
    ErrorsMetric,
    EvidenceConfig,
    Guards,
    LatencyMetric,
)
from edgeramp.decide.evidence.counters import increments
from edgeramp.decide.evidence.forecast import forecast, traffic
from edgeramp.decide.evidence.from_api import config_from_analysis
from edgeramp.decide.evidence.judgement import EvidenceReason, Judgement, MetricFinding
from edgeramp.decide.evidence.judging import judge
from edgeramp.decide.evidence.ledger import Ledger
from edgeramp.decide.evidence.planning import plan
from edgeramp.decide.evidence.state import Counters, EvidenceState
from edgeramp.decide.evidence.stepping import follow, initial_state, looked, observe, step

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
    "Ledger",
    "Look",
    "MetricFinding",
    "RequestSeries",
    "Scrape",
    "Track",
    "TrackCounts",
    "config_from_analysis",
    "follow",
    "forecast",
    "from_json",
    "increments",
    "initial_state",
    "judge",
    "looked",
    "observe",
    "plan",
    "step",
    "to_json",
    "traffic",
]
