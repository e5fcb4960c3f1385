"""Whole optimizations as stories: time, who, phase, what was said, [what was done]. Read them like prose."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.edgemodel.test_promotion import answer
from tests.unit.optimize.bench import DIGITS, MAGIKA, Bench, Figures
from tests.unit.optimize.models import ROUTE, TARGET, edgemodel, model_status
from tests.unit.optimize.world import AVX2, START, VNNI, World, failed, node

from edgeramp.api.optimizationrun import OptimizationRun
from edgeramp.decide.decision import Action, Apply, Create, Decision, Delete, DropLease, Patch, TakeLease
from edgeramp.values.names import LABEL_CANDIDATE, LABEL_ROLE


class Telling(World):
    """A world that writes down what is said and done."""

    said: dict[str, str]

    def _tell(self, kind: str, name: str, decision: Decision) -> None:
        status: Any = decision.status
        text = f"{status.phase}: {status.message}" if kind == "OptimizationRun" else status.phase
        renewed = status.phase != "Waiting"
        told = (a for a in decision.actions if not (renewed and isinstance(a, TakeLease)))
        deeds = "; ".join(filter(None, map(deed, told)))
        if not hasattr(self, "said"):
            self.said = {}
        if self.said.get(name) == text and not deeds:
            return
        words = "…" if self.said.get(name) == text else text
        self.said[name] = text
        clock = f"{int(self.now - START) // 60:3d}:{int(self.now - START) % 60:02d}"
        line = f"{clock} {name.rpartition('-')[0] or name}  {words}" + (f"  [{deeds}]" if deeds else "")
        self.story.extend(textwrap.wrap(line, 128, subsequent_indent=" " * 10))


def deed(action: Action) -> str:
    """One action in a few words; ConfigMaps go without saying."""
    match action:
        case Create(manifest={"kind": "Job", "metadata": meta}):
            labels = meta["labels"]
            return f"{labels[LABEL_ROLE]} {labels.get(LABEL_CANDIDATE, '')}".strip() + f" #{meta['name'][-1]}"
        case Create(manifest={"kind": "OptimizationRun", "metadata": meta}):
            return f"run {meta['name'].rpartition('-')[0]}"
        case Apply(manifest={"kind": "Rollout", "spec": spec}):
            return f"rollout {spec['server']['framework']} {spec['server']['precision']}"
        case Delete(kind=kind, name=name):
            return f"delete {kind} {name.partition('-')[0]}"
        case TakeLease(name=name):
            return f"take {name}"
        case DropLease(name=name):
            return f"drop {name}"
        case Patch():
            return "clear annotation"
        case _:
            return ""


def table(made: World) -> list[str]:
    """What status says of each candidate in the end."""
    lines = []
    for raw in made.of("OptimizationRun"):
        run = OptimizationRun.model_validate(raw)
        lines.append(
            f"-- {run.spec.target.name}: {run.status.phase}, best FP32 {run.status.best_f32 or 'none'}"
        )
        for row in run.status.candidates:
            verdict = row.verdict.value if row.verdict else row.reason
            mark = "*" if row.pareto else " "
            text = f"{mark} {row.id:25}{row.state:11}{verdict:18}{row.message}"
            lines.extend(textwrap.wrap(text, 128, subsequent_indent=" " * 56, drop_whitespace=True))
        lines += [
            f"  certified {t.candidate} at alpha {t.alpha}: {t.message}" for t in run.status.certification
        ]
        lines += [f"  {s.name}: {s.status}{', ' if s.metric else ''}{s.metric}" for s in run.status.stages]
    lines += ["-- conditions of the EdgeModel"]
    for c in model_status(made)["conditions"]:
        lines.extend(
            textwrap.wrap(
                f"  {c['type']}={c['status']} {c['reason']}: {c.get('message', '')}",
                128,
                subsequent_indent=" " * 6,
            )
        )
    lines += ["-- events", *(line for n, e in made.events for line in event_lines(n, e))]
    return lines


def event_lines(name: str, event: Any) -> list[str]:
    text = f"  {event.type} {event.reason} ({name.rpartition('-')[0] or name}): {event.note}"
    return textwrap.wrap(text, 128, subsequent_indent=" " * 6)


def begin(bench: Bench, *nodes: dict[str, Any], **spec: Any) -> Telling:
    made = Telling(bench, nodes=list(nodes) or [node("box", {VNNI: "true", AVX2: "true"})])
    made.objects["EdgeModel", "digits"] = edgemodel(**spec)
    return made


def everything_passes() -> World:
    """The small CNN: INT8 by PTQ is 2.4x faster than the best FP32 and keeps the accuracy; the baseline serves first."""
    made = begin(Bench(DIGITS), rollout={"route": ROUTE, "start": "Baseline"})
    made.until_idle(patience=30.0)
    for what in ("baseline", "winner"):
        made.story.append(f"          (the Rollout reports its artifact, the {what}, as stable and Ready)")
        answer(made)
        made.until_idle(patience=30.0)
    return made


def no_candidate() -> World:
    """Like magika: plain PTQ ruins it, accuracy control keeps 0.987 at 1.8x, which misses 2x. An honest negative."""
    made = begin(Bench(MAGIKA))
    made.until_idle()
    return made


def inconclusive() -> World:
    """Forty items cannot decide a gate of 95 %: nothing is promoted on a point estimate."""
    unsure = {n: Figures(f.p50, f.retention, wide=0.08, bytes=f.bytes) for n, f in DIGITS.items()}
    made = begin(Bench(unsure, items=40))
    made.until_idle()
    return made


def infeasible() -> World:
    """One candidate runs out of memory twice, one is not supported, one fails once for a moment: the run goes on."""
    made = begin(
        Bench(
            endings={
                ("prepare", "ov-ptq-int8"): [(137, None, "OOMKilled")],
                ("prepare", "ort-dynamic-int8"): [
                    failed(12, "UnsupportedModel", "MatMulInteger: opset 9 is too old")
                ],
                ("measure", "ort-static-int8"): [failed(20, "SourceUnavailable", "connection refused"), None],
            }
        )
    )
    made.until_idle()
    return made


def second_certification() -> World:
    """The first choice fails on data that no search saw; the next one passes at half the alpha."""
    figures = {**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, unseen=0.90, bytes=280_000)}
    made = begin(Bench(figures))
    made.until_idle()
    return made


def shared_machine() -> World:
    """Two targets whose nodes share one machine, and a third that no node matches: one run at a time has the Lease."""
    nodes = (node("n1", {VNNI: "true"}, host="m"), node("n2", {AVX2: "true"}, host="m"))
    targets = [
        TARGET,
        {"name": "plain", "nodeSelector": {AVX2: "true"}},
        {"name": "npu", "nodeSelector": {"example.com/npu": "true"}},
    ]
    made = begin(Bench(DIGITS), *nodes, targets=targets, frameworks=["onnxruntime"])
    made.until_idle()
    return made


def bad_source() -> World:
    """A source with another digest than the one asked for: told at once, corrected by an edit."""
    bench = Bench(endings={("stage", ""): [failed(11, "DigestMismatch", "sha256:b… is not sha256:a…")]})
    made = begin(bench, frameworks=["onnxruntime"])
    made.until_idle()
    bench.endings.clear()
    model = made.objects["EdgeModel", "digits"]
    model["spec"]["source"] = {"uri": "oci://store.example:5000/digits:2"}
    model["metadata"]["generation"] += 1
    made.until_idle()
    return made


STORIES = (
    everything_passes,
    no_candidate,
    inconclusive,
    infeasible,
    second_certification,
    shared_machine,
    bad_source,
)


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
def test_the_story_is_as_told(story: Callable[[], World], golden: Callable[[str, str], None]) -> None:
    made = story()
    text = "\n".join([story.__doc__ or "", "", *made.story, "", *table(made), ""])
    golden(f"optimize_{story.__name__}", text)
