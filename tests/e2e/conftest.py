"""The real cluster after the demo: a model is served, a bad revision was rolled back. Tests disturb it from there.

The demo is the first end-to-end test, so it runs once per session, on whatever is up already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from demo import paths
from demo.kube import Kube
from demo.main import ENDED
from demo.reach import Reach
from tests.e2e.kubectl import Kubectl

REPORT = paths.REPO / "demo-report.json"


@pytest.fixture(scope="session")
def story() -> dict[str, Any]:
    """What the demo measured. `EDGERAMP_E2E_REUSE=1` takes the report of a demo that ran before, while writing tests."""
    if not (os.environ.get("EDGERAMP_E2E_REUSE") and REPORT.exists()):
        REPORT.unlink(missing_ok=True)
        code = subprocess.run(
            [sys.executable, "-m", "demo"],
            cwd=paths.REPO,
            env=paths.environment(),
            stdout=sys.__stderr__,
            check=False,
        ).returncode
        assert REPORT.exists(), f"the demo ended with {code} and wrote no report"
    told = dict(json.loads(REPORT.read_text()))
    broken = [e["detail"] for e in told["expectations"] if e["name"] == ENDED and not e["met"]]
    if broken:  # nothing that follows could say more than this
        pytest.exit(f"the demo did not run to its end: {broken[0]}", returncode=1)
    return told


@pytest.fixture(scope="session")
def kubectl(story: dict[str, Any]) -> Kubectl:
    return Kubectl(tuple(paths.kubectl()), paths.NAMESPACE)


@pytest.fixture(scope="session")
def system(story: dict[str, Any]) -> Kubectl:
    """The same in the operator's namespace."""
    return Kubectl(tuple(paths.kubectl()), paths.OPERATOR_NAMESPACE)


@dataclass
class Traffic:
    """Requests on their way to some hosts; `stop` ends them and says what came of them."""

    process: subprocess.Popen[bytes]
    out: Path

    def stop(self) -> dict[str, dict[str, Any]]:
        """Per host: sent, ok, failed, ... (demo.tally)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        lines = [json.loads(line) for line in self.out.read_text().splitlines()]
        return {line["host"]: line for line in lines if line.get("event") == "summary"}


class Sender:
    """Starts traffic of normal images through the gateway."""

    def __init__(self, folder: Path) -> None:
        from examples.publish import built

        self.folder, self.running = folder, list[Traffic]()
        self.requests = built("digits") / "requests.npz"
        self.reach = Reach(Kube(paths.kubeconfig()))

    def send(self, *hosts: str, rate: float, seconds: float = 600, bright: float = 0.0) -> Traffic:
        out = self.folder / f"traffic-{len(self.running)}.jsonl"
        command = [
            sys.executable,
            "-m",
            "demo.traffic",
            "--address",
            self.reach.gateway(),
            "--model",
            paths.MODEL,
        ]
        command += [word for host in hosts for word in ("--host", host)]
        command += ["--requests", str(self.requests), "--rate", str(rate), "--seconds", str(seconds)]
        command += ["--bright", str(bright), "--out", str(out)]
        traffic = Traffic(subprocess.Popen(command, cwd=paths.REPO, env=paths.environment()), out)
        self.running.append(traffic)
        return traffic

    def close(self) -> None:
        for traffic in self.running:
            if traffic.process.poll() is None:
                traffic.process.kill()
                traffic.process.wait()
        self.reach.close()


@pytest.fixture(scope="module")
def sender(story: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    sender = Sender(tmp_path_factory.mktemp("traffic"))
    yield sender
    sender.close()
