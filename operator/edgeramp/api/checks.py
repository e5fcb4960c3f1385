"""Checks with fixed thresholds: names and meaning after Argo Rollouts' metrics, where there is a counterpart."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from edgeramp.api.common import ApiPart, Cel, Duration, Message, Name, ResourceName, Text, cel
from edgeramp.values.quantities import DURATION_PATTERN
from edgeramp.values.verdict import Verdict

Condition = Annotated[str, Field(max_length=256)]
_Url = Annotated[
    str,
    Field(
        min_length=8,
        max_length=512,
        json_schema_extra=cel(
            r"self.matches(r'^https?://[^ /@]+(/[^ ]*)?$')",
            "write http:// or https://, a host, and a path if need be; credentials belong into headers",
        ),
    ),
]


class SecretKey(ApiPart):
    name: ResourceName
    """A Secret in the Rollout's namespace that the operator was allowed to read (the chart's checks.secrets)."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """Which of its entries."""


class CheckHeader(ApiPart):
    """Exactly one of value and secretKeyRef."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            json_schema_extra=cel(
                r"self.matches(r'^[A-Za-z0-9_-]+$')", "write the name of a header, such as Authorization"
            ),
        ),
    ]
    """Name of the header."""
    value: Annotated[str, Field(max_length=512)] | None = None
    """Its value, for everybody to read."""
    secret_key_ref: SecretKey | None = None
    """Where its value is; it shows in no status, event or log."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel("has(self.value) != has(self.secretKeyRef)", "a header has either value or secretKeyRef"),
    )


_Headers = Annotated[list[CheckHeader], Field(max_length=8)]


class PrometheusCheck(ApiPart):
    """The result of an instant query: a list of numbers, one per series."""

    address: _Url
    """Where its HTTP API is, such as http://prometheus.monitoring:9090; the administrator must have allowed the host."""
    query: Annotated[str, Field(min_length=1, max_length=2048)]
    """PromQL."""
    headers: _Headers = Field(default_factory=list)
    """Sent with the request."""


class WebCheck(ApiPart):
    """The result is a part of a JSON answer."""

    url: _Url
    """What to ask; the administrator must have allowed the host. Redirects are not followed."""
    method: Literal["GET", "POST"] = "GET"
    """How to ask."""
    body: Annotated[str, Field(max_length=4096)] = ""
    """Sent with POST."""
    json_path: Annotated[
        str,
        Field(
            max_length=256,
            json_schema_extra=cel(
                r"self.matches(r'^(\{\$[^{}]*\}|\$[^{}]*)$')", "write a path from the root, such as $.data.ok"
            ),
        ),
    ] = "$"
    """Which part of the answer is the result: $.data.items[0].value"""
    headers: _Headers = Field(default_factory=list)
    """Sent with the request."""


class JobCheck(ApiPart):
    """A Job in the Rollout's namespace: completed is success, failed is failure. It has no token, and no conditions."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """What runs, as a user without privileges."""
    command: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = Field(
        default_factory=list
    )
    """Its command."""
    args: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = Field(
        default_factory=list
    )
    """Its arguments."""
    timeout_seconds: Annotated[int, Field(ge=1, le=86400)] = 600
    """Ended after this long; it says nothing then (Inconclusive)."""


def _is_set(*fields: str) -> str:
    return "[" + ", ".join(f"has(self.{field})" for field in fields) + "].filter(x, x).size()"


class Check(ApiPart):
    """A fixed threshold. It promises no rate of false rollbacks, and status says so."""

    name: Name
    """Its name, in status and in a step's `check`."""
    prometheus: PrometheusCheck | None = None
    """Ask Prometheus."""
    web: WebCheck | None = None
    """Ask a web service for JSON."""
    job: JobCheck | None = None
    """Run a Job."""
    success_condition: Condition = ""
    """When a measurement is a success, such as result >= 0.95"""
    failure_condition: Condition = ""
    """When it is a failure. With both conditions, neither is Inconclusive."""
    starting_step: Annotated[int, Field(ge=0, le=32)] = 0
    """In the background from this step on, counted from 0. A check that a step names does not run in the background."""
    initial_delay: Duration | None = None
    """Wait this long before the first measurement."""
    interval: Duration | None = None
    """Time between two measurements; without it there is one."""
    count: Annotated[int, Field(ge=0, le=1000)] = 0
    """Measurements that it takes to pass; 0: one without an interval, else as long as the ramp runs."""
    failure_limit: Annotated[int, Field(ge=-1, le=1000)] = 0
    """So many failures are still tolerated; -1: all."""
    inconclusive_limit: Annotated[int, Field(ge=0, le=1000)] = 0
    """So many that say neither are still tolerated."""
    consecutive_error_limit: Annotated[int, Field(ge=0, le=1000)] = 4
    """So many failed attempts to measure in a row are still tolerated; more hold the weight."""
    dry_run: bool = False
    """Reported, without any effect."""

    @model_validator(mode="after")
    def _one_provider(self) -> Check:
        """What an API server of an older schema let in: a check that asks nobody must not count as one."""
        if sum(provider is not None for provider in (self.prometheus, self.web, self.job)) != 1:
            raise ValueError(f"check {self.name}: write exactly one of prometheus, web and job")
        return self

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            f"{_is_set('prometheus', 'web', 'job')} == 1",
            "a check has exactly one of prometheus, web and job",
        ),
        Cel(
            "!has(self.count) || self.count < 2 || has(self.interval)",
            "count takes an interval between the measurements; write for example 30s",
            ".count",
        ),
        Cel(
            f"!has(self.interval) || self.interval == '' || !self.interval.matches(r'{DURATION_PATTERN}')"
            " || duration(self.interval) >= duration('1s')",
            "interval is the time between two measurements; write at least 1s",
            ".interval",
        ),
        Cel(
            "!has(self.job) || ((!has(self.successCondition) || self.successCondition == '')"
            " && (!has(self.failureCondition) || self.failureCondition == ''))",
            "a Job is its own verdict: leave the conditions out",
        ),
    )


class CheckMeasurement(ApiPart):
    """One measurement; `value` is the result as JSON, cut short."""

    at: Text
    outcome: Literal["Successful", "Failed", "Inconclusive", "Error", "NoData"]
    value: Text = ""
    message: Text = ""


class CheckRecord(ApiPart):
    """What a check has measured since `startedAt` (epoch) at step `step`: a fact, since it cannot be measured again.
    `count` is how many it takes (None: until the ramp ends), `job` the Job that runs now. The last ten measurements are
    kept."""

    name: Text
    step: int
    verdict: Verdict
    message: Message = ""
    started_at: float
    count: int | None = None
    last_at: float | None = None
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors: int = 0
    consecutive_errors: int = 0
    no_data: int = 0
    job: Text = ""
    measurements: Annotated[list[CheckMeasurement], Field(max_length=10)] = Field(default_factory=list)
