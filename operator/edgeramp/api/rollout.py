"""Rollout: a progressive ramp from the stable revision to a candidate, judged at every scrape."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from edgeramp.api.bluegreen import PREVIEW_APART, BlueGreen
from edgeramp.api.checks import Check, CheckRecord
from edgeramp.api.common import (
    ApiPart,
    Cel,
    Condition,
    Digest,
    Duration,
    Hostname,
    Labels,
    Message,
    Name,
    Ratio,
    ResourceName,
    Resources,
    Revision,
    ServerSpec,
    Target,
    Text,
    cel,
    percent_rule,
    ratio_rule,
)
from edgeramp.api.windows import Window
from edgeramp.values.quantities import DURATION_PATTERN
from edgeramp.values.verdict import Verdict


class GatewayRef(ApiPart):
    name: ResourceName
    """Name of the Gateway."""
    namespace: ResourceName | None = None
    """Its namespace; the Rollout's own when left out."""
    section_name: ResourceName | None = None
    """One of its listeners; all when left out."""


class Route(ApiPart):
    """Where requests enter: a Gateway of the Gateway API, host names, a path prefix."""

    gateway_ref: GatewayRef
    """The Gateway of the Gateway API."""
    hostnames: Annotated[
        list[Hostname],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=cel(
                "size(self) > 0 && self.all(a, self.exists_one(b, a == b))",
                "write at least one host name, and each only once",
            ),
        ),
    ]
    """Host names of the requests."""
    path: Annotated[
        str,
        Field(
            max_length=256,
            pattern="^/",
            json_schema_extra=cel("self.startsWith('/')", "write a path that begins with /"),
        ),
    ] = "/"
    """Prefix of the path of the requests."""


class Pause(ApiPart):
    """Without a duration the ramp waits until somebody promotes."""

    duration: Duration | None = None
    """How long; without it until somebody promotes."""


class CandidateScale(ApiPart):
    """How many replicas the candidate has, whatever its weight is, until another such step or the last stretch."""

    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """This many."""
    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Percent of `spec.replicas`, rounded up."""
    match_traffic_weight: bool | None = None
    """As many as the weight takes again, which is the default."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "[has(self.replicas), has(self.percent), has(self.matchTrafficWeight) && self.matchTrafficWeight]"
            ".filter(x, x).size() == 1",
            "write one of replicas: 2, percent: 50 and matchTrafficWeight: true",
        ),
    )


_HeaderText = Annotated[str, Field(min_length=1, max_length=256)]


class HeaderValue(ApiPart):
    """Exactly one of these."""

    exact: _HeaderText | None = None
    """The whole value."""
    prefix: _HeaderText | None = None
    """How the value begins."""
    regex: _HeaderText | None = None
    """What the whole value matches (RE2)."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "[has(self.exact), has(self.prefix), has(self.regex)].filter(x, x).size() == 1",
            "write one of exact, prefix and regex",
        ),
    )


class HeaderMatch(ApiPart):
    header_name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            json_schema_extra=cel(
                r"self.matches(r'^[A-Za-z0-9_-]+$') && !self.lowerAscii().startsWith('x-edgeramp-')",
                "write the name of a header of your requests, such as X-Cohort; those that begin with x-edgeramp- are ours",
            ),
        ),
    ]
    """Name of a request's header; case does not matter."""
    header_value: HeaderValue
    """What its value is."""


class HeaderRoute(ApiPart):
    """Requests that go to the candidate whatever its weight is, until another such step or the end of the ramp."""

    match: Annotated[list[HeaderMatch], Field(max_length=8)] = Field(default_factory=list)
    """One that matches is enough; with none the header route ends."""


