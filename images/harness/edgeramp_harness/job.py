"""One verb from spec to summary. Every way out writes a summary of at most 4,096 bytes."""

from __future__ import annotations

import importlib
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from pydantic import TypeAdapter, ValidationError

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.spec import JobSpec, Part
from edgeramp.report.summary import MAX_BYTES, AssessSummary, Failure
from edgeramp_harness.context import Context
from edgeramp_harness.errors import JobError, bad_spec
from edgeramp_harness.log import say

TERMINATION_DEFAULT = Path("/dev/termination-log")
_SPECS: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


def run(verb: str, spec_file: Path, termination: Path, work: Path, sources: Path) -> int:
    """Run the verb; returns the exit code of the contract."""
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        spec = load_spec(verb, spec_file)
        signal.signal(signal.SIGALRM, _deadline(spec.deadline_seconds))
        signal.alarm(max(1, spec.deadline_seconds))
        say(f"{verb} started for {spec.run.kind} {spec.run.namespace}/{spec.run.name}")
        module = importlib.import_module(f"edgeramp_harness.verbs.{verb}")
        summary: Part = module.run(spec, Context(work, sources))
    except JobError as error:
        return write_failure(error, termination)
    except MemoryError:
        return write_failure(JobError(ExitCode.OOM_KILLED, "a memory allocation was refused"), termination)
    except OSError as error:
        traceback.print_exc()
        code = ExitCode.PREDICTED_OUT_OF_RESOURCES if error.errno == 28 else ExitCode.TRANSIENT_IO
        return write_failure(JobError(code, f"{type(error).__name__}: {error}"), termination)
    except Exception as error:  # the last frame before the exit code: whatever a framework raised
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}"
        return write_failure(JobError(ExitCode.UNSUPPORTED, message, "ToolFailed"), termination)
    finally:
        signal.alarm(0)
    write(fit(summary), termination)
    say(f"{verb} done in {time.monotonic() - started:.1f}s")
    return ExitCode.OK


def load_spec(verb: str, path: Path) -> JobSpec:
    """Exit 10 naming every field that is wrong."""
    try:
        spec = _SPECS.validate_json(path.read_text())
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise bad_spec(f"the spec is not valid: {where}") from error
    except OSError as error:
        raise bad_spec(f"the spec {path} cannot be read: {error}") from error
    if spec.verb != verb:
        raise bad_spec(f"the spec is for {spec.verb}, not {verb}")
    return spec


def write_failure(error: Exception, termination: Path) -> int:
    """Write why, return the exit code."""
    assert isinstance(error, JobError)
    message = error.message if len(error.message) <= 1000 else error.message[:999] + "…"
    failure = Failure(code=int(error.code), reason=error.reason, message=message)
    say(f"failed with {error.code.value} {error.reason}: {message}")
    write(failure, termination)
    return int(error.code)


def write(summary: Part, termination: Path) -> None:
    """Into the termination message; kubelet reads it when the container ends."""
    text = summary.to_json()
    data = text.encode()
    if len(data) > MAX_BYTES:
        data = data[:MAX_BYTES]  # unreachable by fit(); a cut message is still readable to a person
    try:
        termination.write_bytes(data)
    except OSError as error:
        say(f"the summary could not be written to {termination}: {error}")
    sys.stdout.flush()


def fit(summary: Part) -> Part:
    """Shorten what may be shortened until the JSON fits: warnings, then long port and operator lists."""
    while len(summary.to_json().encode()) > MAX_BYTES:
        if isinstance(summary, AssessSummary):
            facts = summary.assessment
            half = {
                "warnings": [w[:120] for w in facts.warnings[: len(facts.warnings) // 2]],
                "operators": dict(list(facts.operators.items())[: len(facts.operators) // 2]),
                "inputs": dict(list(facts.inputs.items())[: max(1, len(facts.inputs) // 2)]),
                "outputs": dict(list(facts.outputs.items())[: max(1, len(facts.outputs) // 2)]),
            }
            summary = summary.model_copy(update={"assessment": facts.model_copy(update=half)})
            continue
        warnings: list[str] = list(getattr(summary, "warnings", ()))
        if not warnings:
            break
        summary = summary.model_copy(update={"warnings": [w[:160] for w in warnings[: len(warnings) // 2]]})
    return summary


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise JobError(ExitCode.TRANSIENT_IO, "the pod was asked to stop", "Interrupted")


def _deadline(seconds: int) -> Callable[[int, FrameType | None], None]:
    def handler(_signal: int, _frame: FrameType | None) -> None:
        raise JobError(
            ExitCode.BUDGET_SPENT, f"not done within deadlineSeconds ({seconds})", "DeadlineExceeded"
        )

    return handler
