"""edgeramp get: EdgeModels with their targets, runs and Rollouts as a tree; Rollouts of your own below.

kubectl edgeramp get                of the namespace of your context
kubectl edgeramp get digits -n shop one EdgeModel or Rollout
kubectl edgeramp get -A -o json     everything, for scripts
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edgeramp.cli import reach, screen
from edgeramp.cli.tree import Tree, only, table, tree
from edgeramp.effects.cluster import Cluster, Object
from edgeramp.effects.kinds import EDGEMODEL, OPTIMIZATIONRUN, ROLLOUT
from edgeramp.values.errors import ClusterError

Listed = tuple[tuple[Object, ...], tuple[Object, ...], tuple[Object, ...]]


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 when the cluster cannot be asked or has no such object."""
    args = _parser().parse_args(list(argv))
    space = None if args.all_namespaces else reach.namespace(args)
    try:
        found = read(reach.connect(args), space)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    found = only(found, args.name) if args.name else found
    empty = not found.models and not found.rollouts
    if args.output == "json":
        sys.stdout.write(screen.as_json(found.wire()))
    elif not empty:
        screen.show(table(found, space is None, screen.width()))
    if empty:
        what = f"EdgeModel or Rollout {args.name}" if args.name else "EdgeModel or Rollout"
        sys.stderr.write(f"there is no {what} in {f'namespace {space}' if space else 'any namespace'}\n")
    return 1 if empty and args.name else 0


def read(cluster: Cluster, namespace: str | None) -> Tree:
    """The tree of a namespace, or of all with None. ClusterError when it cannot be read."""
    return tree(*listed(cluster, namespace))


def listed(cluster: Cluster, namespace: str | None) -> Listed:
    """EdgeModels, OptimizationRuns and Rollouts of a namespace, or of all with None. ClusterError when they cannot be read."""
    models, runs, rollouts = (cluster.list(k, namespace) for k in (EDGEMODEL, OPTIMIZATIONRUN, ROLLOUT))
    return models, runs, rollouts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeramp get", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="of one EdgeModel, or of a Rollout without one")
    reach.add_options(parser, all_namespaces=True)
    return parser
