"""The contract between the operator and the Jobs: the spec file a Job gets and the summary it hands back.

Shared with the images under images/, so this package imports pydantic and nothing else of ours but `values`.
"""

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.spec import (
    ArtifactRef,
    AssessSpec,
    BenchmarkProfile,
    Candidate,
    CertifySpec,
    JobSpec,
    MeasureSpec,
    PackageSpec,
    PrepareSpec,
    Runner,
    RunRef,
    Source,
    StageSpec,
    Store,
)
from edgeramp.report.summary import (
    Assessment,
    AssessSummary,
    CertifySummary,
    Consistency,
    Environment,
    Failure,
    Generation,
    Latency,
    MeasureSummary,
    Memory,
    PackageSummary,
    PrepareSummary,
    Quality,
    StagedArtifact,
    StageSummary,
    Summary,
    TextQuality,
    parse_summary,
)

__all__ = [
    "ArtifactRef", "AssessSpec", "AssessSummary", "Assessment", "BenchmarkProfile", "Candidate", "CertifySpec",
    "CertifySummary", "Consistency", "Environment", "ExitCode", "Failure", "Generation", "JobSpec", "Latency", "MeasureSpec",
    "MeasureSummary", "Memory", "PackageSpec", "PackageSummary", "PrepareSpec", "PrepareSummary", "Quality", "RunRef",
    "Runner", "Source", "StageSpec", "StageSummary", "StagedArtifact", "Store", "Summary", "TextQuality", "parse_summary",
]  # fmt: skip
