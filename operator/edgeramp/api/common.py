"""Types that all three kinds share. Every string and list is bounded, so that CEL's cost can be bounded too."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from edgeramp.report.spec import Framework, Precision
from edgeramp.values.quantities import DIGEST_PATTERN, DURATION_PATTERN, RATIO_PATTERN


class Cel:
    """A CEL rule on an object: `rule` over `self`, and a message that says what to write and where."""

    def __init__(self, rule: str, message: str, field_path: str | None = None) -> None:
        self.rule, self.message, self.field_path = rule, message, field_path


def cel(rule: str, message: str) -> dict[str, Any]:
    """The same on a single field, as json_schema_extra."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


def percent_rule(message: str) -> dict[str, Any]:
    """The rule of a whole number from 0 to 100."""
    return cel("self >= 0 && self <= 100", message)


def ratio_rule(field: str, condition: str, message: str) -> Cel:
    """A rule on a ratio given as a string: `condition` over `x`. Malformed text is left to the field's own rule."""
    text = f"self.{field}"
    held = condition.replace("x", f"double({text})")
    return Cel(f"!has({text}) || !{text}.matches(r'{RATIO_PATTERN}') || ({held})", message, f".{field}")


class ApiPart(BaseModel):
    """Frozen, camelCase on the wire. Unknown fields are ignored here (an older operator may read a newer object);
    the API server prunes or refuses them by the schema."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )
    CEL: ClassVar[tuple[Cel, ...]] = ()

    def wire(self) -> dict[str, Any]:
        """The object as it goes to the API server; None is left out."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


_RATIO_HELP = 'write a decimal number as a string, such as "0.95" or "2.0"'
_DURATION_HELP = "write a duration such as 90s, 5m or 1h30m"
_DIGEST_HELP = "write sha256: followed by 64 hexadecimal digits"
_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Ratio = Annotated[
    str,
    Field(
        max_length=16,
        pattern=RATIO_PATTERN,
        json_schema_extra=cel(f"self.matches(r'{RATIO_PATTERN}')", _RATIO_HELP),
    ),
]
Duration = Annotated[
    str,
    Field(
        min_length=2,
        max_length=16,
        pattern=DURATION_PATTERN,
        json_schema_extra=cel(f"self != '' && self.matches(r'{DURATION_PATTERN}')", _DURATION_HELP),
    ),
]
Digest = Annotated[
    str,
    Field(
        max_length=71,
        pattern=DIGEST_PATTERN,
        json_schema_extra=cel(f"self.matches(r'{DIGEST_PATTERN}')", _DIGEST_HELP),
    ),
]
Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40,
        pattern=_NAME_PATTERN,
        json_schema_extra=cel(
            f"self.matches(r'{_NAME_PATTERN}')",
            "write at most 40 lower-case letters, digits and '-', beginning and ending with a letter or digit",
        ),
    ),
]
ResourceName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=cel(
            r"self.matches(r'^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')",
            "write the name of an object: lower-case letters, digits, '-' and '.'",
        ),
    ),
]
Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        json_schema_extra=cel(
            r"self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            "write a host name such as digits.example; no port, no scheme, no wildcard",
        ),
    ),
]
Text = Annotated[str, Field(max_length=256)]
Message = Annotated[str, Field(max_length=2048)]
Quantity = Annotated[
    str,
    Field(
        max_length=16,
        json_schema_extra=cel(
            "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
            "write a Kubernetes quantity above 0, such as 500m, 1 or 512Mi",
        ),
    ),
]
Uri = Annotated[
    str,
    Field(
        max_length=512,
        json_schema_extra=cel(
            r"self.matches(r'^(oci|https?|s3|hf|pvc)://[^ ]+$')",
            "write where it is, beginning with oci://, https://, s3://, hf:// or pvc://",
        ),
    ),
]
Labels = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63)]],
    Field(
        max_length=16,
        json_schema_extra=cel(
            r"self.all(k, k.matches(r'^([a-z0-9][-.a-z0-9]*/)?[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$')"
            r" && self[k].matches(r'^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$'))",
            'write node labels and their values, such as kubernetes.io/arch: "amd64"',
        ),
    ),
]


class Condition(ApiPart):
    """metav1.Condition."""

    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(max_length=256)]
    message: Annotated[str, Field(max_length=2048)] = ""
    observed_generation: int = 0
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=40)]


class Resources(ApiPart):
    """What one server or measuring process is allotted. Threads = whole CPUs."""

    cpu: Quantity = "1"
    """CPU request and limit of a server; whole CPUs become threads."""
    memory: Quantity = "1Gi"
    """Memory request and limit of a server."""


class Target(ApiPart):
    """A class of hardware: nodes are found by labels (Node Feature Discovery's names)."""

    name: Name
    """Becomes part of host names and of the names of runs and Rollouts."""
    node_selector: Labels
    """Labels that a node must have to belong to this target."""
    resources: Resources = Resources()
    """What one server gets."""
    frameworks: Annotated[list[Framework], Field(max_length=8)] | None = None
    """Which frameworks to try, in place of the choice made from the hardware."""


PRESETS = {
    "95": ("0.95", "1.05"),
    "97": ("0.97", "1.03"),
    "99": ("0.99", "1.01"),
    "99.9": ("0.999", "1.001"),
}
"""accuracyRetention and perplexityRatio of each preset."""