class Step(ApiPart):
    """Does exactly one thing."""

    set_weight: (
        Annotated[
            int,
            Field(
                ge=0,
                le=100,
                json_schema_extra=percent_rule(
                    "setWeight is the percentage of requests that reach the candidate; write a whole number from 0 to 100",
                ),
            ),
        ]
        | None
    ) = None
    """Percent of the requests that the candidate gets."""
    pause: Pause | None = None
    """Wait at the present weight."""
    set_candidate_scale: CandidateScale | None = None
    """Fix the number of the candidate's replicas."""
    set_header_route: HeaderRoute | None = None
    """Send requests with some header to the candidate; they are not judged."""
    set_mirror: (
        Annotated[
            int,
            Field(
                ge=0,
                le=100,
                json_schema_extra=percent_rule(
                    "setMirror is the percentage of requests that are copied to the candidate; write a whole number from 0"
                    " to 100",
                ),
            ),
        ]
        | None
    ) = None
    """Percent of the requests that are copied to the candidate as well; nobody sees its answers. 0 ends it."""
    check: Name | None = None
    """Stay here until this check of `strategy.checks` has passed."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "[has(self.setWeight), has(self.pause), has(self.setCandidateScale), has(self.setHeaderRoute),"
            " has(self.setMirror), has(self.check)].filter(x, x).size() == 1",
            "a step has exactly one of setWeight, pause, setCandidateScale, setHeaderRoute, setMirror and check; split it"
            " into several steps",
        ),
    )


class FailureRateMetric(ApiPart):
    """Errors (5xx, timeout, refused) per track. Tolerated: ratio x stable + add. To promote: `userBudget` at the next weight."""

    share: Annotated[int, Field(ge=0, le=100)] = 1
    """Part of the evidence budget, relative to the other metrics."""
    tolerate_ratio: Ratio = "1.1"
    """Tolerated error rate as a multiple of stable's."""
    tolerate_add: Ratio = "0.0005"
    """Tolerated error rate on top of that."""
    user_budget: Ratio = "0.002"
    """What a step may add to the error rate of all users."""
    action: Literal["Rollback", "Hold", "Report"] = "Rollback"
    """What a proven failure does."""


class LatencyMetric(ApiPart):
    """Shift of the whole distribution, P(slower), and the tails above stable's p95 and p99."""

    share: Annotated[int, Field(ge=0, le=100)] = 1
    """Part of the evidence budget, relative to the other metrics."""
    tolerate_slower: Ratio = "0.52"
    """Tolerated probability that a request to the candidate is slower than one to stable; 0.5 is equal."""
    tolerate_tail_ratio: Ratio = "1.1"
    """Tolerated share of slow requests as a multiple of stable's."""
    tolerate_tail_add: Ratio = "0.002"
    """Tolerated share of slow requests on top of that."""
    promote_slower: Ratio = "0.56"
    """Largest probability of being slower with which to promote."""
    action: Literal["Rollback", "Hold", "Report"] = "Rollback"
    """What a proven failure does."""


def _is_duration(field: str) -> str:
    return f"(self.{field} != '' && self.{field}.matches(r'{DURATION_PATTERN}'))"


class Analysis(ApiPart):
    """How often to look and what errors of judgement are accepted (docs/concepts: evidence)."""

    enabled: bool = True
    """false: steps go on by time alone; a lost candidate is still rolled back."""
    false_rollback: Ratio = "0.01"
    """Accepted share of rollouts in which a harmless candidate is rolled back."""
    false_promotion: Ratio = "0.05"
    """Accepted share of rollouts in which a candidate outside the margin is promoted."""
    scrape_interval: Duration = "5s"
    """Time between two looks."""
    step_minimum: Duration = "30s"
    """Shortest time at a weight."""
    max_duration: Duration = "2h"
    """Longest time of a ramp without proof; then onInconclusive decides."""
    on_inconclusive: Literal["Hold", "Rollback", "Promote"] = "Hold"
    """What to do when nothing is proven in time."""
    missing_scrapes: Annotated[int, Field(ge=2, le=100)] = 6
    """After how many looks without an answer the ramp holds with verdict Error."""
    errors: FailureRateMetric = FailureRateMetric()
    """Failed requests."""
    latency: LatencyMetric = LatencyMetric()
    """Slow requests."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        ratio_rule(
            "falseRollback",
            "x > 0.0 && x <= 0.2",
            'falseRollback is the accepted share of wrong rollbacks; write a value above 0 and up to 0.2, such as "0.01"',
        ),
        ratio_rule(
            "falsePromotion",
            "x > 0.0 && x <= 0.5",
            'falsePromotion is the accepted share of wrong promotions; write a value above 0 and up to 0.5, such as "0.05"',
        ),
        Cel(
            f"!{_is_duration('scrapeInterval')} || (duration(self.scrapeInterval) >= duration('1s')"
            " && duration(self.scrapeInterval) <= duration('1m'))",
            "scrapeInterval is the time between two looks; write 1s to 1m",
            ".scrapeInterval",
        ),
        Cel(
            f"!{_is_duration('stepMinimum')} || !{_is_duration('maxDuration')}"
            " || duration(self.maxDuration) >= duration(self.stepMinimum)",
            "maxDuration is shorter than stepMinimum; write a longer maxDuration, such as 2h",
            ".maxDuration",
        ),
    )


class Strategy(ApiPart):
    """Steps in order, or blue-green; in the end the candidate always gets 100."""

    steps: Annotated[list[Step], Field(max_length=32)] | None = None
    """Weights and pauses in order; after the last the candidate always gets 100. Left out: setWeight 5, 25, 50."""
    blue_green: BlueGreen | None = None
    """In place of steps: from 0 to 100 in one write, after a preview."""
    dynamic_stable_scale: bool = False
    """With steps: stable has only as many replicas as its share of the requests takes, and scales up before it gets more.
    A rollback does not wait for that."""
    analysis: Analysis = Analysis()
    """When to go on and when to go back."""
    windows: Annotated[list[Window], Field(max_length=8)] = Field(default_factory=list)
    """When the candidate may get more requests; at any time when left out. Traffic goes back at any time."""
    checks: Annotated[list[Check], Field(max_length=8)] = Field(default_factory=list)
    """Fixed thresholds besides, without a guarantee: in the background, or where a step names them."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "!has(self.checks) || self.checks.all(a, self.checks.exists_one(b, a.name == b.name))",
            "each check needs a name of its own",
            ".checks",
        ),
        Cel(
            "!has(self.steps) || self.steps.all(s, !has(s.check) || (has(self.checks) && self.checks.exists(c, c.name =="
            " s.check && (!has(c.interval) || (has(c.count) && c.count > 0)))))",
            "a step's check is the name of one of strategy.checks, which has a count if it has an interval",
            ".steps",
        ),
        Cel(
            "!(has(self.steps) && has(self.blueGreen))",
            "a strategy has steps or blueGreen; remove one of them",
        ),
        Cel(
            "!(self.dynamicStableScale && has(self.blueGreen))",
            "blueGreen keeps stable at full strength; remove dynamicStableScale",
            ".dynamicStableScale",
        ),
    )


