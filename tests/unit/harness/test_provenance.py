"""SLSA provenance and ML-BOM say where an artifact came from, in forms that other tools accept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from edgeramp.report.certification import CertificationReport
from edgeramp.report.spec import ArtifactRef, PackageSpec, Runner, RunRef, Store
from edgeramp_harness.provenance import bill_of_materials, provenance
from edgeramp_harness.store import Artifact, Layer

from .reports import body, digest, report

SCHEMAS = Path(__file__).parent / "cyclonedx"
"""As published by CycloneDX (Apache-2.0). The list of SPDX licences is left open: our bills name none."""
ARTIFACT = Artifact(
    digest("a"), (Layer("model.xml", digest("3"), 10), Layer("model.bin", digest("4"), 90)), {}, 100
)
SPEC = PackageSpec(
    run=RunRef(kind="OptimizationRun", namespace="default", name="digits-vnni", uid="u-1", generation=1),
    store=Store(host="store:5000", repository="default/digits"),
    model_name="digits",
    version="5d1f",
    runner=Runner(
        id="ov-ptq-int8", framework="openvino", precision="int8", artifact=ArtifactRef(digest=digest("9"))
    ),
    certificate={},
    findings={},
)


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    root = json.loads((SCHEMAS / "bom-1.6.schema.json").read_text())
    base = root["$id"].rpartition("/")[0]
    signing = json.loads((SCHEMAS / "jsf-0.82.schema.json").read_text())
    known: dict[str, Any] = {
        "jsf-0.82.SNAPSHOT.schema.json": signing,
        "spdx.SNAPSHOT.schema.json": {"type": "string"},
    }
    registry: Registry[Any] = Registry().with_resources(
        (
            f"{base}/{name}",
            Resource.from_contents({"$schema": root["$schema"], **content, "$id": f"{base}/{name}"}),
        )
        for name, content in known.items()
    )
    return jsonschema.Draft7Validator(root, registry=registry)


def test_the_bill_of_materials_follows_the_published_schema(schema: jsonschema.Draft7Validator) -> None:
    schema.validate(bill_of_materials(report(), ARTIFACT))
    bare = CertificationReport.model_validate({**body(), "latency": None, "environment": None, "looks": []})
    schema.validate(bill_of_materials(bare, ARTIFACT))
    assert not schema.is_valid({**bill_of_materials(report(), ARTIFACT), "specVersion": 1})


def test_the_bill_names_files_original_data_and_frameworks_by_digest() -> None:
    bill = bill_of_materials(report(), ARTIFACT)
    parts = {part["bom-ref"]: part for part in bill["components"]}
    assert parts["file:model.bin"]["hashes"] == [{"alg": "SHA-256", "content": "4" * 64}]
    assert parts["original"]["hashes"][0]["content"] == "b" * 64
    assert parts["data:certification"]["hashes"][0]["content"] == "f" * 64
    assert parts["framework:openvino"]["version"] == "2026.4.1"
    assert bill["dependencies"][0]["dependsOn"] == sorted(parts)


def test_the_model_card_has_the_figures_of_the_certification_with_their_bounds() -> None:
    card = bill_of_materials(report(), ARTIFACT)["metadata"]["component"]["modelCard"]
    metrics = {m["type"]: m for m in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert metrics["accuracy retention"]["confidenceInterval"] == {"lowerBound": "0.9944"}
    assert metrics["speed-up"]["confidenceInterval"]["lowerBound"] == "2.66"


def test_one_report_gives_one_bill() -> None:
    assert bill_of_materials(report(), ARTIFACT) == bill_of_materials(report(), ARTIFACT)


def test_provenance_names_every_input_and_who_built_it() -> None:
    said = provenance(SPEC, report())
    inputs = {d["name"]: d["digest"]["sha256"] for d in said["buildDefinition"]["resolvedDependencies"]}
    assert inputs == {
        "original": "b" * 64, "calibration": "d" * 64, "selection": "e" * 64, "certification": "f" * 64, "prepared": "9" * 64,
    }  # fmt: skip
    details = said["runDetails"]
    assert details["metadata"] == {
        "invocationId": "OptimizationRun/default/digits-vnni/u-1", "finishedOn": "2026-11-26T12:00:00Z",
    }  # fmt: skip
    assert details["builder"]["id"].startswith("https://")
    assert {d["name"] for d in details["byproducts"]} == {"measurement", "certification"}
