"""Asking for a check's result: Prometheus or a web service, bounded in time and size, and only hosts that are allowed.

What a header takes from a Secret goes into the request and nowhere else: should an answer or an error repeat it, it is
blacked out before anybody sees it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from edgeramp.api.checks import Check, CheckHeader, PrometheusCheck, WebCheck
from edgeramp.decide.checks.selector import BadSelector, selected
from edgeramp.decide.seen import Measurement
from edgeramp.effects.cluster import Cluster
from edgeramp.effects.kinds import SECRET, Ref
from edgeramp.values.errors import ClusterError, EvidenceError, Forbidden

TIMEOUT = httpx.Timeout(5.0, connect=2.0)
LIMIT_BYTES = 256 * 1024
_HIDDEN = "<secret>"


@dataclass(frozen=True)
class _Question:
    """One request."""

    url: str
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Checker:
    """Asks for several checks at the same time; what goes wrong is the measurement's `problem`, never raised."""

    def __init__(self, cluster: Cluster, http: httpx.Client | None = None, threads: int = 8) -> None:
        self._cluster = cluster
        self._http = http or httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="check")

    def measure(
        self, checks: Sequence[Check], namespace: str, hosts: Sequence[str], clock: Callable[[], float]
    ) -> dict[str, Measurement]:
        """The results by check."""
        asked = [
            (check.name, self._pool.submit(self._one, check, namespace, hosts, clock)) for check in checks
        ]
        return {name: future.result() for name, future in asked}

    def _one(
        self, check: Check, namespace: str, hosts: Sequence[str], clock: Callable[[], float]
    ) -> Measurement:
        hidden: tuple[str, ...] = ()
        try:
            asked = check.prometheus or check.web
            if asked is None:
                raise EvidenceError("nothing to ask")
            headers, hidden = self._headers(asked.headers, namespace)
            question = _question(asked, headers)
            if not allowed(question.url, hosts):
                raise EvidenceError(
                    f"{urlsplit(question.url).netloc} is not among the hosts that checks may ask (the chart's checks.hosts)"
                )
            document = self._asked(question)
            value = (
                _vector(document)
                if isinstance(asked, PrometheusCheck)
                else selected(asked.json_path, document)
            )
            return Measurement(clock(), _blacked(value, hidden))
        except (EvidenceError, BadSelector, ClusterError) as error:
            return Measurement(clock(), problem=str(_blacked(str(error), hidden))[:256])

    def _headers(
        self, wanted: Sequence[CheckHeader], namespace: str
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """The headers, and the values among them that came from a Secret."""
        headers: dict[str, str] = {}
        hidden: list[str] = []
        for header in wanted:
            if header.secret_key_ref is None:
                headers[header.name] = header.value or ""
                continue
            value = self._secret(namespace, header.secret_key_ref.name, header.secret_key_ref.key)
            headers[header.name] = value
            hidden += [value, *value.split()]
        return headers, tuple(sorted({h for h in hidden if len(h) >= 4}, key=len, reverse=True))

    def _secret(self, namespace: str, name: str, key: str) -> str:
        try:
            secret = self._cluster.get(Ref(*SECRET, namespace, name))
        except Forbidden as error:
            raise EvidenceError(
                f"the operator may not read Secret {name}: add it to the chart's checks.secrets"
            ) from error
        text = ((secret or {}).get("data") or {}).get(key)
        if text is None:
            raise EvidenceError(f"there is no entry {key} in Secret {name}")
        try:
            value = base64.b64decode(text).decode().strip()
        except ValueError as error:
            raise EvidenceError(f"entry {key} of Secret {name} is no text") from error
        if not re.fullmatch(r"[\x20-\x7e]+", value):
            raise EvidenceError(f"entry {key} of Secret {name} cannot be a header")
        return value

    def _asked(self, question: _Question) -> Any:
        """The JSON document that was answered. EvidenceError."""
        try:
            with self._http.stream(
                question.method,
                question.url,
                params=dict(question.params) or None,
                content=question.body or None,
                headers=dict(question.headers),
            ) as answer:
                body = b"".join(_bounded(answer.iter_bytes()))
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise EvidenceError(f"no answer: {type(error).__name__}") from error
        if status != 200:
            raise EvidenceError(f"HTTP {status}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise EvidenceError("the answer is not JSON") from error


def allowed(url: str, hosts: Sequence[str]) -> bool:
    """Whether a URL's host is among those: `host` (any port), `host:port`, `*.suffix` (any port)."""
    parts = urlsplit(url)
    try:
        name, port = (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    if parts.username is not None or not name:
        return False
    return any(
        pattern in (name, f"{name}:{port}") or (pattern.startswith("*.") and name.endswith(pattern[1:]))
        for pattern in map(str.lower, hosts)
    )


def _question(asked: PrometheusCheck | WebCheck, headers: Mapping[str, str]) -> _Question:
    if isinstance(asked, PrometheusCheck):
        url = f"{asked.address.rstrip('/')}/api/v1/query"
        return _Question(url, params={"query": asked.query}, headers=headers)
    body = asked.body if asked.method == "POST" else ""
    kind = {"Content-Type": "application/json"} if body else {}
    return _Question(asked.url, asked.method, body=body, headers={**kind, **headers})


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LIMIT_BYTES:
            raise EvidenceError(f"the answer is longer than {LIMIT_BYTES // 1024} KiB")
        yield chunk


def _vector(document: Any) -> list[float]:
    """The numbers of an instant query's answer: a vector's in its order, a scalar alone. EvidenceError."""
    try:
        data = document["data"]
        if document["status"] != "success":
            raise EvidenceError("Prometheus did not succeed")
        match data["resultType"]:
            case "vector":
                return [float(series["value"][1]) for series in data["result"]]
            case "scalar":
                return [float(data["result"][1])]
            case other:
                raise EvidenceError(
                    f"the query answers a {other}; write one that answers a vector or a scalar"
                )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise EvidenceError("the answer is not that of Prometheus") from error


def _blacked(value: Any, hidden: Sequence[str]) -> Any:
    """The value without what came from a Secret."""
    if isinstance(value, str):
        for secret in hidden:
            value = value.replace(secret, _HIDDEN)
        return value
    if isinstance(value, list):
        return [_blacked(inner, hidden) for inner in value]
    if isinstance(value, dict):
        return {str(_blacked(key, hidden)): _blacked(inner, hidden) for key, inner in value.items()}
    return value
