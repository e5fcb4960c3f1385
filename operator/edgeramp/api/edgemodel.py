"""EdgeModel: which model, which data proves it, which hardware targets, which gates, how to roll out."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from edgeramp.api.bluegreen import PREVIEW_APART
from edgeramp.api.common import (
    ApiPart,
    Attempts,
    Benchmark,
    Cel,
    Condition,
    Digest,
    Duration,
    Gates,
    Message,
    Name,
    Objective,
    Ratio,
    StageMetric,
    Target,
    Text,
    Uri,
    cel,
)
from edgeramp.api.rollout import Analysis, Route, Strategy, VerbRecord
from edgeramp.report.spec import Framework, Precision
from edgeramp.report.summary import Assessment


class ModelSource(ApiPart):
    """Where the model is. With `digest` (or `@sha256:` in an oci:// URI) a different content is refused."""

    uri: Uri
    """oci://HOST/REPOSITORY:TAG or @sha256:…, https://, s3://, hf:// or pvc://CLAIM/PATH. A tag is resolved once."""
    digest: Digest | None = None
    """Digest that the source must have."""
    format: Literal["onnx", "openvino-ir", "gguf"] = "onnx"
    """Format of the model."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "!self.uri.contains('@sha256:') || self.uri.matches(r'@sha256:[0-9a-f]{64}$')",
            "the digest in uri is not whole; write @sha256: followed by 64 hexadecimal digits",
            ".uri",
        ),
    )


class DataSource(ApiPart):
    uri: Uri
    """Where the split is, as in source.uri."""
    digest: Digest | None = None
    """Digest that the split must have."""


class DataSplits(ApiPart):
    """Three disjoint splits; the search never sees `certification`."""

    calibration: DataSource
    """Used to quantize."""
    selection: DataSource
    """Used to choose among candidates."""
    certification: DataSource
    """Used once, to certify the winner; no search sees it."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self.calibration.uri != self.selection.uri && self.selection.uri != self.certification.uri"
            " && self.calibration.uri != self.certification.uri",
            "calibration, selection and certification must be three different data sets; write three different uris",
        ),
    )


class Evaluation(ApiPart):
    data: DataSplits
    """Labelled data that the search did not train on."""
    metric: Literal["accuracy", "perplexity"] = "accuracy"
    """What is measured on them."""


class ModelRollout(ApiPart):
    """How each target is served and ramped. Every host name, of a preview too, is prefixed by the target: `<target>.<name>`."""

    route: Route
    """Where requests enter."""
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Server pods per target. Left out: 1 at first, and then whatever an autoscaler writes into the Rollout's scale."""
    strategy: Strategy = Strategy()
    """How traffic moves to a new revision."""
    start: Literal["Direct", "Baseline"] = "Direct"
    """Baseline: the original model serves first and the optimized one is ramped against it. Direct: the optimized one
    serves at once."""
    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    """How long a candidate may take to become available."""
    abort_scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = 30
    """How long the pods of an aborted candidate stay; 0 keeps them."""

    CEL: ClassVar[tuple[Cel, ...]] = (PREVIEW_APART,)


class EdgeModelSpec(ApiPart):
    source: ModelSource
    """The model to optimize."""
    task: Literal[
        "image-classification",
        "text-classification",
        "audio-classification",
        "classification",
        "text-generation",
        "other",
    ]
    """What the model does."""
    evaluation: Evaluation
    """What proves that it kept its quality."""
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
    """Classes of hardware; each is optimized and rolled out by itself."""
    frameworks: Annotated[list[Framework], Field(max_length=8)] | None = None
    """Which frameworks to try on every target, in place of the choice made from the hardware."""
    gates: Gates = Gates()
    """What a candidate must prove."""
    objective: Objective = Objective()
    """Which of those that pass is best."""
    benchmark: Benchmark = Benchmark()
    """How long to measure."""
    rollout: ModelRollout | None = None
    """How to serve; without it nothing is served."""
    promotion: Literal["Automatic", "Manual"] = "Automatic"
    """Manual: a certified winner waits for the annotation edgeramp.dev/approve with its revision."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self.targets.all(t, self.targets.exists_one(u, u.name == t.name))",
            "two targets have the same name; give each target a name of its own",
            ".targets",
        ),
        Cel(
            "self.evaluation.metric != 'perplexity' || (has(self.source.format) && self.source.format == 'gguf')",
            "perplexity is measured on language models in GGUF; write source.format: gguf, or metric: accuracy",
            ".evaluation.metric",
        ),
        Cel(
            "self.evaluation.metric != 'perplexity' || !has(self.gates)"
            " || (!has(self.gates.agreement) && !has(self.gates.classRetention))",
            "agreement and classRetention compare a classifier's answers; leave them out where the metric is perplexity",
            ".gates",
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


class EdgeModelStatus(ApiPart):
    observed_generation: int = 0
    phase: Text = ""
    message: Message = ""
    revision: Text = ""
    staged: StagedFacts | None = None
    targets: Annotated[list[TargetStatus], Field(max_length=16)] = Field(default_factory=list)
    verbs: Annotated[list[VerbRecord], Field(max_length=20)] = Field(default_factory=list)
    answered: Annotated[list[Text], Field(max_length=4)] = Field(default_factory=list)
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
