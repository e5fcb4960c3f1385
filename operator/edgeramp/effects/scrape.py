"""Reading counters: Envoy's per-backend clusters at the gateway's proxies, and our servers' own metrics and history.

What an Envoy proxy counts for one cluster (found by trying each way to fail on Envoy 1.40): `upstream_rq_completed` has
every answered request, a refused connection, a crash before the answer, no endpoint and a timeout included, all of
which are 5xx too; a request retried counts once, with its last answer; one that the client gave up is not counted. An
answer cut off half-way is a 2xx: it shows only as a connection that the server closed with a request on it, or as a
timeout. A crash shows in both, so the two ways of counting are not added; the larger one is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from edgeramp.decide.evidence.config import DEFAULT_EDGES
from edgeramp.decide.seen import Object, Scrape
from edgeramp.values.errors import EvidenceError
from edgeramp.values.names import TRACK_HEADER

TIMEOUT = httpx.Timeout(1.0, connect=0.5)
HISTORY_TIMEOUT = httpx.Timeout(3.0, connect=0.5)
POD_PORT = 8080
Series = Mapping[str, Any]
T = TypeVar("T")

_COMPLETED = "envoy_cluster_upstream_rq_completed"
_CLASSES = "envoy_cluster_upstream_rq_xx"
_TIMEOUTS = "envoy_cluster_upstream_rq_timeout"
_CUT = "envoy_cluster_upstream_cx_destroy_remote_with_active_rq"


@dataclass(frozen=True)
class Endpoint:
    """A pod to read from: `name` tells the series apart, `started` is when its container began (epoch, 0 unknown)."""

    name: str
    address: str
    started: float = 0.0


@dataclass(frozen=True)
class Order:
    """What to read: proxies with the route's clusters by track (none: no gateway), servers by track."""

    proxies: tuple[Endpoint, ...] = ()
    proxy_port: int = 19001
    clusters: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)


def clusters_of(route: Object) -> dict[str, str]:
    """Envoy cluster name -> track, for the first rule of an HTTPRoute as served: the place of each backend, and the
    track that its header filter names. Empty unless there are two backends with a track each."""
    meta = route["metadata"]
    rules = (route.get("spec") or {}).get("rules") or [{}]
    tracks = [_track(ref) for ref in rules[0].get("backendRefs") or []]
    if len(tracks) != 2 or set(tracks) != {"stable", "candidate"}:
        return {}
    prefix = f"httproute/{meta['namespace']}/{meta['name']}/rule/0/backend"
    return {f"{prefix}/{place}": track for place, track in enumerate(tracks)}


def _track(backend: Mapping[str, Any]) -> str:
    headers = (
        header
        for one in backend.get("filters") or []
        for header in (one.get("requestHeaderModifier") or {}).get("set") or []
    )
    return next((str(h["value"]) for h in headers if h["name"].lower() == TRACK_HEADER), "")


def stats_filter(clusters: Iterable[str]) -> str:
    """The regular expression for Envoy's `filter`: it is matched against names such as cluster.NAME.upstream_rq_5xx."""
    names = "|".join(re.escape(name) for name in sorted(clusters))
    return rf"({names})\.upstream_(rq_(completed|5xx|timeout)|cx_destroy_remote_with_active_rq)$"


