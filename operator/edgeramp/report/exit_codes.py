"""Exit codes of a Job's container (optimization.md, The Job contract); podFailurePolicy maps them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    BAD_SPEC = 10
    DIGEST_MISMATCH = 11
    UNSUPPORTED = 12
    HARDWARE_MISMATCH = 13
    PREDICTED_OUT_OF_RESOURCES = 14
    BUDGET_SPENT = 15
    BAD_OUTPUT = 16
    CALIBRATION_UNUSABLE = 17
    TRANSIENT_IO = 20
    OOM_KILLED = 137

    @property
    def reason(self) -> str:
        """The condition reason that users see."""
        return _REASONS[self]

    @property
    def retryable(self) -> bool:
        """True where a second attempt can succeed without anybody changing anything."""
        return self in (ExitCode.TRANSIENT_IO, ExitCode.OOM_KILLED)


_REASONS = {
    ExitCode.OK: "Succeeded",
    ExitCode.BAD_SPEC: "BadSpec",
    ExitCode.DIGEST_MISMATCH: "DigestMismatch",
    ExitCode.UNSUPPORTED: "UnsupportedModel",
    ExitCode.HARDWARE_MISMATCH: "HardwareMismatch",
    ExitCode.PREDICTED_OUT_OF_RESOURCES: "PredictedOutOfResources",
    ExitCode.BUDGET_SPENT: "BudgetSpent",
    ExitCode.BAD_OUTPUT: "BadOutput",
    ExitCode.CALIBRATION_UNUSABLE: "CalibrationUnusable",
    ExitCode.TRANSIENT_IO: "SourceUnavailable",
    ExitCode.OOM_KILLED: "OutOfMemory",
}
