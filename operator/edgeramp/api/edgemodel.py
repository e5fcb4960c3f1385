"""EdgeModel: which model, which data proves it, which hardware targets, which gates, how to roll out."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from edgeramp.api.common import (
    ApiPart,
    Attempts,
    Benchmark,
    Cel,
    Condition,
    Digest,
    Duration,
    Framework,
    Gates,
    Message,
    Name,
    Objective,
    Precision,
    Ratio,
    StageMetric,
    Target,
    Text,
    Uri,
    cel,
)
from edgeramp.api.rollout import Analysis, Route, Strategy
from edgeramp.report.summary import Assessment


class ModelSource(ApiPart):
    """Where the model is. With `digest` (or `@sha256:` in an oci:// URI) a different content is refused."""

    uri: Uri
    digest: Digest | None = None
    format: Literal["onnx", "openvino-ir"] = "onnx"

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "!self.uri.contains('@sha256:') || self.uri.matches(r'@sha256:[0-9a-f]{64}$')",
            "the digest in uri is not whole; write @sha256: followed by 64 hexadecimal digits",
            ".uri",
        ),
    )


class DataSource(ApiPart):
    uri: Uri
    digest: Digest | None = None


class DataSplits(ApiPart):
    """Three disjoint splits; the search never sees `certification`."""

    calibration: DataSource
    selection: DataSource
    certification: DataSource

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self.calibration.uri != self.selection.uri && self.selection.uri != self.certification.uri"
            " && self.calibration.uri != self.certification.uri",
            "calibration, selection and certification must be three different data sets; write three different uris",
        ),
    )


class Evaluation(ApiPart):
    data: DataSplits
    metric: Literal["accuracy"] = "accuracy"


class ModelRollout(ApiPart):
    """How each target is served and ramped. Every host name is prefixed by the target: `<target>.<hostname>`."""

    route: Route
    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    strategy: Strategy = Strategy()
    start: Literal["Direct", "Baseline"] = "Direct"
    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    abort_scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = 30


class EdgeModelSpec(ApiPart):
    source: ModelSource
    task: Literal[
        "image-classification", "text-classification", "audio-classification", "classification", "other"
    ]
    evaluation: Evaluation
    targets: Annotated[
        list[Target],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=cel(
                "size(self) > 0", "write at least one target, with a name and a nodeSelector"
            ),
        ),
    ]
    frameworks: Annotated[list[Framework], Field(max_length=8)] | None = None
    gates: Gates = Gates()
    objective: Objective = Objective()
    benchmark: Benchmark = Benchmark()
    rollout: ModelRollout | None = None
    promotion: Literal["Automatic", "Manual"] = "Automatic"

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self.targets.all(t, self.targets.exists_one(u, u.name == t.name))",
            "two targets have the same name; give each target a name of its own",
            ".targets",
        ),
    )


class TargetStatus(ApiPart):
    """One line per target, as `kubectl describe` shows it. Everything here is derived anew at every look."""

    name: Name
    phase: Text = "Pending"
    reason: Text = ""
    message: Message = ""
    nodes: int = 0
    revision: Text = ""
    run: Text = ""
    rollout: Text = ""
    framework: Framework | None = None
    precision: Precision | None = None
    artifact: Annotated[str, Field(max_length=512)] | None = None
    baseline_artifact: Annotated[str, Field(max_length=512)] | None = None
    speedup: Text = ""
    retention: Text = ""
    weight: int | None = None
    stages: Annotated[list[StageMetric], Field(max_length=8)] = Field(default_factory=list)


class StagedFacts(ApiPart):
    """What staging and assessing found, copied from their Jobs: a tag may move and a Job is deleted afterwards.

    `key` is the hash of all sources; another key starts anew. `failure` names the last failed attempt's reason."""

    key: Annotated[str, Field(max_length=64)]
    model: Digest | None = None
    data: Annotated[dict[Annotated[str, Field(max_length=32)], Digest], Field(max_length=3)] = Field(
        default_factory=dict
    )
    assessment: Assessment | None = None
    tries: Attempts = Attempts()
    failure: Text = ""
    failure_message: Message = ""


class Approval(ApiPart):
    """A recorded answer to the annotation `edgeramp.dev/approve`: a fact, since the annotation is cleared."""

    revision: Text
    accepted: bool
    message: Message = ""
    at: Text


class EdgeModelStatus(ApiPart):
    observed_generation: int = 0
    phase: Text = ""
    message: Message = ""
    revision: Text = ""
    staged: StagedFacts | None = None
    targets: Annotated[list[TargetStatus], Field(max_length=16)] = Field(default_factory=list)
    approvals: Annotated[list[Approval], Field(max_length=20)] = Field(default_factory=list)
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class EdgeModel(ApiPart):
    metadata: dict[str, Any]
    spec: EdgeModelSpec
    status: EdgeModelStatus = EdgeModelStatus()

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "size(self.metadata.name) <= 40 && !self.metadata.name.contains('.')",
            "metadata.name becomes part of other names; write at most 40 lower-case letters, digits and '-'",
        ),
    )


__all__ = ["Analysis", "Duration", "EdgeModel", "EdgeModelSpec", "EdgeModelStatus", "Ratio"]
