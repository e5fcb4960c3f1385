"""The parent's side of a runner."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeramp.report.exit_codes import ExitCode
from edgeramp_harness import cgroups
from edgeramp_harness.errors import JobError
from edgeramp_harness.main import killed


def thread_environment(threads: int) -> dict[str, str]:
    """Keeps numeric libraries from starting more threads than allotted, and telemetry off."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**{n: str(threads) for n in names}, "OPENVINO_TELEMETRY_OPT_OUT": "1", "HF_HUB_OFFLINE": "1"}


def pinned_cpus(threads: int) -> list[int]:
    """The CPUs for runners: the last `threads` of those allowed, or no pinning where there are no more than that."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-threads:] if len(allowed) > threads else []


@dataclass
class RunnerProcess:
    """One child. Used as a context manager; `who` names it in messages."""

    who: str
    threads: int = 1
    _child: subprocess.Popen[str] = field(init=False, repr=False)
    _kills: int | None = field(init=False, repr=False)

    def __enter__(self) -> RunnerProcess:
        self._kills = cgroups.oom_kills()
        read, write = os.pipe()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "edgeramp_harness.runner", str(write)],
            stdin=subprocess.PIPE,
            pass_fds=(write,),
            text=True,
            env={**os.environ, **thread_environment(self.threads)},
        )
        os.close(write)
        self._answers = os.fdopen(read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        if kind is not None:
            self._child.kill()
        self._child.wait()
        self._answers.close()

    def send(self, do: str, **arguments: Any) -> None:
        """Start a command."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def receive(self) -> dict[str, Any]:
        """The answer to the last command; raises the runner's JobError, or why it died."""
        line = self._answers.readline()
        if not line:
            raise self._died()
        reply = json.loads(line)
        if "error" in reply:
            error = reply["error"]
            raise JobError(ExitCode(error["code"]), f"{self.who}: {error['message']}", error["reason"])
        result: dict[str, Any] = reply["ok"]
        return result

    def call(self, do: str, **arguments: Any) -> dict[str, Any]:
        """send, then receive."""
        self.send(do, **arguments)
        return self.receive()

    def load(
        self, framework: str, precision: str, model: Path, split: Path, batch: int = 1
    ) -> dict[str, Any]:
        """Start, then load the artifact on pinned CPUs."""
        self.call("start", framework=framework, split=str(split))
        return self.load_started(framework, precision, model, batch)

    def load_started(self, framework: str, precision: str, model: Path, batch: int = 1) -> dict[str, Any]:
        """Load the artifact on pinned CPUs; the runner has data and framework already."""
        return self.call(
            "load", framework=framework, precision=precision, model=str(model),
            threads=self.threads, batch=batch, cpus=pinned_cpus(self.threads),
        )  # fmt: skip

    def _died(self) -> Exception:
        status = self._child.wait()
        if status == -signal.SIGKILL:
            return killed(self._kills, f"the runner of {self.who}")
        if status == -signal.SIGILL:
            return JobError(
                ExitCode.HARDWARE_MISMATCH, f"{self.who}: the CPU does not know an instruction it uses"
            )
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return JobError(
            ExitCode.BAD_OUTPUT, f"{self.who}: the runner ended with {how}; its log has more", "RunnerCrashed"
        )
