"""Asking for a check's result: bounded, only allowed hosts, and no secret in what anybody sees."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from edgeramp.api.checks import Check
from edgeramp.decide.seen import Measurement
from edgeramp.effects.checks import LIMIT_BYTES, Checker, allowed
from edgeramp.effects.memory import MemoryCluster

HOSTS = ("prometheus.monitoring:9090", "api.example")
VECTOR = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"value": [0, "0.5"]}, {"value": [0, "NaN"]}]},
}
SCALAR = {"status": "success", "data": {"resultType": "scalar", "result": [0, "2"]}}
PROM = {"address": "http://prometheus.monitoring:9090/", "query": "up > 0"}
SECRET_HEADER = {"name": "Authorization", "secretKeyRef": {"name": "token", "key": "auth"}}


def asked(
    answer: Callable[[httpx.Request], httpx.Response], hosts: tuple[str, ...] = HOSTS, **check: Any
) -> Measurement:
    cluster = MemoryCluster()
    data = {
        "auth": base64.b64encode(b"Bearer s3cr3t-value").decode(),
        "bad": base64.b64encode(b"a\nb").decode(),
    }
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "token", "namespace": "shop"},
            "data": data,
        }
    )
    checker = Checker(cluster, httpx.Client(transport=httpx.MockTransport(answer)))
    made = Check.model_validate({"name": "c", **check})
    return checker.measure([made], "shop", hosts, lambda: 7.0)["c"]


def test_prometheus_answers_the_numbers_of_its_series() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=VECTOR)

    found = asked(answer, prometheus=PROM)
    assert (
        found.at == 7.0 and found.problem == "" and found.value[0] == 0.5 and found.value[1] != found.value[1]
    )
    assert str(seen[0].url).startswith("http://prometheus.monitoring:9090/api/v1/query?query=up")
    assert asked(lambda _: httpx.Response(200, json=SCALAR), prometheus=PROM).value == [2.0]


def test_a_web_answer_is_narrowed_by_its_path() -> None:
    found = asked(
        lambda request: httpx.Response(
            200, json={"a": [{"got": request.content.decode(), "by": request.method}]}
        ),
        web={"url": "https://api.example/x", "method": "POST", "body": "{}", "jsonPath": "{$.a[0]}"},
    )
    assert found.value == {"got": "{}", "by": "POST"}


def test_case_42_a_secret_goes_into_the_request_and_nowhere_else() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        value = request.headers["authorization"]
        assert value == "Bearer s3cr3t-value"
        return httpx.Response(200, json={"you": value, "s3cr3t-value": [value.split()[1]]})

    found = asked(echo, web={"url": "http://api.example", "headers": [SECRET_HEADER]})
    assert "s3cr3t" not in repr(found) and "<secret>" in repr(found)


@pytest.mark.parametrize(("key", "name", "says"), [
    ("none", "token", "no entry none in Secret token"), ("auth", "other", "no entry auth in Secret other"),
    ("bad", "token", "cannot be a header"),
])  # fmt: skip
def test_a_secret_that_is_not_there_is_said(key: str, name: str, says: str) -> None:
    header = {"name": "Authorization", "secretKeyRef": {"name": name, "key": key}}
    found = asked(
        lambda _: httpx.Response(200, json=1), web={"url": "http://api.example", "headers": [header]}
    )
    assert says in found.problem


def _down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


@pytest.mark.parametrize(("answer", "says"), [
    (lambda _: httpx.Response(503), "HTTP 503"), (lambda _: httpx.Response(302, headers={"Location": "http://x"}), "HTTP 302"),
    (lambda _: httpx.Response(200, text="<html>"), "not JSON"), (_down, "no answer: ConnectError"),
    (lambda _: httpx.Response(200, content=b"1" * (LIMIT_BYTES + 1)), "longer than 256 KiB"),
    (lambda _: httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix"}}), "answers a matrix"),
    (lambda _: httpx.Response(200, json=[]), "not that of Prometheus"),
    (lambda _: httpx.Response(200, json={"status": "error", "data": {}}), "did not succeed"),
])  # fmt: skip
def test_what_goes_wrong_is_a_problem(answer: Callable[[httpx.Request], httpx.Response], says: str) -> None:
    found = asked(answer, prometheus=PROM)
    assert says in found.problem and found.value is None


def test_a_host_that_nobody_allowed_is_not_asked() -> None:
    found = asked(_down, hosts=(), prometheus=PROM)
    assert found.problem == (
        "prometheus.monitoring:9090 is not among the hosts that checks may ask (the chart's checks.hosts)"
    )


@pytest.mark.parametrize(("url", "hosts", "expected"), [
    ("http://a.example/x", ["a.example"], True), ("http://a.example:81", ["a.example"], True),
    ("http://A.example", ["a.example"], True),
    ("http://a.example:81", ["a.example:80"], False), ("http://a.example", ["a.example:80"], True),
    ("https://a.example", ["a.example:443"], True), ("http://x.a.example", ["*.a.example"], True),
    ("http://a.example", ["*.a.example"], False),
    ("http://evil-a.example", ["*.a.example"], False), ("http://a.example@evil", ["a.example"], False),
    ("http://169.254.169.254/latest", ["a.example"], False),
    ("http://a.example:99999", ["a.example"], False), ("http:///x", ["a"], False),
])  # fmt: skip
def test_hosts_are_matched_whole(url: str, hosts: list[str], expected: bool) -> None:
    assert allowed(url, hosts) is expected
