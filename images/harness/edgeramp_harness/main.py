"""Command line. A Job's verb runs in a child, so that the OOM killer or a crash inside a framework still ends in a
summary and an exit code of the contract; this parent stays small and imports no framework."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from edgeramp_harness import cgroups

VERBS = ("stage", "assess", "prepare", "measure", "certify", "package")
TERMINATION = Path("/dev/termination-log")
_CHILD = "EDGERAMP_HARNESS_CHILD"
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE}


def main(argv: list[str]) -> int:
    """The process's exit code."""
    if argv[:1] == ["fetch"]:
        from edgeramp_harness.verbs import fetch

        return fetch.main(argv[1:])
    if argv[:1] == ["push"]:
        from edgeramp_harness.verbs import push

        return push.main(argv[1:])
    args = _parser().parse_args(argv)
    if os.environ.get(_CHILD):
        from edgeramp_harness.job import run

        return run(args.verb, args.spec, args.termination, args.work, args.sources)
    return supervise(argv, args.termination)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgeramp_harness", description="One step of an OptimizationRun.")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--spec", type=Path, required=True, help="the Job's spec, JSON")
    parser.add_argument("--termination", type=Path, default=TERMINATION, help="where the summary goes")
    parser.add_argument("--work", type=Path, default=Path("/work"), help="writable scratch folder")
    parser.add_argument(
        "--sources", type=Path, default=Path("/sources"), help="where pvc:// claims are mounted"
    )
    return parser


def supervise(argv: list[str], termination: Path) -> int:
    """Run the verb in a child and translate a death by signal. SIGTERM is passed on; the child then has 25 s."""
    kills_before = cgroups.oom_kills()
    started = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "edgeramp_harness", *argv], env={**os.environ, _CHILD: "1"}
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGINT, lambda *_: child.terminate())
    status = child.wait()
    if status >= 0:
        return status
    from edgeramp.report.exit_codes import ExitCode
    from edgeramp_harness.errors import JobError
    from edgeramp_harness.job import write_failure

    took = f"after {time.monotonic() - started:.0f}s"
    if -status == signal.SIGKILL:
        error = killed(kills_before, f"the {argv[0]} process {took}")
    elif -status == signal.SIGILL:
        error = JobError(
            ExitCode.HARDWARE_MISMATCH, f"the CPU does not know an instruction the tool used ({took})"
        )
    elif -status in _CRASHES:
        name = signal.Signals(-status).name
        error = JobError(
            ExitCode.UNSUPPORTED, f"the tool crashed with {name} {took}; its log has more", "ToolCrashed"
        )
    else:
        error = JobError(
            ExitCode.TRANSIENT_IO, f"stopped by {signal.Signals(-status).name} {took}", "Interrupted"
        )
    return write_failure(error, termination)


def killed(kills_before: int | None, what: str) -> Exception:
    """Why a process was SIGKILLed: out of memory when the cgroup counted it or cannot say, else from outside."""
    from edgeramp.report.exit_codes import ExitCode
    from edgeramp_harness.errors import JobError

    kills = cgroups.oom_kills()
    if kills is not None and kills_before is not None and kills == kills_before:
        return JobError(ExitCode.TRANSIENT_IO, f"{what} was killed from outside, not for memory", "Killed")
    return JobError(
        ExitCode.OOM_KILLED, f"{what} was killed: out of memory; give the Job a higher memory limit"
    )
