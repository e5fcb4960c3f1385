"""edgeramp evidence: the counts that a Rollout's status keeps of its last ramp, and the decision made again from them.

Every look is replayed with the operator's own tests; what comes out must be what status says. Nothing is changed, and
with -f nothing is contacted. Exit code 0 when they agree, 3 when they do not, 1 when there is nothing to replay.

    edgeramp evidence digits-vnni -n shop               the looks, the evidence after each, the decision
    edgeramp evidence digits-vnni -o json               the same for your own arithmetic (docs/evidence.md)
    kubectl get ero digits-vnni -o yaml > r.yaml && edgeramp evidence -f r.yaml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from edgeramp.cli import reach, screen
from edgeramp.cli.replay import document, lines, replay
from edgeramp.decide.seen import Object
from edgeramp.effects.kinds import ROLLOUT, Ref
from edgeramp.values.errors import ClusterError, SpecError

DIFFERS = 3


def main(argv: Sequence[str]) -> int:
    """See the module."""
    args = _parser().parse_args(list(argv))
    try:
        found = replay(_rollout(args))
    except (OSError, ClusterError, SpecError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        screen.as_json(document(found)) if args.output == "json" else "\n".join(lines(found)) + "\n"
    )
    return 0 if found.agrees else DIFFERS


def _rollout(args: argparse.Namespace) -> Object:
    """The Rollout asked for. SpecError when there is none."""
    if args.file is not None:
        return _from_file(args.file, args.name)
    if not args.name:
        raise SpecError("NAME", "is missing; write a Rollout's name, or -f FILE")
    space = reach.namespace(args)
    found = reach.connect(args).get(Ref(*ROLLOUT, space, args.name))
    if found is None:
        raise SpecError("NAME", f"there is no Rollout {space}/{args.name}")
    return found


def _from_file(path: Path, name: str | None) -> Object:
    try:
        documents: list[Any] = [d for d in yaml.safe_load_all(path.read_text()) if isinstance(d, dict)]
    except yaml.YAMLError as error:
        raise SpecError(str(path), f"is not YAML: {error}") from error
    listed = [item for d in documents for item in (d.get("items") or [d])]
    rollouts = [d for d in listed if d.get("kind") == "Rollout"]
    found = next((r for r in rollouts if name in (None, r["metadata"]["name"])), None)
    if found is None:
        raise SpecError(str(path), f"has no Rollout{f' {name}' if name else ''}")
    return dict(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeramp evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="of the Rollout")
    parser.add_argument(
        "-f", "--file", type=Path, help="a Rollout as kubectl get -o yaml or -o json prints it"
    )
    reach.add_options(parser)
    return parser