class Gates(ApiPart):
    """What a candidate must prove, by one-sided bounds at `confidence`."""

    preset: Literal["95", "97", "99", "99.9"] | None = None
    """Per cent of quality to be kept, in place of accuracyRetention and perplexityRatio: 95 is 0.95 and 1.05, 97 is 0.97 and
    1.03, 99 is 0.99 and 1.01, 99.9 is 0.999 and 1.001. 95 where nothing is said."""
    accuracy_retention: Ratio | None = None
    """Share of the original accuracy that must be kept."""
    perplexity_ratio: Ratio | None = None
    """For the metric perplexity, in place of accuracyRetention: the largest ratio to the original's perplexity."""
    agreement: Ratio | None = None
    """Share of items on which candidate and original must give the same answer, right or wrong. Left out: not asked."""
    class_retention: Ratio | None = None
    """Share of the original accuracy that must be kept in each class by itself. Left out: not asked."""
    speedup: Ratio = "2.0"
    """How many times faster than the reference."""
    speed_reference: Literal["BestF32", "SourceF32"] = "BestF32"
    """BestF32: the fastest FP32 runtime on that node. SourceF32: the runtime of the source format."""
    memory_reduction: Ratio = "0.5"
    """Share of memory that must be saved."""
    memory_metric: Literal["artifact", "incrementalRss", "privateDirty"] = "artifact"
    """Which memory: the size of the artifact, the growth of resident memory by loading and running, or private dirty pages."""
    latency_variation: Ratio = "0.10"
    """Largest coefficient of variation of the latency."""
    confidence: Ratio = "0.95"
    """Confidence of each one-sided bound."""
    on_inconclusive: Literal["Block", "Allow"] = "Block"
    """Block: an undecided gate keeps a candidate out. Allow: only a failed one does."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        ratio_rule(
            "accuracyRetention",
            "x <= 1.0",
            'accuracyRetention is a share of the original; write a value up to 1, such as "0.95"',
        ),
        Cel(
            "!has(self.preset) || (!has(self.accuracyRetention) && !has(self.perplexityRatio))",
            "preset stands for accuracyRetention and perplexityRatio; write either the preset or these",
            ".preset",
        ),
        ratio_rule(
            "agreement",
            "x < 1.0",
            'agreement is a share of the items, and no number of them proves all; write a value below 1, such as "0.98"',
        ),
        ratio_rule(
            "classRetention",
            "x < 1.0",
            'classRetention is a share of the original; write a value below 1, such as "0.9"',
        ),
        ratio_rule(
            "perplexityRatio",
            "x >= 1.0",
            'perplexityRatio is the perplexity against the original\'s; write a value of at least 1, such as "1.05"',
        ),
        ratio_rule(
            "memoryReduction",
            "x < 1.0",
            'memoryReduction is the share of memory saved; write a value below 1, such as "0.5"',
        ),
        ratio_rule(
            "confidence",
            "x > 0.5 && x < 1.0",
            'confidence must lie between 0.5 and 1; write for example "0.95"',
        ),
    )

    @property
    def retention(self) -> str:
        """accuracyRetention, written or by the preset."""
        return self.accuracy_retention or PRESETS[self.preset or "95"][0]

    @property
    def perplexity(self) -> str:
        """perplexityRatio, written or by the preset."""
        return self.perplexity_ratio or PRESETS[self.preset or "95"][1]

    def explicit(self) -> Gates:
        """The same gates in figures, as runs and certificates have them: another preset's meaning would not change those."""
        ratio = self.perplexity if self.preset else self.perplexity_ratio
        return self.model_copy(
            update={"preset": None, "accuracy_retention": self.retention, "perplexity_ratio": ratio}
        )


class ObjectiveWeights(ApiPart):
    """How much each dimension counts when several candidates pass. Integers from 0 to 100."""

    latency: Annotated[int, Field(ge=0, le=100)] = 5
    """Weight of a low latency."""
    memory: Annotated[int, Field(ge=0, le=100)] = 3
    """Weight of a small memory footprint."""
    accuracy: Annotated[int, Field(ge=0, le=100)] = 2
    """Weight of a high accuracy."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self.latency + self.memory + self.accuracy > 0",
            "all weights are 0; write at least one of latency, memory and accuracy above 0",
        ),
    )


class Objective(ApiPart):
    weights: ObjectiveWeights = ObjectiveWeights()
    """How the winner is chosen among the candidates that pass all gates."""


class Benchmark(ApiPart):
    """How long one candidate may be measured."""

    budget: Duration = "30s"
    """Longest time to measure one candidate, after warming up."""
    min_rounds: Annotated[int, Field(ge=5, le=10000)] = 30
    """Fewest rounds in which reference and candidate take turns."""


class ServerSpec(ApiPart):
    """How an artifact is executed."""

    framework: Framework
    """Which of the server images runs the artifact."""
    precision: Precision = "f32"
    """Precision hint for the runtime."""
    model_name: Name
    """Name of the model in the V2 protocol: /v2/models/NAME/infer."""
    image: Annotated[str, Field(max_length=512)] | None = None
    """A server image of your own in place of the chart's."""


class Revision(ApiPart):
    """One revision that a Rollout knows: the hash of what is served and how."""

    revision: Annotated[str, Field(max_length=16)]
    artifact: Annotated[str, Field(max_length=512)]
    framework: Framework
    precision: Precision
    certificate: Digest | None = None


class Attempts(ApiPart):
    """Attempts at one Job that have ended without a usable result: facts, since Jobs are deleted after a while.

    `made` numbers the next Job (made + 1). `failures` are transient ones, `ooms` runs out of memory, `voids`
    measurements that were disturbed, `extended` those whose bounds did not decide and were repeated for longer;
    `failed_at` is when the last one ended (RFC 3339)."""

    made: int = 0
    failures: int = 0
    ooms: int = 0
    voids: int = 0
    extended: int = 0
    failed_at: Text = ""
    reason: Text = ""


class StageMetric(ApiPart):
    """A stage of the way (baseline, conversion, quantization, hardware acceleration, production validation)."""

    name: Text
    status: Text
    metric: Text = ""
