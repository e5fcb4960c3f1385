"""The real API server takes our CRDs, fills in the same defaults as pydantic, and refuses bad input with a clear word."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.support.apiserver import REPO, TOKEN, ApiServer

from edgeramp.api import crd
from edgeramp.values.names import API_VERSION

pytestmark = pytest.mark.apiserver

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad_manifests").glob("*.yaml"))
EXAMPLES = sorted((REPO / "examples").rglob("*.yaml"))
REFUSED = [path for path in EXAMPLES if path.read_text(encoding="utf-8").startswith("# Refused at apply")]
GOOD = sorted((HERE / "good_manifests").glob("*.yaml")) + [path for path in EXAMPLES if path not in REFUSED]
KINDS = {kind.name: kind for kind in crd.KINDS}


class Api:
    """What kubectl does: create or merge-patch with strict field validation; or server-side apply."""

    def __init__(self, server: ApiServer) -> None:
        self.http = httpx.Client(
            base_url=server.url,
            verify=ssl.create_default_context(cafile=str(server.ca)),
            timeout=30,
            headers={"Authorization": f"Bearer {TOKEN}"},
        )

    def url(self, manifest: dict[str, Any]) -> str:
        return f"/apis/{API_VERSION}/namespaces/crds/{KINDS[manifest['kind']].plural}"

    def apply(self, manifest: dict[str, Any], dry_run: bool) -> httpx.Response:
        """`kubectl apply --server-side`."""
        return self.http.patch(
            f"{self.url(manifest)}/{manifest['metadata']['name']}",
            params={"fieldManager": "test", "force": "true", **_query(dry_run)},
            content=yaml.safe_dump(manifest),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def write(self, manifest: dict[str, Any]) -> httpx.Response:
        """`kubectl apply --dry-run=server`: create, or merge-patch what is there."""
        answer = self.http.post(self.url(manifest), params=_query(True), json=manifest)
        if answer.status_code != 409:
            return answer
        return self.patch(manifest, "", manifest, dry_run=True)

    def patch(
        self, manifest: dict[str, Any], part: str, body: dict[str, Any], dry_run: bool = False
    ) -> httpx.Response:
        return self.http.patch(
            f"{self.url(manifest)}/{manifest['metadata']['name']}{part}",
            params=_query(dry_run),
            json=body,
            headers={"Content-Type": "application/merge-patch+json"},
        )


def _query(dry_run: bool) -> dict[str, str]:
    return {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})


@pytest.fixture(scope="module")
def api(apiserver: ApiServer) -> Iterator[Api]:
    api = Api(apiserver)
    with api.http:
        made = api.http.post("/api/v1/namespaces", json={"metadata": {"name": "crds"}})
        assert made.status_code == 201, made.text
        yield api


def _ours(path: Path) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ours = [d for d in documents if d and d.get("apiVersion") == API_VERSION]
    for manifest in ours:
        manifest["metadata"].pop("namespace", None)  # the test has one of its own
    return ours


def _expected(path: Path) -> tuple[str, str]:
    head = dict(
        line[2:].split(": ", 1)
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(("# field: ", "# says: "))
    )
    return head["field"], head["says"]


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_a_bad_manifest_is_refused_with_its_field_and_a_remedy(api: Api, path: Path) -> None:
    *before, bad = _ours(path)
    for manifest in before:
        accepted = api.apply(manifest, dry_run=False)
        assert accepted.is_success, accepted.text
    field, says = _expected(path)

    answer = api.write(bad)

    assert answer.status_code in (400, 422), f"accepted: {answer.text}"
    message = answer.json()["message"]
    assert field in message
    assert says in message
    assert not api.apply(bad, dry_run=True).is_success


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_a_good_manifest_is_accepted_and_stored_with_pydantics_defaults(api: Api, path: Path) -> None:
    for manifest in _ours(path):
        answer = api.apply(manifest, dry_run=True)
        assert answer.is_success, answer.text
        model = KINDS[manifest["kind"]].model.model_validate(manifest)
        assert answer.json()["spec"] == model.wire()["spec"]


@pytest.mark.parametrize("path", REFUSED, ids=lambda p: p.stem)
def test_an_example_of_a_refusal_is_refused(api: Api, path: Path) -> None:
    answers = [api.write(manifest) for manifest in _ours(path)]
    assert any(answer.status_code == 422 for answer in answers)


def test_there_are_counter_examples_of_every_kind() -> None:
    kinds = {manifest["kind"] for path in BAD for manifest in _ours(path)}
    assert kinds == set(KINDS)
    assert len(BAD) >= 25


def test_a_name_that_fits_no_label_is_refused_although_the_spec_is_good(api: Api) -> None:
    manifest = _ours(HERE / "good_manifests" / "rollout-minimal.yaml")[0]
    manifest["metadata"]["name"] = "digits.vnni"
    answer = api.write(manifest)
    assert answer.status_code == 422
    assert "metadata.name becomes part of other names" in answer.json()["message"]


def test_a_rollout_is_scaled_through_the_scale_subresource(api: Api) -> None:
    manifest = _ours(HERE / "good_manifests" / "rollout-minimal.yaml")[0]
    manifest["metadata"]["name"] = "scaled"
    assert api.apply(manifest, dry_run=False).is_success
    patched = api.patch(manifest, "/scale", {"spec": {"replicas": 3}})
    assert patched.is_success, patched.text
    assert api.http.get(f"{api.url(manifest)}/scaled").json()["spec"]["replicas"] == 3
    status = {"replicas": 4, "selector": "edgeramp.dev/rollout=scaled"}
    assert api.patch(manifest, "/status", {"status": status}).is_success
    scale = api.http.get(f"{api.url(manifest)}/scaled/scale").json()
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, status), (
        "what a HorizontalPodAutoscaler reads"
    )


def test_the_columns_of_kubectl_get_tell_the_story(api: Api) -> None:
    manifest = _ours(HERE / "good_manifests" / "rollout-minimal.yaml")[0]
    manifest["metadata"]["name"] = "columns"
    assert api.apply(manifest, dry_run=False).is_success
    status = {
        "phase": "Progressing",
        "weight": 25,
        "verdict": "Pass",
        "step": "2/3",
        "message": "25 % since 10 s",
    }
    patched = api.patch(manifest, "/status", {"status": status})
    assert patched.is_success, patched.text
    as_table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = api.http.get(f"{api.url(manifest)}/columns", headers=as_table).json()
    shown = [c["name"] for c in table["columnDefinitions"] if c["priority"] == 0]
    cells = dict(zip([c["name"] for c in table["columnDefinitions"]], table["rows"][0]["cells"], strict=True))
    assert shown == [
        "Name", "Model", "Target", "Phase", "Framework", "Precision", "Step", "Weight", "Verdict", "Age", "Message",
    ]  # fmt: skip
    assert cells["Weight"] == 25
    assert (cells["Model"], cells["Verdict"], cells["Message"]) == ("digits", "Pass", "25 % since 10 s")


def test_a_status_that_the_operator_writes_is_kept_whole(api: Api) -> None:
    """Free-form parts (parameters, shapes) survive; nothing is pruned."""
    manifest = _ours(HERE / "good_manifests" / "edgemodel-minimal.yaml")[0]
    manifest["metadata"]["name"] = "whole"
    assert api.apply(manifest, dry_run=False).is_success
    digest = "sha256:" + "c" * 64
    assessment = {
        "format": "onnx", "sizeBytes": 4_000_000_000, "parameters": 9, "architecture": "cnn", "warnings": ["w"],
        "inputs": {"x": ["batch", 1, 28, 28]}, "outputs": {"y": [-1, 10]}, "operators": {"Conv": 2},
        "items": {"selection": 1000}, "quantizableOperators": 2, "opset": 17,
    }  # fmt: skip
    staged = {"key": "k", "model": digest, "data": {"selection": digest}, "assessment": assessment}
    patched = api.patch(manifest, "/status", {"status": {"staged": staged}})
    assert patched.is_success, patched.text
    assert patched.json()["status"]["staged"] == staged
