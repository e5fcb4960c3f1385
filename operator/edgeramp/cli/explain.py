"""edgeramp explain: what the operator would decide for an object if it looked now, and why. Nothing is changed.

Reads the cluster with your own rights. Counters are not asked and the store is not either: evidence and admission are
taken as the status has them."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from edgeramp.decide.decision import Action, Apply, Create, Decision, Delete, Patch
from edgeramp.decide.seen import Admission, Measurement, Object, Scrape
from edgeramp.effects.cluster import Cluster
from edgeramp.effects.kinds import CONFIGMAP, Ref, plural
from edgeramp.effects.live import LiveCluster, configuration
from edgeramp.effects.observe import Observer
from edgeramp.values.errors import ClusterError
from edgeramp.values.names import API_VERSION
from edgeramp.values.quantities import duration
from edgeramp.values.reasons import reason
from edgeramp.values.settings import Settings

_PLANS = {
    "EdgeModel": ("edgeramp.decide.edgemodel", "plan_edgemodel"),
    "OptimizationRun": ("edgeramp.decide.optimize", "plan_run"),
    "Rollout": ("edgeramp.decide.rollout", "plan_rollout"),
}
_SHORT = {"em": "EdgeModel", "eor": "OptimizationRun", "ero": "Rollout"}


class _AsRecorded:
    """Admission as the object's own condition has it: the store is not asked from here."""

    def __init__(self, obj: Object) -> None:
        conditions = (obj.get("status") or {}).get("conditions") or []
        found: Mapping[str, Any] = next((c for c in conditions if c.get("type") == "Admitted"), {})
        state = {"True": True, "False": False}.get(str(found.get("status")))
        self._found = Admission(state, str(found.get("reason", "")), str(found.get("message", "")))

    def admit(self, artifact: str, settings: Settings) -> Admission:  # noqa: ARG002
        """See observe.Admissions."""
        return self._found


class _NoCounters:
    """Judges by the evidence that is recorded."""

    def scrape(self, order: object, at: float) -> Scrape:  # noqa: ARG002
        """Nothing is counted."""
        return Scrape(at=0.0)

    def history(self, servers: object) -> tuple[Object, ...] | None:  # noqa: ARG002
        """Nothing is read."""
        return None


class _NoChecks:
    """Asks nobody: checks stand as they are recorded."""

    def measure(self, *_: object) -> dict[str, Measurement]:
        """Nothing is measured."""
        return {}


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 when the object is not there or cannot be read."""
    parser = argparse.ArgumentParser(prog="edgeramp explain", description=__doc__)
    parser.add_argument("kind", help="EdgeModel (em), OptimizationRun (eor) or Rollout (ero)")
    parser.add_argument("name")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--context")
    parser.add_argument("--operator-namespace", default="edgeramp-system")
    args = parser.parse_args(list(argv))
    kind = _kind(args.kind)
    if kind is None:
        sys.stderr.write(f"{args.kind} is none of {', '.join([*_PLANS, *_SHORT])}\n")
        return 1
    try:
        cluster = LiveCluster(configuration(args.kubeconfig, args.context))
        lines = explain(cluster, kind, args.namespace, args.name, args.operator_namespace)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if lines is None:
        sys.stderr.write(f"there is no {kind} {args.namespace}/{args.name}\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def explain(cluster: Cluster, kind: str, namespace: str, name: str, system: str) -> list[str] | None:
    """The explanation as lines; None when there is no such object."""
    obj = cluster.get(Ref(API_VERSION, kind, namespace, name))
    if obj is None:
        return None
    settings = _settings(cluster, system)
    observer = Observer(cluster, lambda: settings, _AsRecorded(obj), _NoCounters(), checks=_NoChecks())
    seen = observer.observe(kind, namespace, name)
    if seen is None:
        return None
    module, function = _PLANS[kind]
    decision: Decision = getattr(importlib.import_module(module), function)(seen.seen)
    return described(kind, obj, decision)


def described(kind: str, obj: Object, decision: Decision) -> list[str]:
    """What is known and what would follow, in lines."""
    meta, status = obj["metadata"], decision.status.wire()
    lines = [f"{kind} {meta['namespace']}/{meta['name']}: {status.get('phase') or 'no phase yet'}"]
    lines += [f"  {status[key]}" for key in ("message",) if status.get(key)]
    lines += [f"  {key}: {status[key]}" for key in ("next", "plan") if status.get(key)]
    lines += to_do(status.get("conditions", []))
    lines += _findings(status)
    lines += ["", "conditions"]
    lines += [
        f"  {c['type']:<12} {c['status']:<8} {c['reason']}: {c.get('message', '')}".rstrip(": ")
        for c in status.get("conditions", [])
    ]
    lines += ["", "a look now would"]
    lines += [f"  {_told(action)}" for action in decision.actions] or ["  change nothing"]
    lines += [f"  because: {why}" for why in decision.why]
    again = decision.requeue_after
    lines += [
        f"  and look again in {duration(again)}"
        if again is not None
        else "  and wait for something to happen"
    ]
    return lines


def to_do(conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """The remedy for why the object does not go on (Stalled True, else Ready False), as at most one line."""
    held = [c for c in conditions if (c["type"], c["status"]) in (("Stalled", "True"), ("Ready", "False"))]
    for found in sorted(held, key=lambda c: str(c["type"]), reverse=True):
        entry = reason(str(found["reason"]))
        if entry and entry.remedy:
            return [f"  to do: {entry.remedy}"]
    return []


def _findings(status: Mapping[str, Any]) -> list[str]:
    lines = [f"  {f['name']}: {f['verdict']}: {f.get('message', '')}" for f in status.get("findings", [])]
    history = [
        f"  {h['finishedAt']} {h['revision']} {h['outcome']}: {h.get('message', '')}"
        for h in status.get("history", [])
    ]
    return (["", "evidence", *lines] if lines else []) + (["", "history", *history] if history else [])


def _told(action: Action) -> str:
    match action:
        case Apply(manifest):
            return f"apply {manifest['kind']} {manifest['metadata']['name']}{_weights(manifest)}"
        case Create(manifest):
            return f"create {manifest['kind']} {manifest['metadata']['name']}"
        case Delete(_, kind, _, name, _):
            return f"delete {kind} {name}"
        case Patch(_, kind, _, name, body):
            return f"patch {kind} {name}: {json.dumps(body)}"
        case _:
            return str(action)


def _weights(manifest: Mapping[str, Any]) -> str:
    rules = manifest.get("spec", {}).get("rules") or [{}]
    refs = rules[0].get("backendRefs") or []
    return ": " + ", ".join(f"{r['name']} {r.get('weight')} %" for r in refs) if refs else ""


def _kind(text: str) -> str | None:
    by_name = {kind.lower(): kind for kind in _PLANS} | _SHORT
    by_name |= {plural((API_VERSION, kind)): kind for kind in _PLANS}
    return by_name.get(text.lower())


def _settings(cluster: Cluster, namespace: str) -> Settings:
    """What matters of the operator's settings, from its ConfigMap; where it cannot be read, images are left open."""
    try:
        found = cluster.get(Ref(*CONFIGMAP, namespace, "edgeramp-settings")) or {}
    except ClusterError:
        found = {}
    data = found.get("data") or {}
    images = json.loads(data.get("EDGERAMP_IMAGES") or "{}")
    host = data.get("EDGERAMP_STORE_HOST") or Settings().store_host
    plain = data.get("EDGERAMP_STORE_PLAIN_HTTP", "true") == "true"
    return Settings(images=images, operator_namespace=namespace, store_host=host, store_plain_http=plain)
