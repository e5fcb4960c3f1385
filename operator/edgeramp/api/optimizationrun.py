"""OptimizationRun: the search for the best way to run one revision of a model on one target."""

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
    Gates,
    Message,
    Name,
    Objective,
    StageMetric,
    Target,
    Text,
)
from edgeramp.report.spec import Candidate, Framework, Precision
from edgeramp.report.summary import MeasureSummary, PackageSummary, PrepareSummary, Quality
from edgeramp.values.verdict import Verdict


class RunData(ApiPart):
    calibration: Digest
    """Split used to quantize."""
    selection: Digest
    """Split used to choose."""
    certification: Digest
    """Split used once, to certify."""


class OptimizationRunSpec(ApiPart):
    """Everything is pinned by digest: a run means the same today and in a year. The spec cannot change."""

    model: Name
    """Name of the EdgeModel."""
    revision: Annotated[str, Field(max_length=16)]
    """Hash of everything that decides the result."""
    target: Target
    """The class of hardware."""
    source: Digest
    """The staged model in the store."""
    format: Literal["onnx", "openvino-ir", "gguf"] = "onnx"
    """Its format."""
    data: RunData
    """The staged splits in the store."""
    metric: Literal["accuracy", "perplexity"] = "accuracy"
    """What is measured on them."""
    gates: Gates = Gates()
    """What a candidate must prove."""
    objective: Objective = Objective()
    """Which of those that pass is best."""
    benchmark: Benchmark = Benchmark()
    """How long to measure."""
    candidates: Annotated[list[Candidate], Field(min_length=1, max_length=64)]
    """What is tried."""
    choices: Annotated[list[Message], Field(max_length=64)] = Field(default_factory=list)
    """Why these are tried."""
    exclusions: Annotated[list[Message], Field(max_length=32)] = Field(default_factory=list)
    """What is not tried, and why."""
    package_baseline: bool = False
    """Package the best FP32 as well, to be served first."""
    deadline_seconds: Annotated[int, Field(ge=60, le=604800)] = 7200
    """The run ends then with what it has."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self == oldSelf",
            "an OptimizationRun cannot be changed; change the EdgeModel, which makes a new one",
        ),
    )


class GateResult(ApiPart):
    """One gate on one candidate: the figure, its bound, what was demanded."""

    gate: Literal[
        "accuracyRetention", "perplexityRatio", "speedup", "memoryReduction", "latencyVariation", "agreement", "classRetention"
    ]  # fmt: skip
    verdict: Verdict
    value: Text
    bound: Text = ""
    required: Text
    message: Message = ""


class CandidateResult(ApiPart):
    """All that is known about one candidate. Facts handed back by Jobs: `tries` (of the step at hand), `infeasible`
    (the reason why it will not be tried again), `prepared`, `measured` against `reference`. The rest is derived."""

    id: Annotated[str, Field(max_length=64)]
    framework: Framework
    precision: Precision
    technique: Text
    state: Literal["Pending", "Preparing", "Prepared", "Measuring", "Measured", "Infeasible", "Skipped"] = (
        "Pending"
    )
    verdict: Verdict | None = None
    reason: Text = ""
    message: Message = ""
    tries: Attempts = Attempts()
    infeasible: Text = ""
    prepared: PrepareSummary | None = None
    reference: Text = ""
    measured: MeasureSummary | None = None
    gates: Annotated[list[GateResult], Field(max_length=8)] = Field(default_factory=list)
    pareto: bool = False
    score: Text = ""


class CertificationTry(ApiPart):
    """One look at the certification split: at most three, at alpha/2, alpha/4, alpha/8."""

    candidate: Annotated[str, Field(max_length=64)]
    alpha: Text
    quality: Quality | None = None
    report: Digest | None = None
    verdict: Verdict | None = None
    tries: Attempts = Attempts()
    message: Message = ""


class Winner(ApiPart):
    candidate: Annotated[str, Field(max_length=64)]
    framework: Framework
    precision: Precision
    packaged: PackageSummary | None = None
    tries: Attempts = Attempts()
    failure: Message = ""


class OptimizationRunStatus(ApiPart):
    observed_generation: int = 0
    phase: Text = ""
    message: Message = ""
    progress: Text = ""
    started_at: Text = ""
    finished_at: Text = ""
    node: Text = ""
    host: Text = ""
    rejected_nodes: Annotated[list[Text], Field(max_length=32)] = Field(default_factory=list)
    isa: Annotated[list[Text], Field(max_length=64)] = Field(default_factory=list)
    best_f32: Annotated[str, Field(max_length=64)] = ""
    baseline_package: PackageSummary | None = None
    baseline: Winner | None = None
    candidates: Annotated[list[CandidateResult], Field(max_length=64)] = Field(default_factory=list)
    certification: Annotated[list[CertificationTry], Field(max_length=3)] = Field(default_factory=list)
    winner: Winner | None = None
    stages: Annotated[list[StageMetric], Field(max_length=8)] = Field(default_factory=list)
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class OptimizationRun(ApiPart):
    metadata: dict[str, Any]
    spec: OptimizationRunSpec
    status: OptimizationRunStatus = OptimizationRunStatus()
