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

from edgeramp.cli import reach, screen
from edgeramp.decide.decision import Action, Apply, Create, Decision, Delete, Patch
from edgeramp.decide.seen import Admission, Measurement, Object, Scrape
from edgeramp.effects.cluster import Cluster
from edgeramp.effects.kinds import CONFIGMAP, Ref, plural
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


class Explanation(screen.Shape):
    """What is known about an object, and what a look now would do. `look_again` in seconds, None: at the next change.

    `findings` and `history` are those of a Rollout; each is as in its status."""

    kind: str
    namespace: str
    name: str
    phase: str
    message: str
    next: str
    plan: str
    to_do: str
    findings: list[dict[str, Any]]
    history: list[dict[str, Any]]
    conditions: list[dict[str, Any]]
    actions: list[str]
    because: list[str]
    look_again: float | None


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 when the object is not there or cannot be read."""
    parser = argparse.ArgumentParser(prog="edgeramp explain", description=__doc__)
    parser.add_argument("kind", help="EdgeModel (em), OptimizationRun (eor) or Rollout (ero)")
    parser.add_argument("name")
    reach.add_options(parser)
    parser.add_argument("--operator-namespace", default="edgeramp-system")
    args = parser.parse_args(list(argv))
    kind = kind_of(args.kind)
    if kind is None:
        sys.stderr.write(f"{args.kind} is none of {', '.join([*_PLANS, *_SHORT])}\n")
        return 1
    try:
        space = reach.namespace(args)
        told = explain(reach.connect(args), kind, space, args.name, args.operator_namespace)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if told is None:
        sys.stderr.write(f"there is no {kind} {space}/{args.name}\n")
        return 1
    as_json = args.output == "json"
    sys.stdout.write(screen.as_json(told.wire()) if as_json else "\n".join(described(told)) + "\n")
    return 0


def explain(cluster: Cluster, kind: str, namespace: str, name: str, system: str) -> Explanation | None:
    """What there is to say; None when there is no such object."""
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
    return explained(kind, obj, decision)


def explained(kind: str, obj: Object, decision: Decision) -> Explanation:
    """The object as the decision would leave it, and the decision."""
    meta, status = obj["metadata"], decision.status.wire()
    return Explanation(
        kind=kind,
        namespace=meta["namespace"],
        name=meta["name"],
        phase=status.get("phase") or "",
        message=status.get("message") or "",
        next=status.get("next") or "",
        plan=status.get("plan") or "",
        to_do=to_do(status.get("conditions", [])),
        findings=status.get("findings", []),
        history=status.get("history", []),
        conditions=status.get("conditions", []),
        actions=[_told(action) for action in decision.actions],
        because=list(decision.why),
        look_again=decision.requeue_after,
    )


def to_do(conditions: Sequence[Mapping[str, Any]]) -> str:
    """The remedy for why the object does not go on (Stalled True, else Ready False), empty where there is none."""
    held = [c for c in conditions if (c["type"], c["status"]) in (("Stalled", "True"), ("Ready", "False"))]
    for found in sorted(held, key=lambda c: str(c["type"]), reverse=True):
        entry = reason(str(found["reason"]))
        if entry and entry.remedy:
            return entry.remedy
    return ""


def described(told: Explanation) -> list[str]:
    """The explanation in lines."""
    lines = [f"{told.kind} {told.namespace}/{told.name}: {told.phase or 'no phase yet'}"]
    more = {"next": told.next, "plan": told.plan, "to do": told.to_do}
    lines += [
        f"  {text}"
        for text in (told.message, *(f"{key}: {said}" for key, said in more.items() if said))
        if text
    ]
    lines += _section(
        "evidence", [f"{f['name']}: {f['verdict']}: {f.get('message', '')}" for f in told.findings]
    )
    lines += _section("history", [_outcome(h) for h in told.history])
    lines += _section("conditions", [_condition(c) for c in told.conditions])
    again = (
        f"and look again in {duration(told.look_again)}"
        if told.look_again is not None
        else "and wait for something to happen"
    )
    why = [f"because: {why}" for why in told.because]
    return lines + _section("a look now would", [*(told.actions or ["change nothing"]), *why, again])


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _outcome(entry: Mapping[str, Any]) -> str:
    return f"{entry['finishedAt']} {entry['revision']} {entry['outcome']}: {entry.get('message', '')}"


def _condition(found: Mapping[str, Any]) -> str:
    return f"{found['type']:<12} {found['status']:<8} {found['reason']}: {found.get('message', '')}".rstrip(
        ": "
    )


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


def kind_of(text: str) -> str | None:
    """The kind that people call so."""
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
