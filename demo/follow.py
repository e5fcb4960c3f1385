"""Following one EdgeModel with all that belongs to it, and telling what changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from demo import story
from demo.kube import Kube, Object, of_model, target_of
from demo.screen import Screen

ENDED_WITHOUT = ("NoCandidate", "Inconclusive", "Failed")
Targets = Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """The model, its runs by name, its rollouts by target, as of one moment."""

    at: float
    model: Object | None
    runs: Mapping[str, Object]
    rollouts: Mapping[str, Object]

    def target(self, name: str) -> Mapping[str, Any]:
        """The model's status line of a target; empty when it has none."""
        lines = ((self.model or {}).get("status") or {}).get("targets") or []
        return next((t for t in lines if t["name"] == name), {})

    def run_of(self, target: str) -> Object | None:
        """The run of the target's present revision."""
        return self.runs.get(str(self.target(target).get("run", "")))

    def rollout(self, target: str) -> Mapping[str, Any]:
        """The status of the target's Rollout; empty when there is none."""
        return (self.rollouts.get(target) or {}).get("status") or {}

    def rollout_name(self, target: str) -> str:
        item = self.rollouts.get(target)
        return str(item["metadata"]["name"]) if item else ""

    @property
    def observed(self) -> bool:
        """Whether the operator has seen the model's present spec."""
        if not self.model:
            return False
        have = (self.model.get("status") or {}).get("observedGeneration")
        return bool(have == self.model["metadata"]["generation"])


@dataclass
class Follower:
    """Looks again and again; each change becomes a line on the screen."""

    kube: Kube
    screen: Screen
    model: str
    clock: Callable[[], float] = time.time
    _last: Look | None = None
    tables: set[str] = field(default_factory=set)

    def look(self) -> Look:
        """One look; tells what is new."""
        now = self._observe()
        self._tell(self._last, now)
        self._last = now
        return now

    def _observe(self) -> Look:
        runs = of_model(self.kube.items("optimizationruns"), self.model)
        rollouts = of_model(self.kube.items("rollouts"), self.model)
        return Look(
            self.clock(),
            self.kube.get("edgemodels", self.model),
            {r["metadata"]["name"]: r for r in runs},
            {target_of(r): r for r in rollouts},
        )

    def forget(self) -> None:
        """What is there now is not news: call before an act that starts on existing objects."""
        self._last = self._observe()
        self.tables = {name for name, run in self._last.runs.items() if _status(run).get("finishedAt")}

    def _tell(self, old: Look | None, new: Look) -> None:
        for line in story.edgemodel_lines(_status(old.model if old else None), _status(new.model)):
            self.screen.say(line.text, line.tone)
        for name, run in sorted(new.runs.items()):
            target, status = target_of(run), _status(run)
            for line in story.run_lines(target, _status(old.runs.get(name) if old else None), status):
                self.screen.say(line.text, line.tone)
            if status.get("finishedAt") and name not in self.tables:
                self.tables.add(name)
                self.screen.table(
                    f"candidates for {target}", story.CANDIDATE_COLUMNS, story.candidate_rows(status)
                )
        for target, rollout in sorted(new.rollouts.items()):
            before = _status(old.rollouts.get(target) if old else None)
            for line in story.rollout_lines(target, before, _status(rollout)):
                self.screen.say(line.text, line.tone)


def _status(item: Object | None) -> Mapping[str, Any]:
    return (item or {}).get("status") or {}


def summary_of(look: Look, targets: Mapping[str, Any] | list[str]) -> str:
    """One line for the moving progress."""
    parts = []
    for name in targets:
        line = look.target(name)
        rollout = look.rollout(name)
        if rollout.get("candidate"):
            parts.append(f"{name}: {rollout.get('weight')} % · {rollout.get('message', '')[:90]}")
        else:
            parts.append(f"{name}: {line.get('phase', 'waiting')} {line.get('message', '')[:80]}")
    return " | ".join(parts)
