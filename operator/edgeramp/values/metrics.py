"""Every metric of the operator, as data: what is not here does not exist, and docs/reference/metrics.md is made from it.

Names and units follow Prometheus' conventions (base units, `_total` for counters). Labels are bounded: kinds, reasons and
classes of errors are words of ours; `namespace` and `name` are those of objects that exist, and go with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """`name` as a query has it. `help` is one sentence."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


BUILD_INFO = Metric("edgeramp_build_info", "gauge", ("version",), "1, with the operator's version.")
LEADER = Metric("edgeramp_leader", "gauge", (), "1 while this process holds the Lease, else 0.")
QUEUE_DEPTH = Metric("edgeramp_queue_depth", "gauge", (), "Objects waiting for a look or under one.")
LOOKS = Metric(
    "edgeramp_reconcile_total", "counter", ("kind", "result"), "Looks at an object, by what came of it."
)
LOOK_SECONDS = Metric(
    "edgeramp_reconcile_duration_seconds",
    "histogram",
    ("kind", "part"),
    "Time of a look, by part: observe, plan, apply.",
)
ERRORS = Metric(
    "edgeramp_errors_total", "counter", ("kind", "error"), "Looks that failed, by class of error."
)
ACTIONS = Metric("edgeramp_actions_total", "counter", ("kind", "action"), "Actions carried out, by sort.")
EVENTS = Metric(
    "edgeramp_events_total", "counter", ("kind", "reason"),
    "Kubernetes Events told, by reason: Promoted, RolledBack, Certified, NoCandidate and all others of the reference.",
)  # fmt: skip
OBJECTS = Metric("edgeramp_objects", "gauge", ("kind", "phase"), "Objects by the phase of their status.")
ROLLOUT_PHASE = Metric(
    "edgeramp_rollout_phase", "gauge", ("namespace", "name", "phase"), "1 for the phase that a Rollout is in."
)
ROLLOUT_WEIGHT = Metric(
    "edgeramp_rollout_candidate_weight_ratio", "gauge", ("namespace", "name"),
    "Share of the requests, 0 to 1, that the route gives to the candidate; there only while there is one.",
)  # fmt: skip
ROLLOUT_STARTED = Metric(
    "edgeramp_rollout_ramp_start_timestamp_seconds", "gauge", ("namespace", "name"),
    "When the ramp that runs began (Unix time); there only while one runs.",
)  # fmt: skip
MODEL_PHASE = Metric(
    "edgeramp_edgemodel_phase",
    "gauge",
    ("namespace", "name", "phase"),
    "1 for the phase that an EdgeModel is in.",
)

METRICS = (
    BUILD_INFO, LEADER, QUEUE_DEPTH, LOOKS, LOOK_SECONDS, ERRORS, ACTIONS, EVENTS, OBJECTS, ROLLOUT_PHASE, ROLLOUT_WEIGHT,
    ROLLOUT_STARTED, MODEL_PHASE,
)  # fmt: skip
