"""edgeramp simulate: play a rollout's strategy against a candidate that behaves as you say, with the operator's own
planner and evidence, in seconds. Nothing is contacted.

    edgeramp simulate rollout.yaml --errors 0.2                 one candidate answer in five fails
    edgeramp simulate model.yaml --latency 1.5 --rps 20         half as slow again, 20 requests a second
    edgeramp simulate rollout.yaml --crash-after 60             dies a minute after it became ready
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from edgeramp.api import EdgeModel, RolloutSpec
from edgeramp.cli import reach, screen
from edgeramp.cli.simulation import Behaviour, World, artifact
from edgeramp.decide.evidence import config_from_analysis, forecast
from edgeramp.decide.evidence.forecast import table
from edgeramp.decide.rollout.steps import weights_ahead
from edgeramp.decide.rollout.strategy import steps_of
from edgeramp.values.errors import SpecError
from edgeramp.values.quantities import duration, seconds

Json = dict[str, Any]
_BEFORE = 60.0
_MEDIAN = 0.010


class Played(screen.Shape):
    """How the simulated ramp ended. `outcome` is empty while nothing is decided; `message` is the status's last word.
    Failed requests by revision: A is stable, B the candidate."""

    outcome: str
    message: str
    seconds: float
    failed_requests: dict[str, int]
    story: list[str]


def main(argv: Sequence[str]) -> int:
    """Exit code 0 when the candidate ended promoted, 3 when it did not, 1 when the file is of no use."""
    args = _parser().parse_args(list(argv))
    try:
        spec = rollout_spec(args.file.read_text(), args.target)
        limit = seconds(args.limit)
    except (OSError, SpecError, ValueError) as error:
        sys.stderr.write(f"{args.file}: {error}\n")
        return 1
    world = play(spec, _candidate(args), args.rps, args.stable_errors, args.seed, limit)
    if args.output == "json":
        sys.stdout.write(screen.as_json(played(world).wire()))
    else:
        sys.stdout.write("\n".join([*planned(spec, args.rps), "", *told(world)]) + "\n")
    return 0 if outcome(world) in ("Promoted", "FastPromoted") else 3


def play(
    spec: Json,
    candidate: Behaviour,
    rps: float,
    stable_errors: float = 0.001,
    seed: int = 1,
    limit: float = 3600.0,
) -> World:
    """A world in which A serves, and then B is asked for; run until B's ramp has ended or `limit` seconds passed."""
    behaviours = {"A": Behaviour(errors=stable_errors, latency=_MEDIAN), "B": candidate}
    world = World({**spec, "artifact": artifact("A")}, behaviours, rps=rps, seed=seed)
    world.run(_BEFORE)
    world.set_artifact("B")
    world.run(limit, until=lambda: outcome(world) != "")
    return world.run(35)


def planned(spec: Json, rps: float) -> list[str]:
    """What would be found and when, as far as can be said before: for servers that do not batch, without a history."""
    strategy = RolloutSpec.model_validate(spec).strategy
    if not strategy.analysis.enabled:
        return ["plan: analysis is not enabled, steps go on by time alone"]
    config = config_from_analysis(strategy.analysis, weights_ahead(steps_of(strategy)), batch_limit=1)
    return list(table(forecast(config, rps)))


def outcome(world: World) -> str:
    """How B's ramp ended; "" while it runs."""
    entries: list[Mapping[str, Any]] = world.status.get("history", [])
    return next((str(h["outcome"]) for h in entries if world.name(h["revision"]) == "B"), "")


def played(world: World) -> Played:
    """The same for scripts."""
    return Played(
        outcome=outcome(world),
        message=str(world.status.get("message", "")),
        seconds=round(world.now - world.begun - _BEFORE, 3),
        failed_requests={name: world.failed_by.get(name, 0) for name in ("A", "B")},
        story=list(world.story),
    )


def told(world: World) -> list[str]:
    """The story and its end."""
    ended = outcome(world) or f"undecided ({world.status.get('message', '')})"
    failed = world.failed_by
    return [
        *world.story,
        "",
        f"B: {ended}. Failed requests: A {failed.get('A', 0)}, B {failed.get('B', 0)};"
        f" {duration(world.now - world.begun - _BEFORE)} simulated.",
    ]


def rollout_spec(text: str, target: str | None = None) -> Json:
    """The Rollout spec in a manifest: of the first Rollout, or of an EdgeModel's rollout for one of its targets.
    SpecError when there is neither or it is not valid."""
    try:
        documents = [d for d in yaml.safe_load_all(text) if isinstance(d, dict)]
        found = next((d for d in documents if d.get("kind") in ("Rollout", "EdgeModel")), None)
        if found is None:
            raise SpecError("kind", "write a Rollout, or an EdgeModel with spec.rollout")
        if found["kind"] == "Rollout":
            return RolloutSpec.model_validate(found.get("spec") or {}).wire()
        return _of_model(EdgeModel.model_validate(found), target)
    except yaml.YAMLError as error:
        raise SpecError("file", f"is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(".".join(str(part) for part in first["loc"]), str(first["msg"])) from error


def _of_model(model: EdgeModel, target: str | None) -> Json:
    rollout = model.spec.rollout
    if rollout is None:
        raise SpecError("spec.rollout", "is missing: there is nothing to simulate")
    chosen = next((t for t in model.spec.targets if target in (None, t.name)), None)
    if chosen is None:
        raise SpecError("spec.targets", f"has no target {target}")
    return {
        "artifact": artifact("A"),
        "target": chosen.wire(),
        "server": {"framework": "onnxruntime", "precision": "int8", "modelName": "model"},
        "replicas": rollout.replicas or 1,
        "route": rollout.route.wire(),
        "strategy": rollout.strategy.wire(),
        "progressDeadlineSeconds": rollout.progress_deadline_seconds,
        "abortScaleDownDelaySeconds": rollout.abort_scale_down_delay_seconds,
    }


def _candidate(args: argparse.Namespace) -> Behaviour:
    return Behaviour(
        ready_after=None if args.never_ready else args.ready_after,
        errors=args.errors,
        latency=_MEDIAN * args.latency,
        crash_after=args.crash_after,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeramp simulate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="manifest with a Rollout or an EdgeModel")
    parser.add_argument("--target", help="of an EdgeModel; default: the first")
    parser.add_argument("--rps", type=float, default=50.0, help="requests a second in all (50)")
    parser.add_argument(
        "--errors", type=float, default=0.001, help="share of the candidate's answers that fail (0.001)"
    )
    parser.add_argument("--stable-errors", type=float, default=0.001, help="the same of stable (0.001)")
    parser.add_argument(
        "--latency", type=float, default=1.0, help="candidate's time for a request, stable's being 1 (1.0)"
    )
    parser.add_argument("--crash-after", type=float, help="seconds from ready to a crash of the candidate")
    parser.add_argument(
        "--ready-after", type=float, default=3.0, help="seconds until the candidate is ready (3)"
    )
    parser.add_argument("--never-ready", action="store_true", help="the candidate never becomes ready")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", default="3h", help="simulated time at most (3h)")
    reach.add_output(parser)
    return parser
