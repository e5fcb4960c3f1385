"""`python -m demo`: the whole way, live, from nothing to a bad revision rolled back by itself.

Exit code 0 only when every expectation was met; they are listed at the end and in demo-report.json.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from demo import acts, kube, paths, report, setup
from demo.acts import Bad, Stage
from demo.follow import Follower
from demo.kube import Kube
from demo.reach import Reach
from demo.report import Report
from demo.screen import Screen
from demo.shell import CommandFailed
from demo.until import TookTooLong
from demo.watching import GatewayCounters, RouteWatch

ENDED = "the demo ran to its end"
FAILING = Bad("act 2: a revision that fails in production", "digits-v2.yaml", failing=True)
EXAMPLES = ("digits",)  # built and published
SLOW = Bad("act 3: a revision that is slow in production", "digits-slow.yaml", failing=False)


@dataclass(frozen=True)
class Options:
    """What a person asked for."""

    skip_cluster: bool
    skip_chart: bool
    targets: tuple[str, ...]
    slow: bool
    keep: bool
    rate: float
    bright: float
    minutes: float
    report: Path


def parse(argv: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description=(__doc__ or "").strip().splitlines()[0]
    )
    parser.add_argument("--skip-cluster", action="store_true", help="the cluster runs and has the images")
    parser.add_argument("--skip-chart", action="store_true", help="the chart is installed too")
    parser.add_argument(
        "--targets",
        default="edge-server,edge-box",
        help="of examples/digits.yaml (default: edge-server,edge-box)",
    )
    parser.add_argument(
        "--slow", action="store_true", help="a third act: a revision that is slow in production"
    )
    parser.add_argument(
        "--keep", action="store_true", help="start on the objects of an earlier run, for act 2 alone"
    )
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second per target (default: 40)")
    parser.add_argument("--bright", type=float, default=0.2, help="share of brightened images (default: 0.2)")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="the longest an act may take (default: 30)"
    )
    parser.add_argument("--report", type=Path, default=paths.REPO / "demo-report.json")
    words = parser.parse_args(argv)
    targets = tuple(t for t in words.targets.split(",") if t)
    return Options(
        words.skip_cluster or words.skip_chart, words.skip_chart, targets, words.slow, words.keep, words.rate,
        words.bright, words.minutes, words.report,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    options, screen = parse(argv), Screen()
    started, clock = time.time(), time.monotonic()
    done, timings = Report(started, setup.is_cold()), setup.Timings()
    done.phases = timings.seconds
    try:
        _perform(options, screen, done, timings)
    except (CommandFailed, TookTooLong, ConnectionError, OSError) as error:
        done.expect(screen, ENDED, False, str(error))
    except KeyboardInterrupt:
        done.expect(screen, ENDED, False, "interrupted")
    spent = time.monotonic() - clock
    screen.phase("What was measured")
    done.show(screen, spent)
    if done.cold:
        beyond = (spent - timings.seconds.get("go builds", 0.0)) / 60
        screen.say(
            f"cold: {spent / 60:.1f} minutes (goal 45), {beyond:.1f} of them beyond the Go builds (goal 20)"
        )
    done.write(options.report, spent)
    (screen.good if done.ok else screen.bad)(
        f"{'all' if done.ok else 'not all'} expectations were met in {spent / 60:.1f} minutes; {options.report}"
    )
    return 0 if done.ok else 1


def _perform(options: Options, screen: Screen, done: Report, timings: setup.Timings) -> None:
    if not options.skip_cluster:
        screen.phase("A cluster on this machine")
        setup.cluster(screen, timings, EXAMPLES)
    client = Kube(paths.kubeconfig())
    done.versions = report.versions(client.server_version())
    if not options.skip_chart:
        screen.phase("edgeramp, by Helm")
        setup.chart(screen, timings)
    ready = sum(
        timings.seconds.get(phase, 0.0) for phase in ("cluster", "chart")
    )  # images may have to be built
    if not (options.skip_cluster or options.skip_chart or done.cold):
        done.expect(screen, "warm, cluster and chart are ready in 2 minutes", ready <= 120, f"{ready:.0f} s")
    screen.phase("A model, its data, and where requests enter")
    folders = setup.examples(screen, timings, EXAMPLES)
    reach = Reach(client)
    try:
        done.published = setup.publish(screen, timings, reach, folders)
        setup.gateway(screen, timings, client)
        _play(options, screen, done, timings, client, reach, folders["digits"])
    finally:
        reach.close()


def _play(
    options: Options,
    screen: Screen,
    done: Report,
    timings: setup.Timings,
    client: Kube,
    reach: Reach,
    digits: Path,
) -> None:
    targets = _placeable(options, screen, done, client)
    follower = Follower(client, screen, paths.MODEL)
    with RouteWatch(client) as routes, GatewayCounters(client, reach.gateway_stats()) as counters:
        stage = Stage(
            screen, client, reach, done, follower, routes, counters, digits / "requests.npz", targets, options.rate,
            options.bright, options.minutes * 60,
        )  # fmt: skip
        try:
            if not options.keep:
                screen.phase("Act 1: a model is assessed, optimized, gated, certified, ramped, promoted")
                with timings.of("act 1"):
                    acts.clean(stage)
                    acts.good_act(stage)
            else:
                follower.forget()
            for number, bad in enumerate([FAILING, SLOW] if options.slow else [FAILING], start=2):
                screen.phase(bad.title.capitalize())
                with timings.of(f"act {number}"):
                    acts.bad_act(stage, bad)
        finally:
            for flow in stage.flows.values():
                flow.stop()


def _placeable(options: Options, screen: Screen, done: Report, client: Kube) -> tuple[str, ...]:
    """The targets that nodes of this cluster match; the others are named, and count as not met."""
    wanted = {t["name"]: t for t in kube.manifest(paths.EXAMPLES / "digits.yaml")["spec"]["targets"]}
    nodes = client.nodes()
    found = []
    for name in options.targets:
        matching = kube.matching(nodes, wanted[name]["nodeSelector"]) if name in wanted else []
        if done.expect(screen, f"{name}: nodes of the cluster match", bool(matching), ", ".join(matching)):
            found.append(name)
    return tuple(found)
