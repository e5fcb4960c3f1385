"""One Rollout in a small world: decisions are applied as `effects` would, status first, guarded by the resourceVersion it
was decided on, then the actions, then the events. Nothing sleeps: hours pass in milliseconds. `story` has one line per
decision that said or did something; revisions appear in it under the names of their artifacts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from edgeramp.api.rollout import RolloutSpec, RolloutStatus
from edgeramp.cli.simulation.fleet import Behaviour, Fleet, Json, Pod
from edgeramp.decide.decision import Action, Apply, Create, Decision, Delete, Patch
from edgeramp.decide.rollout import plan_rollout, revision_of
from edgeramp.decide.rollout.checks import due
from edgeramp.decide.seen import Admission, Freeze, Measurement, Object, RolloutSeen, Scrape
from edgeramp.render.route import chosen_of, mirror_of, split_of, weight_of
from edgeramp.values import names
from edgeramp.values.errors import Conflict, InvariantBroken
from edgeramp.values.quantities import timestamp
from edgeramp.values.settings import Settings

START = 1_800_000_000.0
SETTINGS = Settings(
    images={"courier": "reg/courier:1", "server-onnxruntime": "reg/ort:1", "server-openvino": "reg/ov:1"}
)


def artifact(name: str) -> str:
    """An artifact reference that is made from a letter: `A` is all a's."""
    return f"oci://store/model@sha256:{name.lower() * 64}"


def letter(reference: str) -> str:
    """The name of an artifact that was made from a letter."""
    return reference[-1].upper()


