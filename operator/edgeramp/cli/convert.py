"""edgeramp convert: an Argo Rollout's manifest as one of ours, with a list of what has no counterpart.

    edgeramp convert argo.yaml --artifact oci://…@sha256:… --framework onnxruntime --gateway edge --hostname shop.example
    kubectl get rollouts.argoproj.io shop -o yaml | edgeramp convert -

The manifest goes to standard output, the list to standard error. Exit code 0: complete. 3: something is left to fill in.
1: not an Argo Rollout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from edgeramp.cli.argo import Converted, Given, NotAnArgoRollout, convert

_TONES = {"Needed": "red", "Lost": "yellow", "Changed": ""}


def main(argv: Sequence[str]) -> int:
    """See the module."""
    args = _parser().parse_args(list(argv))
    given = Given(args.artifact, args.framework, args.precision, args.gateway, args.hostname)
    try:
        text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text()
        documents = [d for d in yaml.safe_load_all(text) if isinstance(d, dict)]
        rollouts = [d for d in documents if d.get("kind") == "Rollout"] or documents[:1]
        found = [convert(d, given) for d in rollouts]
    except (OSError, yaml.YAMLError, NotAnArgoRollout) as error:
        sys.stderr.write(f"{args.file}: {error}\n")
        return 1
    if not found:
        sys.stderr.write(f"{args.file}: there is no manifest in it\n")
        return 1
    sys.stdout.write(yaml.safe_dump_all([c.manifest for c in found], sort_keys=False))
    for one in found:
        _tell(one)
    return 0 if all(c.complete for c in found) else 3


def _tell(converted: Converted) -> None:
    table = Table(
        "field", "", "what becomes of it", title=f"{converted.manifest['metadata'].get('name', '')}"
    )
    order = {"Needed": 0, "Lost": 1, "Changed": 2}
    for note in sorted(converted.notes, key=lambda n: order[n.kind]):
        table.add_row(note.path, note.kind, note.text, style=_TONES[note.kind])
    Console(stderr=True).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgeramp convert", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("file", help="the manifest of an Argo Rollout; - reads standard input")
    parser.add_argument("--artifact", help="the model, by digest: oci://HOST/REPOSITORY@sha256:…")
    parser.add_argument("--framework", help="which server executes it, such as onnxruntime")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--gateway", help="name of the Gateway of the Gateway API")
    parser.add_argument("--hostname", help="host name of the requests")
    return parser