class RollbackWindow(ApiPart):
    revisions: Annotated[int, Field(ge=0, le=20)] = 3
    """How many earlier revisions may come back without steps."""


_OVERRIDE_HELP = "serving without a certificate is put on record; write why and by whom"


class Override(ApiPart):
    """Serving without a certificate is possible only on record: who allowed it, and why."""

    reason: Annotated[
        str, Field(min_length=1, max_length=512, json_schema_extra=cel("size(self) > 0", _OVERRIDE_HELP))
    ]
    """Why it may serve without a certificate."""
    approved_by: Annotated[
        str, Field(min_length=1, max_length=128, json_schema_extra=cel("size(self) > 0", _OVERRIDE_HELP))
    ]
    """Who says so."""


class RolloutSpec(ApiPart):
    artifact: Annotated[
        str,
        Field(
            max_length=512,
            json_schema_extra=cel(
                r"self.matches(r'^oci://[^@]+@sha256:[0-9a-f]{64}$')",
                "write the artifact by digest: oci://HOST/REPOSITORY@sha256:<64 hexadecimal digits>",
            ),
        ),
    ]
    """What to serve, by digest."""
    target: Target
    """Where to serve it."""
    server: ServerSpec
    """How to execute it."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Server pods of a revision that has all requests."""
    route: Route
    """Where requests enter."""
    strategy: Strategy = Strategy()
    """How traffic moves to a new artifact."""
    paused: bool = False
    """Freeze weights and deadline."""
    allow_uncertified: Override | None = None
    """Serve without a certificate, on record."""
    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    """How long a candidate may take to become available; pauses do not count."""
    on_progress_deadline: Literal["Abort", "Hold"] = "Abort"
    """Abort: weight 0. Hold: wait and say so."""
    abort_scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = 30
    """How long the pods of an aborted candidate stay; 0 keeps them."""
    rollback_window: RollbackWindow = RollbackWindow()
    """Which earlier revisions may come back at once."""

    CEL: ClassVar[tuple[Cel, ...]] = (PREVIEW_APART,)


class ServedRevision(Revision):
    """All that is needed to render a revision again after the spec has moved on. `isa`: CPU features that a node must
    promise by label, from the certificate. `allowed`: the override on record by which it was admitted without one. The
    images are those that it was started with: an upgrade of the operator does not restart what serves."""

    model_name: Text = ""
    image: Annotated[str, Field(max_length=512)] | None = None
    node_selector: Labels = Field(default_factory=dict)
    resources: Resources = Resources()
    isa: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=64)] = Field(
        default_factory=list
    )
    allowed: Override | None = None
    server_image: Annotated[str, Field(max_length=512)] | None = None
    fetch_image: Annotated[str, Field(max_length=512)] | None = None


