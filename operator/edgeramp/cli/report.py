"""edgeramp report: what an OptimizationRun tried, with the figures and the reason for every candidate.

kubectl edgeramp report digits-vnni-c2d8f41426
kubectl edgeramp report digits              the present run of each target of an EdgeModel
kubectl edgeramp report digits -o json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from edgeramp.cli import reach, screen
from edgeramp.cli.candidates import Report, drawing, report
from edgeramp.effects.cluster import Cluster, Object
from edgeramp.effects.kinds import EDGEMODEL, OPTIMIZATIONRUN, Ref
from edgeramp.values.errors import ClusterError


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 when there is no such run, or the cluster cannot be asked."""
    args = _parser().parse_args(list(argv))
    space = reach.namespace(args)
    try:
        found = read(reach.connect(args), space, args.name)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not found:
        sys.stderr.write(
            f"there is no OptimizationRun {space}/{args.name}, and no EdgeModel of that name that has one\n"
        )
        return 1
    if args.output == "json":
        sys.stdout.write(screen.as_json({"runs": [r.wire() for r in found]}))
        return 0
    width = screen.width()
    screen.show(Group(*(part for r in found for part in (drawing(r, width), Text("")))))
    return 0


def read(cluster: Cluster, namespace: str, name: str) -> list[Report]:
    """The report on a run, or on the present runs of an EdgeModel; empty when there is neither."""
    run = cluster.get(Ref(*OPTIMIZATIONRUN, namespace, name))
    if run is not None:
        return [report(run)]
    model = cluster.get(Ref(*EDGEMODEL, namespace, name))
    targets = ((model or {}).get("status") or {}).get("targets") or []
    runs = [_get(cluster, namespace, t["run"]) for t in targets if t.get("run")]
    return [report(r) for r in runs if r is not None]


def _get(cluster: Cluster, namespace: str, name: str) -> Object | None:
    return cluster.get(Ref(*OPTIMIZATIONRUN, namespace, name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeramp report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of an OptimizationRun, or of an EdgeModel")
    reach.add_options(parser)
    return parser
