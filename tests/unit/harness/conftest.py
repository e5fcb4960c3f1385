"""A real registry on a free port, a tiny real ONNX model, small data, and a way to run a verb as a Job does."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import requests
from onnx import TensorProto, helper, numpy_helper

from edgeramp.report import Failure, parse_summary
from edgeramp_harness.job import run as run_job

ROOT = Path(__file__).parents[3]
RUN = {"kind": "EdgeModel", "namespace": "default", "name": "tiny", "uid": "u", "generation": 1}
CLASSES, WIDTH = 5, 16


@dataclass(frozen=True)
class RegistryServer:
    """host:port, and where it keeps its files."""

    host: str
    data: Path


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """An empty docker-registry."""
    program = shutil.which("docker-registry")
    if not program:
        pytest.skip("docker-registry is not installed (Debian package docker-registry)")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: '{host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
    )
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    for _ in range(200):
        try:
            requests.get(f"http://{host}/v2/", timeout=1)
            break
        except requests.ConnectionError:
            time.sleep(0.05)  # the process is starting; there is nothing else to wait on
    yield RegistryServer(host, folder / "data")
    server.terminate()
    server.wait()


def tiny_model(seed: int = 0, poison: bool = False) -> onnx.ModelProto:
    """Conv, Relu, Gemm on [n, 1, 4, 4]; `poison` divides by zero in the end."""
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(size=(8, 1, 3, 3)).astype(np.float32),
        "w2": rng.normal(size=(8 * WIDTH, 64)).astype(np.float32),
        "w3": rng.normal(size=(64, CLASSES)).astype(np.float32),
        "scale": np.array(0.0 if poison else 1.0, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "w2"], ["h"]),
        helper.make_node("Relu", ["h"], ["hr"]),
        helper.make_node("Gemm", ["hr", "w3"], ["g"]),
        helper.make_node("Div", ["g", "scale"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def split_arrays(first: int, count: int, labels: Any = None, seed: int = 1) -> dict[str, Any]:
    """Items first..first+count of an endless stream: pixels, ids, and labels (default: from the tiny model)."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(size=(first + count, 1, 4, 4)).astype(np.float32)[first:]
    if labels is None:
        import onnxruntime

        session = onnxruntime.InferenceSession(tiny_model().SerializeToString())
        labels = session.run(None, {"image": pixels})[0].argmax(axis=1)
        labels[::10] = (labels[::10] + 1) % CLASSES  # one in ten is wrong: accuracy 0.9
    ids = [hashlib.sha256(p.tobytes()).hexdigest() for p in pixels]
    return {"y": np.asarray(labels, np.int64), "id": np.array(ids), "x.image": pixels}


@dataclass(frozen=True)
class Result:
    """How a Job ended."""

    code: int
    summary: Any
    log: str

    @property
    def failure(self) -> Failure:
        assert isinstance(self.summary, Failure), self.log
        return self.summary


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """A Job installs handlers; the test runner wants its own back."""
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGALRM)}
    yield
    for which, handler in before.items():
        signal.signal(which, handler)


@dataclass(frozen=True)
class Bench:
    """A store, and verbs run against it."""

    host: str
    folder: Path
    repository: str = "team/store"

    @property
    def store(self) -> dict[str, Any]:
        return {"host": self.host, "repository": self.repository, "plainHttp": True}

    def run(self, verb: str, *, process: bool = False, prefix: tuple[str, ...] = (), **spec: Any) -> Result:
        """Run a verb with the given spec fields: in this process (runners are processes anyway), or as a Job does."""
        job = Path(self._fresh(verb))
        body = {"schemaVersion": 1, "verb": verb, "run": RUN, "store": self.store, **spec}
        (job / "spec.json").write_text(json.dumps(body))
        (job / "work").mkdir()
        termination, sources = job / "termination", self.folder / "sources"
        if process or prefix:
            args = [
                "--spec",
                str(job / "spec.json"),
                "--termination",
                str(termination),
                "--work",
                str(job / "work"),
            ]
            code, log = self.call(verb, *args, "--sources", str(sources), prefix=prefix)
        else:
            with contextlib.redirect_stdout(io.StringIO()) as out, _signals_kept():
                code = run_job(verb, job / "spec.json", termination, job / "work", sources)
            log = out.getvalue()
        text = termination.read_text()
        assert len(text.encode()) <= 4096
        return Result(code, parse_summary(text), log)

    def call(self, *args: str, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
        """The harness's command line, behind `prefix`: (exit code, stdout and stderr)."""
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "edgeramp_harness", *args], capture_output=True, text=True, timeout=300,
            cwd=self.folder, env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def push(self, name: str, *files: Path) -> str:
        """Push files as an artifact of the store; returns its digest."""
        from edgeramp_harness.store import Registry

        return Registry(self.host, self.repository, True).push({f.name: f for f in files}, tag=name).digest

    def model(self, name: str, model: onnx.ModelProto | bytes) -> str:
        """Push an ONNX model."""
        path = Path(self._fresh(name)) / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return self.push(name, path)

    def split(self, name: str, arrays: dict[str, Any]) -> str:
        """Push a data split."""
        path = Path(self._fresh(name)) / "data.npz"
        np.savez(path, **arrays)
        return self.push(name, path)

    def _fresh(self, name: str) -> str:
        number = len(list(self.folder.glob(f"{name}-*")))
        path = self.folder / f"{name}-{number}"
        path.mkdir(parents=True)
        return str(path)


@pytest.fixture(scope="session")
def bench(registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(registry.host, tmp_path_factory.mktemp("bench"))


@dataclass(frozen=True)
class Things:
    """The tiny model and its three splits, in the store."""

    model: str
    calibration: str
    selection: str
    certification: str


@pytest.fixture(scope="session")
def things(bench: Bench) -> Things:
    return Things(
        bench.model("model", tiny_model()),
        bench.split("calibration", split_arrays(0, 64)),
        bench.split("selection", split_arrays(64, 200)),
        bench.split("certification", split_arrays(264, 200)),
    )


@pytest.fixture(scope="session", autouse=True)
def importable() -> None:
    """Runner processes find our packages the way this process does."""
    os.environ["PYTHONPATH"] = f"{ROOT / 'operator'}:{ROOT / 'images/harness'}"