class RampFacts(ApiPart):
    """What cannot be observed again: where the ramp is and since when. Together with `stable`, `candidate`, `retiring`
    and the records it is all of status that is read back; the weight in force is read from the HTTPRoute.

    Times are seconds since the epoch. `step` counts from 0; `len(steps)` means the last stretch, at 100. `attempt` is
    raised by retry. `weight_ordered` is the weight last asked of the gateway, `weight_since` when the weight of this
    step was first read back; `granted` the highest weight that evidence or a person has allowed, `steps` the hash of the
    steps it was earned with. `waiting_since`: the candidate has too few ready replicas since then. `frozen_at`:
    `spec.paused` since then. `evidence` is the state of the always-valid tests as JSON; `looks` are the counts of each
    scrape and `looks_from` the state before the first of them, for `edgeramp evidence`."""

    revision: Annotated[str, Field(max_length=16)]
    attempt: int = 1
    started_at: float
    step: int = 0
    step_started_at: float
    weight_ordered: int = 0
    weight_ordered_at: float | None = None
    weight_since: float | None = None
    pause_started_at: float | None = None
    frozen_at: float | None = None
    waiting_since: float | None = None
    available_at: float | None = None
    restarts: int = 0
    granted: int = 0
    steps: Annotated[str, Field(max_length=16)] = ""
    skip_steps: bool = False
    promoted_full: bool = False
    full_since: float | None = None
    aborted_at: float | None = None
    abort_reason: Text = ""
    abort_message: Message = ""
    batch_limit: int | None = None
    request_source: Literal["gateway", "pods"] | None = None
    last_scrape_at: float | None = None
    error_since: float | None = None
    evidence: Annotated[str, Field(max_length=65536)] = ""
    looks_from: Annotated[str, Field(max_length=65536)] = ""
    looks: Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=256)] = Field(
        default_factory=list
    )
    checks: Annotated[list[CheckRecord], Field(max_length=8)] = Field(default_factory=list)


class Retiring(ApiPart):
    """A revision that lost its traffic at `since` (epoch); its pods are kept for `seconds` (None: kept)."""

    revision: Annotated[str, Field(max_length=16)]
    since: float
    seconds: int | None = None
    served: ServedRevision | None = None


class VerbRecord(ApiPart):
    """A one-time verb that was asked for by annotation: done or refused, and why. `by`: the field manager that wrote it,
    which for `kubectl edgeramp` ends with the user's name; a client's word, the proof is the API server's audit log."""

    verb: Text
    value: Text
    by: Text = ""
    accepted: bool
    message: Message
    at: Text


class Pin(ApiPart):
    """Somebody asked for an earlier revision (`by`, at `at`): it is wanted in place of revision `instead_of`, which is the
    spec's, until the spec asks for something else."""

    served: ServedRevision
    instead_of: Annotated[str, Field(max_length=16)]
    by: Text = ""
    at: Text


class HistoryEntry(ApiPart):
    """How a ramp ended. `certificate`: digest of the report that admitted the artifact; `took`: from its start to its end."""

    revision: Annotated[str, Field(max_length=16)]
    artifact: Annotated[str, Field(max_length=512)]
    framework: Text = ""
    precision: Text = ""
    certificate: Digest | None = None
    outcome: Literal["Promoted", "FastPromoted", "Aborted", "Superseded", "RolledBack"]
    started_at: Text
    finished_at: Text
    took: Text = ""
    message: Message = ""


class StepRecord(ApiPart):
    """One decision of the ramp that moved traffic."""

    weight: int
    at: Text
    message: Message = ""


class MetricFinding(ApiPart):
    """What one metric shows now, for people."""

    name: Text
    verdict: Verdict
    message: Message = ""


class RolloutStatus(ApiPart):
    observed_generation: int = 0
    phase: Literal["Progressing", "Paused", "Healthy", "Degraded"] | None = None
    message: Message = ""
    next: Message = ""
    plan: Message = ""
    stable: ServedRevision | None = None
    candidate: ServedRevision | None = None
    weight: int | None = None
    header_route: Message = ""
    mirror: int | None = None
    preview: Message = ""
    step: Text = ""
    verdict: Verdict | None = None
    findings: Annotated[list[MetricFinding], Field(max_length=8)] = Field(default_factory=list)
    ramp: RampFacts | None = None
    promoted_ramp: RampFacts | None = None
    pinned: Pin | None = None
    route_ordered_at: float | None = None
    retiring: Annotated[list[Retiring], Field(max_length=20)] = Field(default_factory=list)
    weights: Annotated[list[StepRecord], Field(max_length=40)] = Field(default_factory=list)
    verbs: Annotated[list[VerbRecord], Field(max_length=20)] = Field(default_factory=list)
    history: Annotated[list[HistoryEntry], Field(max_length=20)] = Field(default_factory=list)
    replicas: int = 0
    ready_replicas: int = 0
    selector: Annotated[str, Field(max_length=512)] = ""
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class Rollout(ApiPart):
    metadata: dict[str, Any]
    spec: RolloutSpec
    status: RolloutStatus = RolloutStatus()

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "size(self.metadata.name) <= 52 && !self.metadata.name.contains('.')",
            "metadata.name becomes part of other names; write at most 52 lower-case letters, digits and '-'",
        ),
    )
