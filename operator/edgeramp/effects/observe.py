"""Reading the world once, for one object, into what its plan wants to see. The only place that reads the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from edgeramp.api.checks import Check
from edgeramp.api.rollout import Rollout
from edgeramp.decide.rollout.checks import due
from edgeramp.decide.seen import (
    Admission,
    EdgeModelSeen,
    Freeze,
    Measurement,
    Object,
    RolloutSeen,
    RunSeen,
    Scrape,
)
from edgeramp.effects.admission import AGAIN_AFTER, AWAY_AGAIN_AFTER
from edgeramp.effects.checks import Checker
from edgeramp.effects.cluster import Cluster, Labels
from edgeramp.effects.kinds import (
    CONFIGMAP,
    DEPLOYMENT,
    EDGEMODEL,
    GATEWAY,
    HTTPROUTE,
    JOB,
    LEASE,
    NODE,
    OPTIMIZATIONRUN,
    POD,
    ROLLOUT,
    SERVICE,
    Ref,
)
from edgeramp.effects.ramp_view import history_endpoints, ramp_in, scrape_order
from edgeramp.effects.scrape import Order, Scraper
from edgeramp.effects.shelf import Shelf
from edgeramp.render.check import LABEL_CHECK_OF
from edgeramp.render.route import preview_name
from edgeramp.values.errors import Forbidden
from edgeramp.values.names import (
    CONFIGMAP_FREEZE,
    FIELD_MANAGER,
    LABEL_MANAGED_BY,
    LABEL_MODEL,
    LABEL_ROLE,
    LABEL_ROLLOUT,
    LABEL_RUN,
    label_value,
)
from edgeramp.values.quantities import epoch
from edgeramp.values.settings import Settings

_MEASURE = "edgeramp-measure-"
_READERS = 24
_FREEZE_KEPT_SECONDS = 2.0
_OURS = {LABEL_MANAGED_BY: FIELD_MANAGER}


class Admissions(Protocol):
    """Judges artifacts by their certificates."""

    def admit(self, artifact: str, settings: Settings) -> Admission:
        """Never raises; `admitted` None while the store cannot be asked."""


class Counters(Protocol):
    """Reads metrics of proxies and servers."""

    def scrape(self, order: Order, at: float) -> Scrape: ...

    def history(self, servers: Any) -> tuple[Object, ...] | None: ...


class Checks(Protocol):
    """Asks for the results of checks."""

    def measure(
        self, checks: Sequence[Check], namespace: str, hosts: Sequence[str], clock: Callable[[], float]
    ) -> dict[str, Measurement]: ...


@dataclass(frozen=True)
class Observed:
    """The object as served and the Seen of its kind. `again`: look again after so many seconds, whatever is decided,
    because something outside the cluster could not be read now, and no watch tells when it can be."""

    obj: Object
    seen: EdgeModelSeen | RunSeen | RolloutSeen
    again: float | None = None


@dataclass(frozen=True)
class _Counted:
    """What is read one after the other: counters are asked for by pods and route."""

    pods: tuple[Object, ...]
    route: Object | None
    scrape: Scrape | None = None
    history: tuple[Object, ...] | None = None


@dataclass(frozen=True)
class _Checked:
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    jobs: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()


class Observer:
    """`observe` gives the object as served and the Seen of its kind. ClusterError when the API server does not answer."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Callable[[], Settings],
        admissions: Admissions,
        counters: Counters | None = None,
        clock: Callable[[], float] = time.time,
        shelf: Shelf | None = None,
        checks: Checks | None = None,
    ) -> None:
        self._cluster, self._settings, self._clock = cluster, settings, clock
        self._shelf = shelf or Shelf(seconds=0.0)
        self._freezes = Shelf(seconds=_FREEZE_KEPT_SECONDS if shelf else 0.0)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._admissions, self._counters = admissions, counters or Scraper()
        self._checks = checks or Checker(cluster)

    def observe(self, kind: str, namespace: str, name: str) -> Observed | None:
        """The object and what its plan wants to see; None when the object is gone."""
        look: dict[str, Callable[[str, str], Any]] = {
            "EdgeModel": self.observe_edgemodel,
            "OptimizationRun": self.observe_run,
            "Rollout": self.observe_rollout,
        }
        seen = look[kind](namespace, name)
        if seen is None:
            return None
        return Observed(_subject(seen), seen, _again(seen))

    def observe_edgemodel(self, namespace: str, name: str) -> EdgeModelSeen | None:
        """An EdgeModel, its Jobs, and what it owns."""
        model = self._cluster.get(Ref(*EDGEMODEL, namespace, name))
        if model is None:
            return None
        mine: Labels = {LABEL_MODEL: label_value(name), LABEL_ROLE: ("stage", "assess")}
        jobs, runs, rollouts, nodes = self._together(
            lambda: self._jobs_and_pods(namespace, mine),
            lambda: self._cluster.list(OPTIMIZATIONRUN, namespace),
            lambda: self._cluster.list(ROLLOUT, namespace),
            self._nodes,
        )
        return EdgeModelSeen(
            now=self._clock(),
            model=model,
            jobs=jobs[0],
            pods=jobs[1],
            runs=_owned(runs, model),
            rollouts=_owned(rollouts, model),
            nodes=nodes,
            settings=self._settings(),
        )

    def observe_run(self, namespace: str, name: str) -> RunSeen | None:
        """An OptimizationRun, its Jobs and pods, and the Leases of all measurement hosts."""
        run = self._cluster.get(Ref(*OPTIMIZATIONRUN, namespace, name))
        if run is None:
            return None
        settings = self._settings()
        jobs, nodes, leases, secret_missing = self._together(
            lambda: self._jobs_and_pods(namespace, {LABEL_RUN: label_value(name)}),
            self._nodes,
            lambda: self._cluster.list(LEASE, settings.operator_namespace, _OURS),
            lambda: self._secret_missing(namespace, settings),
        )
        return RunSeen(
            now=self._clock(),
            run=run,
            jobs=jobs[0],
            pods=jobs[1],
            nodes=nodes,
            leases=tuple(lease for lease in leases if lease["metadata"]["name"].startswith(_MEASURE)),
            secret_missing=secret_missing,
            settings=settings,
        )

    def observe_rollout(self, namespace: str, name: str) -> RolloutSeen | None:
        """A Rollout, its servers and route, and its counters where a ramp is being judged."""
        rollout = self._cluster.get(Ref(*ROLLOUT, namespace, name))
        if rollout is None:
            return None
        settings, mine = self._settings(), {LABEL_ROLLOUT: label_value(name)}
        (
            counted,
            preview,
            deployments,
            services,
            gateway,
            rivals,
            nodes,
            admissions,
            checked,
            freeze,
        ) = self._together(
            lambda: self._counted(rollout, settings),
            lambda: self._cluster.get(Ref(*HTTPROUTE, namespace, preview_name(name))),
            lambda: self._cluster.list(DEPLOYMENT, namespace, mine),
            lambda: self._cluster.list(SERVICE, namespace, mine),
            lambda: self._gateway(rollout),
            lambda: self._shelf.get(ROLLOUT, lambda: self._cluster.list(ROLLOUT)),
            self._nodes,
            lambda: self._admitted(rollout, settings),
            lambda: self._checked(rollout, settings),
            lambda: self._freeze(settings),
        )
        return RolloutSeen(
            now=self._clock(),
            rollout=rollout,
            deployments=deployments,
            services=services,
            pods=counted.pods,
            route=counted.route,
            preview=preview,
            gateway=gateway,
            rival=_rival(rollout, rivals),
            nodes=nodes,
            scrape=counted.scrape,
            history=counted.history,
            admissions=admissions,
            measurements=checked.measurements,
            jobs=checked.jobs,
            check_pods=checked.pods,
            freeze=freeze,
            settings=settings,
        )

    def _freeze(self, settings: Settings) -> Freeze | None:
        """The freeze of all ramps, as it was at most two seconds ago."""
        where = Ref(*CONFIGMAP, settings.operator_namespace, CONFIGMAP_FREEZE)
        found = self._freezes.get(CONFIGMAP, lambda: self._one(where))
        return freeze_of(found[0]) if found else None

    def _one(self, ref: Ref) -> tuple[dict[str, Any], ...]:
        found = self._cluster.get(ref)
        return (found,) if found is not None else ()

    def _checked(self, rollout: Object, settings: Settings) -> _Checked:
        """What its checks answer that are due, and their Jobs where it has such checks."""
        if not (rollout["spec"].get("strategy") or {}).get("checks"):
            return _Checked()
        try:
            found = Rollout.model_validate(rollout)
        except ValidationError:  # the plan says so
            return _Checked()
        namespace, ramp = rollout["metadata"]["namespace"], found.status.ramp
        asked = due(found.spec, ramp, self._clock()) if ramp is not None else ()
        measured = self._checks.measure(asked, namespace, settings.check_hosts, self._clock) if asked else {}
        if not any(check.job for check in found.spec.strategy.checks):
            return _Checked(measured)
        mine = {LABEL_CHECK_OF: label_value(rollout["metadata"]["name"])}
        return _Checked(measured, *self._jobs_and_pods(namespace, mine))

    def _together(self, *reads: Callable[[], Any]) -> list[Any]:
        """All reads at the same time: most of a look is waiting for answers. The first error is raised."""
        return [future.result() for future in [self._pool.submit(read) for read in reads]]

    def _nodes(self) -> tuple[Object, ...]:
        return self._shelf.get(NODE, lambda: self._cluster.list(NODE))

    def _jobs_and_pods(self, namespace: str, mine: Labels) -> tuple[tuple[Object, ...], tuple[Object, ...]]:
        """Jobs first: a Job that is done has left its pod behind, so the pods read later know how it ended."""
        jobs = self._cluster.list(JOB, namespace, mine)
        return jobs, self._cluster.list(POD, namespace, mine)

    def _counted(self, rollout: Object, settings: Settings) -> _Counted:
        """Pods and route, then a look at the counters if one is due, with stable's history if it is the first."""
        namespace, name = rollout["metadata"]["namespace"], rollout["metadata"]["name"]
        pods = self._cluster.list(POD, namespace, {LABEL_ROLLOUT: label_value(name)})
        route = self._cluster.get(Ref(*HTTPROUTE, namespace, name))
        ramp = ramp_in(rollout, route, self._clock())
        if ramp.unplanned:
            return _Counted(pods, route, None, self._counters.history(history_endpoints(rollout, pods)))
        if not ramp.due or route is None:
            return _Counted(pods, route)
        proxies = self._proxies(rollout, settings)
        order = scrape_order(rollout, route, pods, proxies, settings.gateway_metrics_port)
        scrape = self._counters.scrape(order, self._clock())
        if proxies and order.clusters and not scrape.gateway and ramp.source_open:
            # The source of the error counts is chosen once, by the first answer: a proxy that is slow to answer must
            # not lead to a ramp that is judged by the pods' own counts.
            scrape = Scrape(scrape.at, problem=scrape.problem)
        history = self._counters.history(history_endpoints(rollout, pods)) if ramp.first else None
        return _Counted(pods, route, scrape, history)

    def _proxies(self, rollout: Object, settings: Settings) -> tuple[Object, ...]:
        ref = rollout["spec"]["route"]["gatewayRef"]
        owner = {
            "gateway.envoyproxy.io/owning-gateway-name": ref["name"],
            "gateway.envoyproxy.io/owning-gateway-namespace": ref.get("namespace")
            or rollout["metadata"]["namespace"],
        }
        return self._cluster.list(POD, settings.gateway_namespace, owner)

    def _gateway(self, rollout: Object) -> Object | None:
        ref = rollout["spec"]["route"]["gatewayRef"]
        namespace = ref.get("namespace") or rollout["metadata"]["namespace"]
        return self._cluster.get(Ref(*GATEWAY, namespace, ref["name"]))

    def _admitted(self, rollout: Object, settings: Settings) -> dict[str, Admission]:
        status = rollout.get("status") or {}
        revisions = [rollout["spec"], status.get("stable") or {}, status.get("candidate") or {}]
        artifacts = {r["artifact"] for r in revisions if r.get("artifact")}
        return {artifact: self._admissions.admit(artifact, settings) for artifact in sorted(artifacts)}

    def _secret_missing(self, namespace: str, settings: Settings) -> bool:
        """The operator may not read Secrets; a ConfigMap of the same name says that there is one."""
        try:
            return self._cluster.get(Ref(*CONFIGMAP, namespace, settings.signing_secret)) is None
        except Forbidden:
            return False


