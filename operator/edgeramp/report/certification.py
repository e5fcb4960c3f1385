"""The certification report: what was found about one artifact, for people and for tools.

`Findings` is what the operator knows when it orders the package Job; that Job adds what only it can know (the artifact's
digest, the time, the distributions out of the other Jobs' reports) and stores the whole as `report.json`. These models
are its published schema: `make crds` writes docs/reference/certification-report.v1.schema.json from them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, FiniteFloat

from edgeramp.report.spec import Digest, Part
from edgeramp.report.summary import Environment, Latency, Memory, Quality
from edgeramp.values.verdict import Verdict

SCHEMA_NAME: Literal["edgeramp.dev/certification-report/v1"] = "edgeramp.dev/certification-report/v1"
SCHEMA_URL = "https://edgeramp.dev/schemas/certification-report.v1.schema.json"
PERCENTS = tuple(range(101))
"""Where a distribution is described: the 0th to the 100th percentile."""


class Identity(Part):
    """What the report is about: a revision of a model, made into one artifact for one target."""

    model: str
    namespace: str
    revision: str
    target: str
    source: Digest = Field(description="The staged original, by manifest digest.")
    candidate: str = Field(description="How the original was optimized: the candidate's id.")
    framework: str
    precision: str
    technique: str
    reference: str = Field(description="The candidate that the figures compare with.")


class Finding(Part):
    """One gate on the artifact."""

    gate: str
    verdict: Verdict
    value: str
    bound: str = Field(description="One-sided confidence bounds; empty where the figure is exact.")
    required: str
    message: str = ""


class Look(Part):
    """One look at the certification split, on which no search saw an item; at most three share the error probability."""

    candidate: str
    alpha: str
    verdict: Verdict | None = None
    quality: Quality | None = None
    message: str = ""


class Contender(Part):
    """One candidate and what became of it."""

    id: str
    framework: str
    precision: str
    technique: str
    verdict: Verdict | None = None
    message: str = ""
    frontier: bool = Field(default=False, description="No other candidate is better in every respect.")
    chosen: bool = False
    reference: str = Field(default="", description="The candidate that it was measured against.")
    speedup: float | None = None
    speedup_lower: float | None = None
    retention: float | None = None
    retention_lower: float | None = None
    artifact_bytes: int | None = None


class Validity(Part):
    """Where, on what and for how long the verdict holds."""

    isa: tuple[str, ...] = Field(
        description="CPU features that a node must promise; nothing is said of others."
    )
    node_selector: dict[str, str]
    data: dict[str, Digest] = Field(description="The three splits, by manifest digest.")
    days: int = Field(ge=1, description="How long after issuedAt.")


class Threshold(Part):
    """One figure to watch in production: what it was, and where the gate that it passed would be missed."""

    metric: str
    unit: str
    baseline: float
    limit: float
    direction: Literal["atLeast", "atMost"]
    gate: str


class Approval(Part):
    """On what the certificate rests, and where a person's approval is recorded when the EdgeModel asks for one."""

    basis: Literal["gates", "none"] = Field(
        description="gates: all passed. none: a statement of what the artifact is."
    )
    record: str = Field(description="Object and field that hold approvals (spec.promotion: Manual).")
    command: str = Field(description="How a person approves this revision.")


class Evidence(Part):
    """Reports of the Jobs in the store, by manifest digest: whoever doubts a figure can compute it again."""

    measure: Digest | None = None
    certify: Digest | None = None


class Findings(Part):
    """What the operator knows."""

    certified: bool
    identity: Identity
    findings: tuple[Finding, ...]
    looks: tuple[Look, ...]
    contenders: tuple[Contender, ...]
    latency: Latency | None = None
    memory: Memory | None = None
    environment: Environment | None = None
    confidence: str
    gates: dict[str, str]
    validity: Validity
    monitoring: tuple[Threshold, ...]
    approval: Approval
    evidence: Evidence


class Distribution(Part):
    """Percentiles 0 to 100 of single inferences in milliseconds, in this order."""

    reference: tuple[FiniteFloat, ...] = Field(min_length=101, max_length=101)
    candidate: tuple[FiniteFloat, ...] = Field(min_length=101, max_length=101)


class ClassQuality(Part):
    """One class of the certification split; mean scores over its items."""

    label: str
    items: int
    reference: FiniteFloat
    candidate: FiniteFloat


class CertificationReport(Findings):
    """The stored report."""

    schema_name: Literal["edgeramp.dev/certification-report/v1"] = Field(default=SCHEMA_NAME, alias="schema")
    issued_at: str
    expires_at: str
    artifact: Digest
    size_bytes: int
    key_id: str = Field(description="Hex SHA-256 of the public key that verifies the certificate.")
    distribution: Distribution | None = None
    classes: tuple[ClassQuality, ...] = ()


def json_schema() -> dict[str, Any]:
    """The published schema, JSON Schema 2020-12."""
    body = CertificationReport.model_json_schema(by_alias=True, mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_URL}
    return head | body
