"""What is seen, on the in-memory cluster."""

from __future__ import annotations

from typing import Any

from tests.support.objects import edgemodel, rollout

from edgeramp.api.rollout import Route
from edgeramp.decide.seen import Admission, EdgeModelSeen, Freeze, RolloutSeen, RunSeen, Scrape
from edgeramp.effects.kinds import NODE, ROLLOUT, Ref
from edgeramp.effects.memory import MemoryCluster
from edgeramp.effects.observe import Observer
from edgeramp.effects.scrape import Order
from edgeramp.effects.shelf import Shelf
from edgeramp.render.route import http_route, split_between
from edgeramp.render.server import RolloutRef
from edgeramp.values.quantities import epoch
from edgeramp.values.settings import Settings

PROXY = {
    "gateway.envoyproxy.io/owning-gateway-name": "edge",
    "gateway.envoyproxy.io/owning-gateway-namespace": "default",
}


class Certified:
    """Everything is certified."""

    verdict: bool | None = True

    def admit(self, artifact: str, settings: Settings) -> Admission:
        return Admission(self.verdict, "Certified", artifact)


class Meters:
    """Remembers what was asked; `answers` says whether proxies do."""

    def __init__(self, answers: bool = True) -> None:
        self.orders: list[Order] = []
        self.answers = answers

    def scrape(self, order: Order, at: float) -> Scrape:
        self.orders.append(order)
        gateway = {"candidate": {"p": {"total": 1.0, "failed": 0.0}}} if self.answers else {}
        return Scrape(
            at,
            gateway,
            {"candidate": {"c": {"requests": 1.0}}},
            problem="" if self.answers else "p: no answer",
        )

    def history(self, servers: Any) -> tuple[Any, ...]:
        return ({"requests": len(servers)},)


def _observer(cluster: MemoryCluster, meters: Meters | None = None, shelf: Shelf | None = None) -> Observer:
    return Observer(cluster, Settings, Certified(), meters or Meters(), clock=lambda: 500.0, shelf=shelf)


def _pod(name: str, namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    status = {"podIP": "10.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]}
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": status}


def _ramping(cluster: MemoryCluster, **facts: Any) -> None:
    made = cluster.put(rollout("r") | {"status": {
        "stable": {"revision": "s"}, "candidate": {"revision": "c"}, "weight": 25,
        "ramp": {"lastScrapeAt": None, "evidence": "", "requestSource": None, **facts}}})  # fmt: skip
    route = Route.model_validate(made["spec"]["route"])
    cluster.put(
        http_route(RolloutRef("default", "r", made["metadata"]["uid"]), route, split_between("s", "c", 25))
    )
    cluster.put(_pod("proxy", "envoy-gateway-system", PROXY))
    for revision in ("s", "c"):
        labels = {"edgeramp.dev/rollout": "r", "edgeramp.dev/revision": revision}
        cluster.put(_pod(f"r-{revision}", "default", labels))


def _rollout_seen(observer: Observer, name: str = "r") -> RolloutSeen:
    found = observer.observe("Rollout", "default", name)
    assert found is not None and isinstance(found.seen, RolloutSeen)
    return found.seen


def test_what_is_gone_is_none() -> None:
    for kind in ("EdgeModel", "OptimizationRun", "Rollout"):
        assert _observer(MemoryCluster()).observe(kind, "default", "x") is None


def test_a_model_sees_what_it_owns_and_its_own_jobs() -> None:
    cluster = MemoryCluster()
    model = cluster.put(edgemodel("m"))
    owner = {
        "apiVersion": "edgeramp.dev/v1alpha1",
        "kind": "EdgeModel",
        "name": "m",
        "uid": model["metadata"]["uid"],
    }
    owned = rollout("mine")
    owned["metadata"]["ownerReferences"] = [owner]
    cluster.put(owned)
    cluster.put(rollout("other"))
    for role in ("stage", "measure"):
        labels = {"edgeramp.dev/model": "m", "edgeramp.dev/role": role}
        meta = {"name": role, "namespace": "default", "labels": labels}
        cluster.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta})
    found = _observer(cluster).observe("EdgeModel", "default", "m")
    assert found is not None and isinstance(found.seen, EdgeModelSeen)
    assert [r["metadata"]["name"] for r in found.seen.rollouts] == ["mine"]
    assert [j["metadata"]["name"] for j in found.seen.jobs] == ["stage"]
    assert found.obj == found.seen.model


def test_a_run_sees_the_measurement_leases_and_whether_a_signing_key_is_there() -> None:
    cluster = MemoryCluster()
    cluster.put({"apiVersion": "edgeramp.dev/v1alpha1", "kind": "OptimizationRun",
                 "metadata": {"name": "o", "namespace": "default"}, "spec": {}})  # fmt: skip
    cluster.take_lease("edgeramp-measure-a", "somebody", 30)
    cluster.take_lease("edgeramp-operator", "me", 30)
    found = _observer(cluster).observe("OptimizationRun", "default", "o")
    assert found is not None and isinstance(found.seen, RunSeen)
    assert [lease["metadata"]["name"] for lease in found.seen.leases] == ["edgeramp-measure-a"]
    assert found.seen.secret_missing


