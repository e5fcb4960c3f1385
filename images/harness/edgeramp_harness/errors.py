"""One way for a verb to end early: an exit code of the Job contract, a reason and one sentence for the user."""

from __future__ import annotations

from edgeramp.report.exit_codes import ExitCode


class JobError(Exception):
    """The Job ends with `code`; `reason` is the condition reason (default: the code's own)."""

    def __init__(self, code: ExitCode, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or code.reason


def bad_spec(message: str, reason: str | None = None) -> JobError:
    """The user must change the object."""
    return JobError(ExitCode.BAD_SPEC, message, reason)


def unsupported(message: str, reason: str | None = None) -> JobError:
    """The model cannot be used as it is."""
    return JobError(ExitCode.UNSUPPORTED, message, reason)


def transient(message: str, reason: str | None = None) -> JobError:
    """Trying again later can help."""
    return JobError(ExitCode.TRANSIENT_IO, message, reason)
