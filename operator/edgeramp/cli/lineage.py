"""edgeramp lineage: from what answers requests back to the source that it was made of, by digests.

    kubectl edgeramp lineage digits           an EdgeModel: every revision that serves or is ramped, on each target
    kubectl edgeramp lineage digits-vnni      one Rollout
    kubectl edgeramp lineage digits -o json

Exit code 0 when every chain is whole, 3 when a link is missing, 1 when there is no such object or the cluster cannot be asked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgeramp.cli import reach, screen
from edgeramp.effects.cluster import Cluster, Object
from edgeramp.effects.kinds import EDGEMODEL, OPTIMIZATIONRUN, ROLLOUT, Ref
from edgeramp.values.errors import ClusterError
from edgeramp.values.names import LABEL_MODEL, label_value

BROKEN = 3


class Chain(screen.Shape):
    """One revision of a Rollout and where it comes from. Digests are whole; empty where nothing is known. `missing` says which
    link is, in words; empty when the chain is whole. `source_uri` is empty where the EdgeModel has gone on to another source, or
    is gone: `model` is the digest of then. `share` is in per cent of the requests."""

    rollout: str
    role: str
    share: int | None
    revision: str
    artifact: str
    certificate: str
    report: str
    key_id: str
    run: str
    candidate: str
    framework: str
    precision: str
    node: str
    model: str
    data: dict[str, str]
    source_uri: str
    missing: str


def main(argv: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="edgeramp lineage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of an EdgeModel, or of a Rollout")
    reach.add_options(parser)
    args = parser.parse_args(list(argv))
    space = reach.namespace(args)
    try:
        found = read(reach.connect(args), space, args.name)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if found is None:
        sys.stderr.write(f"there is no EdgeModel or Rollout {space}/{args.name}\n")
        return 1
    if args.output == "json":
        sys.stdout.write(screen.as_json({"chains": [c.wire() for c in found]}))
    elif found:
        screen.show(Group(*(part for chain in found for part in (drawing(chain), Text("")))))
    else:
        sys.stdout.write("nothing of it serves or is ramped yet\n")
    return BROKEN if any(c.missing for c in found) else 0


def read(cluster: Cluster, namespace: str, name: str) -> list[Chain] | None:
    """The chains of an EdgeModel's Rollouts, or of one Rollout; None when there is neither."""
    model = cluster.get(Ref(*EDGEMODEL, namespace, name))
    if model is not None:
        rollouts = cluster.list(ROLLOUT, namespace, {LABEL_MODEL: label_value(name)})
    else:
        alone = cluster.get(Ref(*ROLLOUT, namespace, name))
        if alone is None:
            return None
        rollouts = (alone,)
    runs = cluster.list(OPTIMIZATIONRUN, namespace)
    models = {str(m["metadata"]["name"]): m for m in cluster.list(EDGEMODEL, namespace)}
    return [chain for rollout in rollouts for chain in chains(rollout, runs, models)]


def chains(rollout: Object, runs: Sequence[Object], models: Mapping[str, Object]) -> Iterator[Chain]:
    """A chain for stable, and one for a candidate that is on its way or was given up."""
    status = rollout.get("status") or {}
    candidate = (status.get("candidate") or {}) if status.get("ramp") else {}
    share = status.get("weight")
    rest = 100 - share if candidate and share is not None else share
    for role, served, weight in (
        ("stable", status.get("stable") or {}, rest),
        ("candidate", candidate, share),
    ):
        if served:
            yield _chain(str(rollout["metadata"]["name"]), role, served, weight, runs, models)


def _chain(
    rollout: str,
    role: str,
    served: Mapping[str, Any],
    share: int | None,
    runs: Sequence[Object],
    models: Mapping[str, Object],
) -> Chain:
    artifact = str(served.get("artifact", "")).rpartition("@")[2]
    found = next(((r, w, p) for r in runs for w, p in _packaged(r) if p.get("artifact") == artifact), None)
    run, winner, package = found or ({}, {}, {})
    spec, model = run.get("spec") or {}, models.get(str((run.get("spec") or {}).get("model", "")), {})
    staged = (model.get("status") or {}).get("staged") or {}
    same = bool(spec) and staged.get("model") == spec.get("source")
    return Chain(
        rollout=rollout,
        role=role,
        share=share,
        revision=str(served.get("revision", "")),
        artifact=artifact,
        certificate=str(served.get("certificate") or ""),
        report=str(package.get("report") or ""),
        key_id=str(package.get("keyId") or ""),
        run=str((run.get("metadata") or {}).get("name", "")),
        candidate=str(winner.get("candidate", "")),
        framework=str(served.get("framework", "")),
        precision=str(served.get("precision", "")),
        node=str((run.get("status") or {}).get("node", "")),
        model=str(spec.get("source", "")),
        data={str(k): str(v) for k, v in (spec.get("data") or {}).items() if v},
        source_uri=str(model["spec"]["source"]["uri"]) if same else "",
        missing=_missing(served, run, package),
    )


def _packaged(run: Object) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """What a run has packaged: the winner's artifact and the baseline's, each with the candidate that it is."""
    status = run.get("status") or {}
    winner, baseline = status.get("winner") or {}, status.get("baseline") or {}
    for candidate in (winner, baseline):
        yield candidate, candidate.get("packaged") or {}
    yield baseline, status.get("baselinePackage") or {}


def _missing(served: Mapping[str, Any], run: Object, package: Mapping[str, Any]) -> str:
    allowed = served.get("allowed")
    if allowed:
        unknown = "" if run else "; no run here made it"
        return f"a certificate: allowed by {allowed.get('approvedBy')}: {allowed.get('reason')}{unknown}"
    if not run:
        return "no OptimizationRun here has packaged this artifact; its report in the store says where it comes from"
    if served.get("certificate") and served["certificate"] != package.get("certificate"):
        return f"admitted by certificate {served['certificate']}, but the run has written {package.get('certificate')}"
    return ""


def drawing(chain: Chain) -> Table:
    """One chain, a link a line, from the requests down to the source."""
    made = screen.plain_table("", "")
    made.show_header = False
    for name, said in _links(chain):
        made.add_row(name, said)
    return made


def _links(chain: Chain) -> Iterator[tuple[str, str]]:
    share = "" if chain.share is None else f", {chain.share} % of the requests"
    yield f"rollout {chain.rollout}", f"{chain.role} {chain.revision}{share}"
    yield "└ artifact", f"{chain.artifact} ({chain.framework} {chain.precision})"
    signed = f" signed by {chain.key_id}" if chain.key_id else ""
    links = {
        "└ certificate": f"{chain.certificate}{signed}" if chain.certificate else "",
        "└ report": chain.report,
        "└ run": f"{chain.run}: {chain.candidate} on {chain.node}" if chain.run else "",
        "└ model": chain.model,
        "└ source": chain.source_uri or ("of before: its EdgeModel has another now" if chain.model else ""),
        **{f"  data {name}": digest for name, digest in chain.data.items()},
        "missing": chain.missing,
    }
    yield from ((name, said) for name, said in links.items() if said)