@dataclass
class World:
    """One Rollout and everything around it."""

    spec: Json
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    rps: float = 50.0
    with_header: float = 0.1
    seed: int = 1
    now: float = START
    gateway: Json | None = field(default_factory=lambda: {"metadata": {"name": "edge"}})
    metrics_up: bool = True
    proxies_up: bool = True
    freeze: Freeze | None = None
    results: dict[str, Callable[[float], Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.version = 1
        self.rollout: Json = {
            "apiVersion": names.API_VERSION, "kind": "Rollout",
            "metadata": {"name": "digits-box", "namespace": "shop", "uid": "u-1", "generation": 1,
                         "resourceVersion": "1", "labels": {names.LABEL_MODEL: "digits"}},
            "spec": copy.deepcopy(self.spec),
        }  # fmt: skip
        self.objects: dict[tuple[str, str], Json] = {}
        self.fleet = Fleet(self.seed, self._behaviour)
        self.names: dict[str, str] = {}
        self.events: list[str] = []
        self.story: list[str] = []
        self.decision: Decision | None = None
        self.begun = self.now
        self.deleted = False
        self._name_revision()

    # What a person does

    def edit(self, **changes: Any) -> None:
        """Change the spec, as kubectl apply would."""
        new = {**self.rollout["spec"], **changes}
        if new != self.rollout["spec"]:
            self.rollout["spec"] = copy.deepcopy(new)
            self.rollout["metadata"]["generation"] += 1
            self._touch(self.rollout)
        self._name_revision()

    def set_artifact(self, name: str) -> None:
        """Ask for another artifact."""
        self.edit(artifact=artifact(name))

    def annotate(self, verb: str, value: str | None = None) -> None:
        """Ask for a verb; by default for the candidate at its present step."""
        if value is None:
            ramp = self.status["ramp"]
            value = f"{ramp['revision']}/{ramp['step'] + 1}"
        meta = self.rollout["metadata"]
        meta["annotations"] = {**meta.get("annotations", {}), f"{names.GROUP}/{verb}": value}
        self._touch(self.rollout)

    def delete(self) -> None:
        """kubectl delete."""
        self.rollout["metadata"]["deletionTimestamp"] = timestamp(self.now)
        self._touch(self.rollout)

    # What can be seen

    @property
    def status(self) -> Json:
        return dict(self.rollout.get("status") or {})

    @property
    def pods(self) -> list[Pod]:
        """All pods there are."""
        return self.fleet.pods

    @property
    def failed_by(self) -> dict[str, int]:
        """Failed requests by artifact."""
        return {self.name(r): n for r, n in self.fleet.failed_by.items()}

    @property
    def phase(self) -> str:
        return str(self.status.get("phase"))

    @property
    def route(self) -> Json | None:
        return self.objects.get(("HTTPRoute", "digits-box"))

    @property
    def preview(self) -> Json | None:
        return self.objects.get(("HTTPRoute", "digits-box-preview"))

    def name(self, revision: str) -> str:
        return self.names.get(revision, revision)

    def revision(self, name: str) -> str:
        return next(r for r, n in self.names.items() if n == name)

    def chosen(self, name: str) -> int:
        """Requests that artifact `name` got by a header so far."""
        return self.fleet.chosen.get(self.revision(name), 0)

    def copied(self, name: str) -> int:
        """Copies of requests that artifact `name` got so far."""
        return self.fleet.copied.get(self.revision(name), 0)

    def weight(self, name: str) -> int:
        """Per cent of the requests that artifact `name` gets by the HTTPRoute."""
        if self.route is None or name not in self.names.values():
            return 0
        return weight_of(split_of(self.route), f"digits-box-{self.revision(name)}")

    def replicas(self, name: str) -> int | None:
        """Replicas asked for, None when there is no Deployment."""
        found = self.objects.get(("Deployment", f"digits-box-{self.revision(name)}"))
        return int(found["spec"]["replicas"]) if found else None

    def condition(self, kind: str) -> tuple[str, str] | None:
        """Status and reason of a condition."""
        return next(
            ((c["status"], c["reason"]) for c in self.status.get("conditions", []) if c["type"] == kind), None
        )

    def answers(self, revision: str) -> bool:
        """Whether a replica of the revision is ready."""
        return bool(self.fleet.answering(revision, self.now))

    def observe(self) -> RolloutSeen:
        """What the operator would see now."""
        self._kubelet()
        with suppress(ValidationError):
            self._name_revision()
        return RolloutSeen(
            now=self.now,
            rollout=copy.deepcopy(self.rollout),
            deployments=self._of_kind("Deployment"),
            services=self._of_kind("Service"),
            pods=self.fleet.served_objects(self.now),
            route=copy.deepcopy(self.route),
            preview=copy.deepcopy(self.preview),
            gateway=self.gateway,
            scrape=self._scrape(),
            history=self._history(),
            admissions=self._admissions(),
            measurements=self._measurements(),
            jobs=self._of_kind("Job"),
            check_pods=self._of_kind("Pod"),
            freeze=self.freeze,
            settings=SETTINGS,
        )

    def _admissions(self) -> dict[str, Admission]:
        """Of what is asked for, and of what the status knows, as the operator looks at them."""
        known = [self.status.get(track) or {} for track in ("stable", "candidate")]
        artifacts = {r["artifact"] for r in (self.rollout["spec"], *known) if r.get("artifact")}
        return {a: self.behaviours.get(letter(a), Behaviour()).admission for a in artifacts}

    def _measurements(self) -> dict[str, Measurement]:
        """What the checks that are due are answered: by `results`, where a string is a problem."""
        try:
            spec, status = (
                RolloutSpec.model_validate(self.rollout["spec"]),
                RolloutStatus.model_validate(self.status),
            )
        except ValidationError:
            return {}
        if status.ramp is None:
            return {}
        found = {
            c.name: self.results[c.name](self.now)
            for c in due(spec, status.ramp, self.now)
            if c.name in self.results
        }
        return {
            name: Measurement(self.now, problem=value)
            if isinstance(value, str)
            else Measurement(self.now, value)
            for name, value in found.items()
        }

    def _of_kind(self, kind: str) -> tuple[Json, ...]:
        return tuple(copy.deepcopy(o) for (k, _), o in sorted(self.objects.items()) if k == kind)

    # What the operator does

    def look(self) -> Decision:
        """One pass: observe, plan, apply."""
        seen = self.observe()
        decision = plan_rollout(seen)
        self.apply(seen, decision)
        return decision

    def apply(self, seen: RolloutSeen, decision: Decision) -> None:
        """As effects would. Conflict when the Rollout has changed since it was seen: the decision is void."""
        meta = self.rollout["metadata"]
        if seen.rollout["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise Conflict("the Rollout has changed")
        before = copy.deepcopy(self.rollout.get("status"))
        status = decision.status.wire()
        if status != before:
            self.rollout["status"] = status
            self._touch(self.rollout)
        did = [text for text in (self._act(a) for a in decision.actions) if text]
        self.events += [e.reason for e in decision.events]
        self.decision = decision
        self._tell(before, decision, did)

    def apply_partly(self, seen: RolloutSeen, actions: int) -> None:
        """The operator dies after the status and so many actions."""
        decision = plan_rollout(seen)
        self.apply(seen, replace(decision, actions=decision.actions[:actions]))

    def weight_now(self) -> int:
        """The candidate's weight by the route, 0 when there is no candidate."""
        candidate = self.status.get("candidate") or {}
        return self.weight(self.name(candidate["revision"])) if candidate else 0

    def settle(self, limit: int = 30) -> None:
        """Look until nothing changes any more at this moment."""
        for _ in range(limit):
            before = self.version
            self.look()
            if self.version == before or self.deleted:
                return
        raise InvariantBroken("does not settle:\n" + "\n".join(self.story[-12:]))

    def run(self, duration: float, until: Callable[[], bool] = lambda: False) -> World:
        """Let `duration` seconds pass, looking whenever the operator would; stop early when `until` holds."""
        end = self.now + duration
        self.settle()
        while self.now < end and not until() and not self.deleted:
            again = self.decision.requeue_after if self.decision else None
            moments = [end, *(self.now + again for again in ([again] if again else []))]
            moments += self.fleet.moments(self.now)
            self._pass(min(moments) - self.now)
            self.settle()
        return self

    # The world's own course

    def _pass(self, seconds: float) -> None:
        self._traffic(seconds)
        self.now += max(seconds, 0.001)
        self._kubelet()

    def _traffic(self, seconds: float) -> None:
        split = split_of(self.route) if self.route else ()
        revisions = {f"digits-box-{r}": r for r in self.names}
        route = self.route or {}
        requests = self.rps * seconds
        if route and any(b.weight for b in split):
            aside = (chosen_of(route), mirror_of(route))
            requests = self.fleet.beside(requests, self.with_header, *aside, revisions, self.now)
        self.fleet.serve(requests, split, revisions, self.now)

    def _kubelet(self) -> None:
        deployments = [o for (kind, _), o in self.objects.items() if kind == "Deployment"]
        replicas = {
            o["metadata"]["labels"][names.LABEL_REVISION]: int(o["spec"]["replicas"]) for o in deployments
        }
        if self.fleet.follow(replicas, self.now):
            self.version += 1

    def _behaviour(self, revision: str) -> Behaviour:
        return self.behaviours.get(self.name(revision), Behaviour())

    def _history(self) -> tuple[Object, ...] | None:
        """A minute of stable alone, read when a ramp has no plan yet."""
        ramp = self.status.get("ramp")
        if not ramp or ramp.get("abortedAt") is not None or self.weight_now() or self.status.get("plan"):
            return None
        return ({"requests": round(5 * self.rps), "errors": 0, "latency": ()},) * 12

    def _scrape(self) -> Scrape | None:
        status = self.status
        ramp = status.get("ramp")
        if not ramp or ramp.get("abortedAt") is not None or self.route is None:
            return None
        if not self.metrics_up:
            return Scrape(at=self.now, problem="connection refused")
        sides = {"stable": (status.get("stable") or {}).get("revision"), "candidate": ramp["revision"]}
        gate = self.fleet.gate.items()
        return Scrape(
            at=self.now,
            gateway={
                t: {"proxy-1": {"total": c.total, "failed": c.failed}} for t, c in gate if self.proxies_up
            },
            pods={t: self.fleet.metrics(r, self.now) for t, r in sides.items() if r},
            batch_limit=1,
        )

    # Applying

    def _act(self, action: Action) -> str:
        match action:
            case Apply(manifest):
                return self._server_side_apply(copy.deepcopy(dict(manifest)))
            case Create(manifest):
                return self._create(copy.deepcopy(dict(manifest)))
            case Delete(_, kind, _, name, _):
                if self.objects.pop((kind, name), None) is not None:
                    self.version += 1
                told = {"Deployment": f"delete {kind} {self._short(name)}", "HTTPRoute": "no preview"}
                return told.get(kind, "")
            case Patch(_, _, _, _, body):
                return self._merge_patch(body)
            case _:
                raise InvariantBroken(f"a Rollout never asks for {action}")

    def _create(self, manifest: Json) -> str:
        key = (manifest["kind"], manifest["metadata"]["name"])
        if key in self.objects:
            return ""
        manifest["metadata"]["creationTimestamp"] = timestamp(self.now)
        self.objects[key] = manifest
        self._touch(manifest)
        return f"create {key[0]}"

    def _server_side_apply(self, manifest: Json) -> str:
        key = (manifest["kind"], manifest["metadata"]["name"])
        have, asked = self.objects.get(key), manifest["metadata"].pop("resourceVersion", None)
        if asked is not None and (have is None or have["metadata"]["resourceVersion"] != asked):
            raise Conflict(f"{key} has changed")
        if key == ("HTTPRoute", "digits-box") and sum(b.weight for b in split_of(manifest)) != 100:
            raise InvariantBroken("weights must sum to 100")
        bare = copy.deepcopy(have) if have else {}
        bare.get("metadata", {}).pop("resourceVersion", None)
        if bare != manifest:
            self.objects[key] = manifest
            self._touch(manifest)
        match key[0]:
            case "HTTPRoute" if key[1] == "digits-box-preview":
                return f"preview {self._short(split_of(manifest)[0].service)}"
            case "HTTPRoute":
                return f"route {self._told_route(manifest)}"
            case "Deployment":
                return f"{self._short(key[1])} x{manifest['spec']['replicas']}"
            case _:
                return ""

    def _told_route(self, route: Json) -> str:
        split = " + ".join(f"{self._short(b.service)} {b.weight}" for b in split_of(route))
        chosen, mirror = chosen_of(route), mirror_of(route)
        headers = " or ".join(map(str, chosen.headers)) or "parked" if chosen else ""
        said = [split, *([f"{headers} -> {self._short(chosen.service)}"] if chosen else [])]
        return ", ".join(
            [*said, *([f"copies {mirror.percent} -> {self._short(mirror.service)}"] if mirror else [])]
        )

    def _merge_patch(self, body: Mapping[str, Any]) -> str:
        meta, change = self.rollout["metadata"], body["metadata"]
        if "finalizers" in change:
            meta["finalizers"] = list(change["finalizers"])
            if meta.get("deletionTimestamp") and not meta["finalizers"]:
                self.deleted = True
                self.objects.clear()
        for key, value in (change.get("annotations") or {}).items():
            annotations = meta.setdefault("annotations", {})
            annotations.pop(key, None)
            if value is not None:
                annotations[key] = value
        self._touch(self.rollout)
        return "released" if self.deleted else ""

    def _touch(self, obj: Json) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)

    # Telling

    def _name_revision(self) -> None:
        spec = RolloutSpec.model_validate(self.rollout["spec"])
        self.names[revision_of(spec).revision] = letter(spec.artifact)

    def _short(self, name: str) -> str:
        return self.name(name.removeprefix("digits-box-"))

    def _tell(self, before: Json | None, decision: Decision, did: list[str]) -> None:
        old, new = before or {}, self.status
        said = new.get("message") if new.get("message") != old.get("message") else ""
        if not did and not decision.events and new.get("phase") == old.get("phase"):
            return
        head = f"{self._clock()} {new.get('phase', ''):<11} {new.get('weight', '-')!s:>3} %"
        line = f"{head}  {said or '…'}" + (f"  [{'; '.join(did)}]" if did else "")
        for revision, name in self.names.items():
            line = line.replace(revision, name)
        self.story.append(line)

    def _clock(self) -> str:
        passed = self.now - START
        return f"{int(passed // 60):3d}:{passed % 60:04.1f}"