def test_the_first_look_at_a_ramp_reads_counters_and_history() -> None:
    cluster, meters = MemoryCluster(), Meters()
    _ramping(cluster)
    seen = _rollout_seen(_observer(cluster, meters))
    assert seen.scrape is not None and seen.scrape.gateway and seen.scrape.at == 500.0
    assert seen.history == ({"requests": 1},)
    (order,) = meters.orders
    assert [e.name for e in order.proxies] == ["proxy"]
    assert {track: [e.name for e in found] for track, found in order.servers.items()} == {
        "stable": ["r-s"], "candidate": ["r-c"],
    }  # fmt: skip


def test_before_traffic_moves_only_the_history_is_read() -> None:
    cluster, meters = MemoryCluster(), Meters()
    _ramping(cluster)
    cluster.delete(Ref("gateway.networking.k8s.io/v1", "HTTPRoute", "default", "r"))
    seen = _rollout_seen(_observer(cluster, meters))
    assert (seen.scrape, seen.history, meters.orders) == (None, ({"requests": 1},), [])


def test_a_look_before_its_time_reads_no_counters() -> None:
    cluster, meters = MemoryCluster(), Meters()
    _ramping(cluster, lastScrapeAt=499.0, evidence="{}")
    seen = _rollout_seen(_observer(cluster, meters))
    assert (seen.scrape, seen.history, meters.orders) == (None, None, [])


def test_a_silent_gateway_does_not_settle_the_source_of_the_counts() -> None:
    cluster = MemoryCluster()
    _ramping(cluster)
    scrape = _rollout_seen(_observer(cluster, Meters(answers=False))).scrape
    assert scrape is not None
    assert (dict(scrape.gateway), dict(scrape.pods), scrape.problem) == ({}, {}, "p: no answer")


def test_a_silent_gateway_later_leaves_the_pods_counters() -> None:
    cluster = MemoryCluster()
    _ramping(cluster, requestSource="gateway", evidence="{}")
    scrape = _rollout_seen(_observer(cluster, Meters(answers=False))).scrape
    assert scrape is not None and scrape.pods and not scrape.gateway


def test_only_the_younger_of_two_rivals_sees_the_other() -> None:
    clock = [1000.0]
    cluster = MemoryCluster(clock=lambda: clock[0])
    for name, hosts in {
        "old": ["a.example"],
        "young": ["b.example", "a.example"],
        "apart": ["c.example"],
    }.items():
        clock[0] += 10
        route = {"gatewayRef": {"name": "edge"}, "hostnames": hosts, "path": "/"}
        cluster.put(rollout(name, route=route))
    observer = _observer(cluster)
    assert [_rollout_seen(observer, n).rival for n in ("old", "young", "apart")] == ["", "default/old", ""]


def test_an_unread_certificate_is_looked_at_again_soon() -> None:
    cluster, observer = MemoryCluster(), None
    cluster.put(rollout("r"))
    admissions = Certified()
    admissions.verdict = None
    observer = Observer(cluster, Settings, admissions, Meters())
    found = observer.observe("Rollout", "default", "r")
    assert found is not None and found.again is not None and found.again <= 5


def test_nodes_are_kept_until_a_watch_says_that_they_changed() -> None:
    cluster, shelf = MemoryCluster(), Shelf()
    cluster.put(rollout("r"))
    observer = _observer(cluster, shelf=shelf)
    assert _rollout_seen(observer).nodes == ()
    cluster.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    assert _rollout_seen(observer).nodes == ()
    shelf.drop(NODE)
    assert len(_rollout_seen(observer).nodes) == 1


def test_a_list_read_while_it_changed_is_not_kept() -> None:
    shelf, lists = Shelf(), iter([({"n": 1},), ({"n": 2},)])

    def load() -> tuple[Any, ...]:
        shelf.drop(NODE)
        return next(lists)

    assert shelf.get(NODE, load) == ({"n": 1},)
    assert shelf.get(NODE, lambda: next(lists)) == ({"n": 2},)


def test_the_rollout_itself_is_read_anew_each_time() -> None:
    cluster = MemoryCluster()
    cluster.put(rollout("r"))
    observer = _observer(cluster, shelf=Shelf())
    before = _rollout_seen(observer).rollout
    cluster.patch(Ref(*ROLLOUT, "default", "r"), {"spec": {"paused": True}})
    assert _rollout_seen(observer).rollout != before


def test_the_freeze_of_all_ramps_is_seen_with_its_reason_and_end() -> None:
    cluster = MemoryCluster()
    cluster.create(rollout("r"))
    assert _freeze(cluster) is None
    _write_freeze(cluster, reason="Black Friday", until="2026-12-01T06:00:00Z")
    assert _freeze(cluster) == Freeze("Black Friday", epoch("2026-12-01T06:00:00Z"))
    _write_freeze(cluster, until="Tuesday")
    found = _freeze(cluster)
    assert found is not None and found.until is None
    assert "Tuesday cannot be read" in found.reason


def _write_freeze(cluster: MemoryCluster, **data: str) -> None:
    name = {"name": "edgeramp-freeze", "namespace": Settings().operator_namespace}
    cluster.delete(Ref("v1", "ConfigMap", name["namespace"], name["name"]))
    assert cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data})


def _freeze(cluster: MemoryCluster) -> Freeze | None:
    found = _observer(cluster).observe("Rollout", "default", "r")
    assert found is not None and isinstance(found.seen, RolloutSeen)
    return found.seen.freeze
