"""`edgeramp lineage` goes from what serves back to the source, and says which link is missing."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
from tests.support.world import healthy, spec_of
from tests.unit.optimize.models import ROUTE, played

from edgeramp.cli import lineage, reach, screen
from edgeramp.effects.memory import MemoryCluster
from edgeramp.values.names import API_VERSION

Json = dict[str, Any]


def cluster(**stable: Any) -> MemoryCluster:
    """An EdgeModel whose winner serves; `stable` changes what the Rollout's status says of it."""
    made, found = played(rollout={"route": ROUTE, "replicas": 1}), MemoryCluster()
    package = made.of("OptimizationRun")[0]["status"]["winner"]["packaged"]
    served = {
        "revision": "0123456789",
        "artifact": package["reference"],
        "certificate": package["certificate"],
        "framework": "openvino",
        "precision": "int8",
        **stable,
    }
    (rollout,) = made.of("Rollout")
    rollout |= {"status": {"stable": served, "weight": 100, "phase": "Healthy"}}
    for obj in (*made.of("EdgeModel"), *made.of("OptimizationRun"), rollout):
        kept = {k: obj["metadata"][k] for k in ("name", "namespace", "labels") if k in obj["metadata"]}
        found.put({**obj, "metadata": kept})
    return found


def only_chain(found: MemoryCluster, name: str = "digits") -> lineage.Chain:
    chains = lineage.read(found, "shop", name)
    assert chains is not None
    (chain,) = chains
    return chain


def test_a_whole_chain_leads_to_the_source_by_digests() -> None:
    found = cluster()
    chain = only_chain(found)
    run = found.list(lineage.OPTIMIZATIONRUN)[0]
    model = found.list(lineage.EDGEMODEL)[0]
    assert (chain.role, chain.share, chain.candidate) == ("stable", 100, "ov-ptq-int8")
    assert chain.model == run["spec"]["source"] == model["status"]["staged"]["model"]
    assert chain.source_uri == model["spec"]["source"]["uri"]
    assert set(chain.data) == {"calibration", "selection", "certification"}
    assert chain.artifact.startswith("sha256:") and chain.certificate.startswith("sha256:")
    assert chain.missing == ""
    assert only_chain(found, "digits-vnni") == chain


@pytest.mark.parametrize(("change", "says"), [
    ({"artifact": f"oci://store/x@sha256:{'9' * 64}"}, "no OptimizationRun here has packaged"),
    ({"certificate": f"sha256:{'9' * 64}"}, "but the run has written"),
    ({"allowed": {"reason": "a trial", "approvedBy": "ops"}}, "allowed by ops: a trial"),
])  # fmt: skip
def test_a_missing_link_is_named(change: Json, says: str) -> None:
    assert says in only_chain(cluster(**change)).missing


def test_a_source_that_moved_on_is_said() -> None:
    found = cluster()
    model = found.list(lineage.EDGEMODEL)[0]
    model["status"]["staged"]["model"] = f"sha256:{'8' * 64}"
    where = lineage.Ref(*lineage.EDGEMODEL, "shop", "digits")
    found.replace_status(where, model["metadata"]["resourceVersion"], model["status"])
    chain = only_chain(found)
    assert (chain.source_uri, chain.missing) == ("", "")
    assert "its EdgeModel has another now" in screen.drawn(lineage.drawing(chain), 160)


def test_stable_and_candidate_share_the_requests() -> None:
    world = healthy(spec_of("A", strategy={"steps": [{"setWeight": 20}, {"pause": {}}]}))
    world.set_artifact("B")
    world.run(5)
    rollout = {**world.rollout, "apiVersion": API_VERSION, "kind": "Rollout"}
    assert [(c.role, c.share) for c in lineage.chains(rollout, (), {})] == [("stable", 80), ("candidate", 20)]


def test_the_command_draws_it_and_its_exit_code_says_whether_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = cluster()

    def connect(_: argparse.Namespace) -> MemoryCluster:
        return found

    monkeypatch.setattr(reach, "connect", connect)
    assert lineage.main(["digits", "-n", "shop"]) == 0
    out = capsys.readouterr().out
    order = ["rollout digits-vnni", "artifact", "certificate", "run", "model", "source"]
    assert [out.index(word) for word in order] == sorted(out.index(word) for word in order)
    assert lineage.main(["digits", "-n", "shop", "-o", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["chains"]) == 1
    assert lineage.main(["nothing", "-n", "shop"]) == 1
    found = cluster(artifact=f"oci://store/x@sha256:{'9' * 64}")
    assert lineage.main(["digits", "-n", "shop"]) == lineage.BROKEN
    assert max(map(len, capsys.readouterr().out.splitlines())) <= screen.PIPE_WIDTH