def parse_gateway(text: str, clusters: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """One proxy's counters by track; zeros for a cluster that it has not used yet. EvidenceError on nonsense."""
    counts: dict[str, dict[str, float]] = {track: {} for track in clusters.values()}
    for sample, labels, value in _samples(text):
        name = sample.removesuffix("_total")  # the parser adds it to each counter that lacks it
        track = clusters.get(labels.get("envoy_cluster_name", ""))
        if track is None or (name == _CLASSES and labels.get("envoy_response_code_class") != "5"):
            continue
        counts[track][name] = value
    return {track: _requests(have) for track, have in counts.items()}


def _requests(have: Mapping[str, float]) -> dict[str, float]:
    total = have.get(_COMPLETED, 0.0)
    dropped = have.get(_CUT, 0.0) + have.get(_TIMEOUTS, 0.0)
    return {"total": total, "failed": min(total, max(have.get(_CLASSES, 0.0), dropped))}


def parse_server(text: str) -> dict[str, Any]:
    """One server pod's counters of the requests that were split by weight: copies of a mirror and requests that were
    chosen by a header are left out. EvidenceError on nonsense."""
    found: dict[str, Any] = {"requests": 0.0, "errors": 0.0, "executions": 0.0, "execution_errors": 0.0}
    buckets: dict[str, float] = {}
    for name, labels, value in _samples(text):
        if labels.get("live", "true") != "true" or labels.get("routed"):
            continue
        match name:
            case "edgeramp_requests_total":
                found["requests"] += value
                found["errors"] += value if labels.get("outcome") == "server_error" else 0.0
            case "edgeramp_executions_total":
                found["executions"] += value
                found["execution_errors"] += value if labels.get("outcome") == "error" else 0.0
            case "edgeramp_request_duration_seconds_bucket":
                buckets[labels["le"]] = buckets.get(labels["le"], 0.0) + value
            case "edgeramp_process_start_time_seconds":
                found["started"] = value
            case "edgeramp_batch_limit":
                found["batch_limit"] = value
    if not buckets and "started" not in found:
        raise EvidenceError("it has none of the metrics of an edgeramp server")
    return found | {"buckets": buckets}


def _samples(text: str) -> Iterable[tuple[str, Mapping[str, str], float]]:
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise EvidenceError(f"metrics could not be parsed: {error}") from error


class Scraper:
    """Reads all pods of an order at the same time; what does not answer is said in `problem`, never raised."""

    def __init__(self, http: httpx.Client | None = None, threads: int = 16) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._http = http or httpx.Client(timeout=TIMEOUT, limits=limits, trust_env=False)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scrape")

    def scrape(self, order: Order, at: float) -> Scrape:
        """One look at both tracks. `at` is the time of the look, seconds since the epoch."""
        proxies = [(p, self._pool.submit(self._proxy, order, p)) for p in order.proxies if order.clusters]
        servers = [
            (track, server, self._pool.submit(self._server, server))
            for track, all_of in order.servers.items()
            for server in all_of
        ]
        problems: list[str] = []
        gateway: dict[str, dict[str, dict[str, float]]] = {}
        for proxy, future in proxies:
            for track, counts in (_result(future.result, proxy, problems) or {}).items():
                gateway.setdefault(track, {})[proxy.name] = counts
        pods: dict[str, dict[str, Series]] = {}
        limits: list[int] = []
        for track, server, job in servers:
            counted = _result(job.result, server, problems)
            if counted is not None:
                pods.setdefault(track, {})[server.name] = {"started": server.started, **counted}
                limits += (
                    [int(counted["batch_limit"])] if track == "candidate" and "batch_limit" in counted else []
                )
        return Scrape(at, gateway, pods, max(limits, default=None), "; ".join(problems))

    def history(self, servers: Sequence[Endpoint]) -> tuple[Object, ...] | None:
        """Stable's rows of 5 seconds, summed over its pods by time; None when no pod could be asked."""
        answers = [future.result() for future in [self._pool.submit(self._history, s) for s in servers]]
        read = [rows for rows in answers if rows is not None]
        return merged_history(read) if read else None

    def _proxy(self, order: Order, proxy: Endpoint) -> dict[str, dict[str, float]]:
        url = f"http://{_host(proxy.address)}:{order.proxy_port}/stats/prometheus"
        text = self._get(url, {"usedonly": "", "filter": stats_filter(order.clusters)}).text
        return parse_gateway(text, order.clusters)

    def _server(self, server: Endpoint) -> dict[str, Any]:
        return parse_server(self._get(f"http://{_host(server.address)}:{POD_PORT}/metrics").text)

    def _history(self, server: Endpoint) -> list[Object] | None:
        try:
            url = f"http://{_host(server.address)}:{POD_PORT}/edgeramp/history"
            return parse_history(self._get(url, timeout=HISTORY_TIMEOUT).json())
        except (EvidenceError, ValueError):
            return None

    def _get(
        self, url: str, params: Mapping[str, str] | None = None, timeout: httpx.Timeout = TIMEOUT
    ) -> httpx.Response:
        try:
            answer = self._http.get(url, params=params, timeout=timeout)
        except (httpx.HTTPError, OSError) as error:
            raise EvidenceError(f"no answer: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise EvidenceError(f"HTTP {answer.status_code}")
        return answer


def parse_history(body: Any) -> list[Object]:
    """The rows of /edgeramp/history, oldest first: `at` (epoch), `requests`, `errors`, `latency` by bucket of the
    evidence's edges. The server leaves empty buckets out. ValueError when it is something else."""
    try:
        start, interval = float(body["start"]), float(body["interval"])
        return [
            {
                "at": start + place * interval,
                "requests": int(row[0]),
                "errors": int(row[1]),
                "latency": _dense(row[2]),
            }
            for place, row in enumerate(body["rows"])
        ]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not the history of an edgeramp server: {error!r}") from error


def _dense(buckets: Mapping[str, int]) -> tuple[int, ...]:
    counts = [0] * (len(DEFAULT_EDGES) + 1) if buckets else []
    for edge, count in buckets.items():
        counts[min(int(edge), len(DEFAULT_EDGES))] += int(count)
    return tuple(counts)


def merged_history(answers: Sequence[Sequence[Object]]) -> tuple[Object, ...]:
    """Rows of several pods that lie in the same 5 seconds become one: counts and buckets are added."""
    if len(answers) == 1:
        return tuple(answers[0])
    by_time: dict[int, Object] = {}
    for row in (row for rows in answers for row in rows):
        slot = int(row["at"] // 5)
        by_time[slot] = _added(by_time[slot], row) if slot in by_time else row
    return tuple(by_time[slot] for slot in sorted(by_time))


def _added(one: Object, other: Object) -> Object:
    a, b = one["latency"] or (0,) * len(other["latency"]), other["latency"] or (0,) * len(one["latency"])
    counts = {key: one[key] + other[key] for key in ("requests", "errors")}
    return {**one, **counts, "latency": tuple(x + y for x, y in zip(a, b, strict=True))}


def _result(result: Callable[[], T], where: Endpoint, problems: list[str]) -> T | None:
    try:
        return result()
    except EvidenceError as error:
        problems.append(f"{where.name}: {error}")
        return None


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
