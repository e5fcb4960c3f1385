"""What a Job hands back in its termination message: JSON of at most 4,096 bytes. The whole report is in the store."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from edgeramp.report.spec import Digest, ModelFormat, Part

MAX_BYTES = 4096


class Failure(Part):
    """Why a Job could not do its work. A missed gate is never a failure."""

    verb: Literal["failure"] = "failure"
    code: int
    reason: str
    message: str = Field(max_length=1024)


class StagedArtifact(Part):
    """`digest` is the manifest digest in the store; `source_digest` what the user's source has (file or manifest)."""

    digest: Digest
    source_digest: Digest | None = None
    size_bytes: int


class StageSummary(Part):
    verb: Literal["stage"] = "stage"
    model: StagedArtifact
    data: dict[str, StagedArtifact]


class Assessment(Part):
    """Facts about a model, read from its file without running it."""

    format: ModelFormat
    size_bytes: int
    parameters: int
    architecture: str
    opset: int | None = None
    operators: dict[str, int] = Field(default_factory=dict)  # at most the 20 most frequent
    inputs: dict[str, list[int | str]] = Field(default_factory=dict)
    outputs: dict[str, list[int | str]] = Field(default_factory=dict)
    quantizable_operators: int = 0
    model_type: str = ""  # what the file itself calls its architecture: llama, bert, …
    quantization: str = ""  # GGUF and safetensors: the type that holds most of the weights
    items: dict[str, int] = Field(default_factory=dict)  # per split
    smallest_class: dict[str, int] = Field(default_factory=dict)  # items of the rarest label, per split
    warnings: list[str] = Field(default_factory=list)


class AssessSummary(Part):
    verb: Literal["assess"] = "assess"
    assessment: Assessment


class PrepareSummary(Part):
    verb: Literal["prepare"] = "prepare"
    artifact: Digest
    format: ModelFormat
    size_bytes: int
    operators_quantized: int | None = None
    operators_reverted: int | None = None
    tool: str = ""
    seconds: float
    report: Digest | None = None
    warnings: list[str] = Field(default_factory=list)


class TextQuality(Part):
    """A language model against its original on the same tokens, n items of text. The perplexity ratio is
    exp(mean difference of the negative log-likelihood per token), 1 is the original, with one-sided bounds;
    `kl_divergence` is the mean over positions in nats, `same_top` the share of positions with the same first choice."""

    tokens: int
    perplexity_reference: float
    perplexity_candidate: float
    perplexity_ratio: float
    ratio_lower: float
    ratio_upper: float
    kl_divergence: float
    same_top: float
    positions: int


class Generation(Part):
    """A language model's speed: tokens per second while it reads the prompt and while it writes, and milliseconds to
    the first token of a prompt of `prompt_tokens`. Medians; the speedup of the gates is that of one written token."""

    prompt_tokens: int
    prompt_per_second: float
    prompt_per_second_reference: float
    decode_per_second: float
    decode_per_second_reference: float
    first_token_ms: float
    first_token_ms_reference: float


class WorstClass(Part):
    """The class that kept the smallest share, with one-sided bounds."""

    label: str
    items: int
    retention: float
    lower: float
    upper: float


class Behaviour(Part):
    """A classifier beside its original, right or wrong. `agreement`: share of items with the same answer, with one-sided bounds.
    Of `classes` that the original gets right at all, `classes_kept` have a lower bound above what was asked of each, and
    `classes_below` are shown to lie below it (Holm); `below` names the first five."""

    agreement: float
    agreement_lower: float
    agreement_upper: float
    classes: int
    classes_kept: int
    classes_below: int
    below: list[str] = Field(default_factory=list)
    worst: WorstClass | None = None


class Quality(Part):
    """Paired scores on the same n items. `both`, `only_reference`, `only_candidate`, `neither` are the four paired
    counts for 0/1 scores. `retention` = mean candidate / mean reference with its one-sided `lower` bound at
    `confidence`; `margin_lower` is the lower bound on mean(c - R0*b), above 0 is "retention >= R0"."""

    metric: str
    items: int
    reference: float
    candidate: float
    retention: float
    lower: float
    margin_lower: float
    margin_upper: float
    confidence: float
    both: int | None = None
    only_reference: int | None = None
    only_candidate: int | None = None
    neither: int | None = None
    items_needed: int | None = None
    method: str = ""
    text: TextQuality | None = None
    behaviour: Behaviour | None = None


class Latency(Part):
    """Milliseconds of a single inference; `speedup` = reference / candidate, ratio of block medians, ABBA, over `processes` fresh
    pairs of processes."""

    reference_p50: float
    candidate_p50: float
    candidate_p90: float | None = None
    candidate_p95: float | None = None
    candidate_p99: float | None = None
    speedup: float
    speedup_lower: float
    speedup_upper: float
    rounds: int
    processes: int = 1
    confidence: float
    valid: bool = True
    void_reason: str | None = None


class Consistency(Part):
    """Coefficient of variation of the candidate's block medians, with a one-sided upper bound."""

    variation: float
    upper: float
    lower: float


class Saved(Part):
    """Share of memory saved, with one-sided bounds from `processes` fresh processes of each side."""

    share: float
    lower: float
    upper: float
    processes: int


class Memory(Part):
    """Bytes, of the first process. Reduction is (reference - candidate) / reference; the two that processes show vary from one to
    the next, and have bounds where there were several."""

    artifact: int
    artifact_reference: int
    incremental_rss: int | None = None
    incremental_rss_reference: int | None = None
    private_dirty: int | None = None
    private_dirty_reference: int | None = None
    incremental_rss_saved: Saved | None = None
    private_dirty_saved: Saved | None = None
    peak_rss: int | None = None


class Environment(Part):
    node: str = ""
    cpu_model: str = ""
    isa: list[str] = Field(default_factory=list)
    threads: int = 1
    versions: dict[str, str] = Field(default_factory=dict)
    effective_precision: str = ""


class MeasureSummary(Part):
    verb: Literal["measure"] = "measure"
    quality: Quality
    latency: Latency
    consistency: Consistency
    memory: Memory
    environment: Environment
    generation: Generation | None = None
    report: Digest | None = None
    seconds: float = 0.0
    warnings: list[str] = Field(default_factory=list)


class CertifySummary(Part):
    verb: Literal["certify"] = "certify"
    quality: Quality
    alpha: float
    report: Digest | None = None


class PackageSummary(Part):
    """`artifact` is what a Rollout serves; `certificate` the signed statement's manifest digest, `report` that of the
    certification report (both are referrers of the artifact)."""

    verb: Literal["package"] = "package"
    artifact: Digest
    certificate: Digest
    report: Digest | None = None
    reference: str
    key_id: str
    size_bytes: int


Summary = Annotated[
    Failure
    | StageSummary
    | AssessSummary
    | PrepareSummary
    | MeasureSummary
    | CertifySummary
    | PackageSummary,
    Field(discriminator="verb"),
]

_ADAPTER: TypeAdapter[Summary] = TypeAdapter(Summary)


def parse_summary(text: str) -> Summary:
    """The summary in a termination message. Raises pydantic.ValidationError (a ValueError) on anything else."""
    return _ADAPTER.validate_json(text)
