"""Looks that run beside the story: the weights in force, and the gateway's own count of answers per track."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx
from kubernetes import client, watch

from demo import paths
from demo.kube import Kube
from edgeramp.effects.scrape import clusters_of, parse_gateway, stats_filter
from edgeramp.values.errors import EvidenceError
from edgeramp.values.names import LABEL_ROLLOUT

COUNTERS_EVERY = 1.0


@dataclass(frozen=True)
class Split:
    """The backends of a route as the API server told of them, when it did (seconds since the epoch)."""

    at: float
    rollout: str
    weights: tuple[tuple[str, int], ...]

    def weight_of(self, revision: str) -> int:
        """Per cent of the requests that the Service of a revision gets, over all places that name it."""
        total = sum(weight for _, weight in self.weights)
        mine = sum(weight for service, weight in self.weights if service.endswith(revision))
        return round(100 * mine / total) if total else 0


class _Beside:
    """A thread that runs `look` again and again until closed; an error of the network is the next look's business."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        raise NotImplementedError


class RouteWatch(_Beside):
    """Every change of the demo's HTTPRoutes, by a watch: precise to a few milliseconds."""

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._api = client.CustomObjectsApi(kube.api)
        self._clock = clock
        self.splits: list[Split] = []

    def of(self, rollout: str) -> list[Split]:
        return [s for s in self.splits if s.rollout == rollout]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch_once()
            except Exception as error:
                if self._stop.wait(0.5):
                    return
                del error

    def _watch_once(self) -> None:
        stream = watch.Watch().stream(
            self._api.list_namespaced_custom_object, "gateway.networking.k8s.io", "v1", paths.NAMESPACE, "httproutes",
            timeout_seconds=5,
        )  # fmt: skip
        for event in stream:
            self._note(event["object"], gone=event["type"] == "DELETED")
            if self._stop.is_set():
                return

    def _note(self, route: dict[str, Any], gone: bool) -> None:
        name = (route["metadata"].get("labels") or {}).get(LABEL_ROLLOUT) or route["metadata"]["name"]
        refs = ((route["spec"].get("rules") or [{}])[0]).get("backendRefs") or []
        weights = () if gone else tuple((str(r["name"]), int(r.get("weight", 1))) for r in refs)
        have = self.of(name)
        if not have or have[-1].weights != weights:
            self.splits.append(Split(self._clock(), name, weights))


@dataclass
class TrackCounts:
    """Requests and failures of one track of one rollout, as the gateway counted them while we looked."""

    total: float = 0.0
    failed: float = 0.0
    last: dict[str, float] = field(default_factory=dict)

    def take(self, now: dict[str, float]) -> None:
        """Add the increments; a counter that fell was reset."""
        for name in ("total", "failed"):
            step = now[name] - self.last.get(name, now[name])
            setattr(self, name, getattr(self, name) + (step if step >= 0 else now[name]))
        self.last = dict(now)


class GatewayCounters(_Beside):
    """Counts answers per rollout and track at the gateway's proxy, each second."""

    def __init__(self, kube: Kube, address: str) -> None:
        super().__init__()
        self._kube = kube
        self._http = httpx.Client(base_url=f"http://{address}", timeout=2.0, trust_env=False)
        self.counts: dict[str, dict[str, TrackCounts]] = {}
        self.misses = 0

    def snapshot(self, rollout: str) -> dict[str, dict[str, int]]:
        """`{track: {total, failed}}` so far."""
        tracks = self.counts.get(rollout, {})
        return {t: {"total": round(c.total), "failed": round(c.failed)} for t, c in sorted(tracks.items())}

    def look(self) -> None:
        """One look at all routes; one that fails is counted as a miss, and the next one has its increments too."""
        try:
            self._look()
        except (httpx.HTTPError, EvidenceError, KeyError, client.exceptions.ApiException):
            self.misses += 1

    def _look(self) -> None:
        names = {r["metadata"]["name"]: r for r in self._kube.routes()}
        clusters: dict[str, tuple[str, str]] = {}
        for name, route in names.items():
            by_place = clusters_of(route) or _alone(route)
            clusters |= {cluster: (name, track) for cluster, track in by_place.items()}
        if not clusters:
            return
        text = self._http.get("/stats/prometheus", params={"filter": stats_filter(clusters)}).text
        for name in {rollout for rollout, _ in clusters.values()}:
            mine = {c: track for c, (rollout, track) in clusters.items() if rollout == name}
            known = name in self.counts
            tracks = self.counts.setdefault(name, {})
            for track, counts in parse_gateway(text, mine).items():
                if track not in tracks:  # born while we look: its first requests count
                    tracks[track] = TrackCounts(last={"total": 0.0, "failed": 0.0} if known else {})
                tracks[track].take(counts)

    def _run(self) -> None:
        while not self._stop.wait(COUNTERS_EVERY):
            self.look()


def _alone(route: dict[str, Any]) -> dict[str, str]:
    meta = route["metadata"]
    return {f"httproute/{meta['namespace']}/{meta['name']}/rule/0/backend/0": "stable"}
