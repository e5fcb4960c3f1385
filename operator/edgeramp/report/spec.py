"""What a Job is told: one JSON file, read-only, schema version 1. Digests name everything; nothing is looked up by tag."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Framework = Literal["onnxruntime", "openvino", "llama.cpp"]
Precision = Literal["f32", "f16", "bf16", "int8", "int4"]
Technique = Literal[
    "fp32", "bf16", "dynamic-int8", "static-int8", "ptq", "accuracy-control", "weight-compression", "gguf"
]
ModelFormat = Literal["onnx", "openvino-ir", "gguf", "safetensors"]
SPLITS = ("calibration", "selection", "certification")


class Part(BaseModel):
    """Frozen, camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> str:
        """The wire form; fields at None are left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


class RunRef(Part):
    """The object that ordered the Job."""

    kind: Literal["EdgeModel", "OptimizationRun"]
    namespace: str
    name: str
    uid: str
    generation: int


class Store(Part):
    """The OCI registry artifacts are pushed to: host[:port], repository, and whether it speaks plain HTTP."""

    host: str
    repository: str
    plain_http: bool = False


class Source(Part):
    """Where the user keeps something: oci://, https://, http://, s3://, hf://, pvc:// (mounted at /sources/<claim>).

    `plain_http` is for an oci:// registry without TLS; the store's own host follows `Store.plain_http`."""

    uri: str
    digest: Digest | None = None
    plain_http: bool = False


class ArtifactRef(Part):
    """An artifact in the store by manifest digest."""

    digest: Digest
    format: ModelFormat | None = None


class Candidate(Part):
    """One way to run the model: framework, technique, precision, parameters."""

    id: str
    framework: Framework
    technique: Technique
    precision: Precision
    params: dict[str, str | int | float | bool] = Field(default_factory=dict)
    seed: int = 0


class Runner(Part):
    """A prepared artifact and how to execute it."""

    id: str
    framework: Framework
    precision: Precision
    artifact: ArtifactRef


class BenchmarkProfile(Part):
    """How long and how carefully to measure, over all `processes` together, each a fresh pair of both sides. Times in seconds."""

    threads: int = 1
    batch: int = 1
    min_rounds: int = 30
    block_seconds: float = 0.05
    target_half_width: float = 0.03
    budget_seconds: float = 30.0
    latency_runs: int = 500
    processes: Annotated[int, Field(ge=1)] = 1
    confidence: float = 0.95


class JobBase(Part):
    schema_version: Literal[1] = 1
    run: RunRef
    store: Store
    deadline_seconds: int = 600


class StageSpec(JobBase):
    """Bring model and data splits from the user's sources into the store. The only Job that may reach a source."""

    verb: Literal["stage"] = "stage"
    model: Source
    model_format: ModelFormat
    data: dict[str, Source]


class AssessSpec(JobBase):
    """Look at the model and the data without running them: operators, sizes, family, split overlap."""

    verb: Literal["assess"] = "assess"
    model: ArtifactRef
    data: dict[str, ArtifactRef]


class PrepareSpec(JobBase):
    """Convert or quantize into one candidate."""

    verb: Literal["prepare"] = "prepare"
    candidate: Candidate
    model: ArtifactRef
    calibration: ArtifactRef
    selection: ArtifactRef | None = None
    metric: str = "accuracy"
    max_accuracy_drop: float = 0.01
    required_isa: tuple[str, ...] = ()


class MeasureSpec(JobBase):
    """Compare candidate with reference on this node: quality on `data`, latency in ABBA blocks, memory. `reference_seconds` is
    the shortest median that the reference is known to have here: what met a slower machine is measured once more."""

    verb: Literal["measure"] = "measure"
    reference: Runner
    candidate: Runner
    data: ArtifactRef
    metric: str = "accuracy"
    retention: float = 0.95
    class_retention: float | None = None
    benchmark: BenchmarkProfile = BenchmarkProfile()
    reference_seconds: float | None = None
    required_isa: tuple[str, ...] = ()


class CertifySpec(JobBase):
    """Judge quality once on the certification split at a given alpha."""

    verb: Literal["certify"] = "certify"
    reference: Runner
    candidate: Runner
    data: ArtifactRef
    metric: str = "accuracy"
    retention: float = 0.95
    class_retention: float | None = None
    alpha: float = 0.025


class PackageSpec(JobBase):
    """Assemble the ModelPack artifact, its report, the certificate and its signature. Holds the key; never parses the
    model. `findings` is a `certification.Findings`."""

    verb: Literal["package"] = "package"
    model_name: str
    version: str
    runner: Runner
    certificate: dict[str, object]
    findings: dict[str, object]
    signing_key_path: str = "/signing/key.pem"


JobSpec = Annotated[
    StageSpec | AssessSpec | PrepareSpec | MeasureSpec | CertifySpec | PackageSpec,
    Field(discriminator="verb"),
]
