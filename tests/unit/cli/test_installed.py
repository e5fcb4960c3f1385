"""What `helm test` runs: each part that does not work is named, with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from edgeramp.cli import installed
from edgeramp.entry.telemetry import Telemetry, serve

KINDS = ("edgemodels", "optimizationruns", "rollouts")


class Fake:
    """API server and store: paths and what they answer."""

    def __init__(self) -> None:
        self.answers = {"/v2/": (200, "{}")}
        self.serve_kinds(*KINDS)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = fake.answers.get(self.path.partition("?")[0], (404, "{}"))
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def serve_kinds(self, *plurals: str) -> None:
        resources = [
            {"name": name, "singularName": "", "namespaced": True, "kind": "K", "verbs": ["get"]} for name in plurals
        ]  # fmt: skip
        body = {"kind": "APIResourceList", "groupVersion": "edgeramp.dev/v1alpha1", "resources": resources}
        self.answers["/apis/edgeramp.dev/v1alpha1"] = (200, json.dumps(body))
        self.answers["/apis/edgeramp.dev/v1alpha1/"] = (200, json.dumps(body))


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Operator:
    """The operator's own HTTP server."""

    def __init__(self) -> None:
        self.telemetry, self.wrong = Telemetry(), ""
        self.server = serve(0, self.telemetry, lambda: "", lambda: self.wrong)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.telemetry.leader.set(1)


@pytest.fixture
def operator() -> Iterator[Operator]:
    made = Operator()
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(fake: Fake, operator: Operator, tmp_path: Path, *more: str) -> int:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": fake.url}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }))  # fmt: skip
    words = [
        "--operator",
        operator.url,
        "--store",
        fake.url,
        "--kubeconfig",
        str(path),
        "--timeout",
        "0",
        *more,
    ]
    return installed.main(words)


def test_an_installation_that_works(
    fake: Fake, operator: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fake, operator, tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(line.startswith("ok ") for line in lines)


def test_a_registry_that_asks_for_a_login_answers_too(fake: Fake, operator: Operator, tmp_path: Path) -> None:
    fake.answers["/v2/"] = (401, "{}")
    assert run(fake, operator, tmp_path) == 0


@pytest.mark.parametrize(("breaks", "says"), [
    ("a kind", "does not serve rollouts"),
    ("the group", "install the CRDs: crds.install=true"),
    ("the API server", "cannot be asked"),
    ("ready", "answered 503: no answer from the API server"),
    ("the leader", "holds the Lease: read the operator's log"),
    ("the store", "answered 500"),
    ("the operator", "cannot be reached"),
])  # fmt: skip
def test_what_does_not_work_is_named(
    fake: Fake, operator: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str], breaks: str, says: str
) -> None:
    match breaks:
        case "a kind":
            fake.serve_kinds(*KINDS[:2])
        case "the group":
            fake.answers = {"/v2/": fake.answers["/v2/"]}
        case "the API server":
            fake.server.shutdown()
            fake.server.server_close()
        case "ready":
            operator.wrong = "no answer from the API server"
        case "the leader":
            operator.telemetry.leader.set(0)
        case "the store":
            fake.answers["/v2/"] = (500, "{}")
        case "the operator":
            operator.url = "http://127.0.0.1:1"
    assert run(fake, operator, tmp_path) == 1
    told = capsys.readouterr().out
    assert any(line.startswith("FAILED ") and says in line for line in told.splitlines()), told


def test_it_waits_for_what_is_not_there_yet() -> None:
    answers = iter(["not yet", ""])
    assert installed.settled(lambda: next(answers), until=float("inf"), pause=0) == ""