def freeze_of(found: Object) -> Freeze:
    """What the ConfigMap says: `reason`, and `until` (RFC 3339). Without an end that can be read it holds until deleted."""
    data = found.get("data") or {}
    reason, until = data.get("reason") or "no reason was written", data.get("until")
    try:
        return Freeze(reason, epoch(until) if until else None)
    except ValueError:
        return Freeze(f"{reason} (until {until} cannot be read; write it as 2026-12-01T06:00:00Z)")


def _again(seen: EdgeModelSeen | RunSeen | RolloutSeen) -> float | None:
    """Soon when the store did not answer, later when it had no certificate: one may be pushed."""
    if not isinstance(seen, RolloutSeen):
        return None
    admitted = {admission.admitted for admission in seen.admissions.values()}
    return AWAY_AGAIN_AFTER + 1 if None in admitted else AGAIN_AFTER * 3 if False in admitted else None


def _subject(seen: EdgeModelSeen | RunSeen | RolloutSeen) -> Object:
    match seen:
        case EdgeModelSeen():
            return seen.model
        case RunSeen():
            return seen.run
        case RolloutSeen():
            return seen.rollout


def _owned(objects: tuple[Object, ...], owner: Object) -> tuple[Object, ...]:
    uid = owner["metadata"]["uid"]
    return tuple(
        o for o in objects if any(r["uid"] == uid for r in o["metadata"].get("ownerReferences") or [])
    )


def _rival(rollout: Object, others: tuple[Object, ...]) -> str:
    """The Rollout that had one of this one's host names on this path and gateway before it; "" when none."""
    claims = _claims(rollout)
    before = (other for other in others if _age(other) < _age(rollout) and _claims(other) & claims)
    first = min(before, key=_age, default=None)
    return f"{first['metadata']['namespace']}/{first['metadata']['name']}" if first else ""


def _claims(rollout: Object) -> frozenset[tuple[str, str, str, str]]:
    """Gateway, host name and path: what two Rollouts cannot both have."""
    route = rollout["spec"]["route"]
    ref = route["gatewayRef"]
    gateway = (ref.get("namespace") or rollout["metadata"]["namespace"], ref["name"])
    swap = (rollout["spec"].get("strategy") or {}).get("blueGreen") or {}
    hosts = (*route["hostnames"], *(swap.get("previewHostnames") or ()))
    return frozenset((*gateway, host, route.get("path", "/")) for host in hosts)


def _age(rollout: Object) -> tuple[str, str]:
    meta = rollout["metadata"]
    return meta["creationTimestamp"], meta["uid"]
