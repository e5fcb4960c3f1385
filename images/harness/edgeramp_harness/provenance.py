"""How an artifact came to be, in two forms that other tools read: SLSA provenance and a CycloneDX ML-BOM. Pure.

Sources: SLSA provenance v1 (slsa.dev/spec/v1.0/provenance), in-toto attestation framework, CycloneDX 1.6 (JSON schema).
The BOM is written out here because cyclonedx-python-lib (11.12) knows no model cards; a test holds it to the schema.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import edgeramp
from edgeramp.report.certification import CertificationReport
from edgeramp.report.spec import PackageSpec
from edgeramp_harness.store import Artifact

SLSA_PREDICATE = "https://slsa.dev/provenance/v1"
CYCLONEDX_PREDICATE = "https://cyclonedx.org/bom"
BUILD_TYPE = "https://edgeramp.dev/build/optimization/v1"
BUILDER = "https://edgeramp.dev/builder/package-job/v1"
Json = dict[str, Any]


def provenance(spec: PackageSpec, report: CertificationReport) -> Json:
    """SLSA's predicate: what was asked for, which inputs went in by digest, who put the result together and when."""
    identity, store = report.identity, f"oci://{spec.store.host}/{spec.store.repository}"
    inputs = {"original": identity.source, **report.validity.data, "prepared": spec.runner.artifact.digest}
    evidence = {"measurement": report.evidence.measure, "certification": report.evidence.certify}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "model": f"{identity.namespace}/{identity.model}",
                "target": identity.target,
                "candidate": identity.candidate,
                "framework": identity.framework,
                "precision": identity.precision,
                "technique": identity.technique,
                "gates": dict(report.gates),
            },
            "internalParameters": {"revision": identity.revision},
            "resolvedDependencies": [_resource(store, name, digest) for name, digest in inputs.items()],
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"edgeramp": edgeramp.__version__}},
            "metadata": {
                "invocationId": f"{spec.run.kind}/{spec.run.namespace}/{spec.run.name}/{spec.run.uid}",
                "finishedOn": report.issued_at,
            },
            "byproducts": [_resource(store, name, digest) for name, digest in evidence.items() if digest],
        },
    }


def bill_of_materials(report: CertificationReport, artifact: Artifact) -> Json:
    """An ML-BOM: the model with its card, its files, the original, the data and the frameworks."""
    identity = report.identity
    parts = [
        *(_component("file", f.title, f"file:{f.title}", f.digest) for f in artifact.layers),
        _component("machine-learning-model", f"{identity.model} (original)", "original", identity.source),
        *(_component("data", name, f"data:{name}", digest) for name, digest in report.validity.data.items()),
        *_frameworks(report.environment.versions if report.environment else {}),
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{artifact.digest}/{report.issued_at}')}",
        "version": 1,
        "metadata": {
            "timestamp": report.issued_at,
            "tools": {
                "components": [{"type": "application", "name": "edgeramp", "version": edgeramp.__version__}]
            },
            "component": _model(report, artifact),
        },
        "components": parts,
        "dependencies": [{"ref": "model", "dependsOn": sorted(part["bom-ref"] for part in parts)}],
    }


def _model(report: CertificationReport, artifact: Artifact) -> Json:
    identity = report.identity
    card = {
        "modelParameters": {"datasets": [{"ref": f"data:{name}"} for name in report.validity.data]},
        "quantitativeAnalysis": {"performanceMetrics": list(_metrics(report))},
        "considerations": {
            "technicalLimitations": [
                f"Judged for nodes that promise {', '.join(report.validity.isa) or 'no special CPU feature'}, "
                f"until {report.expires_at}."
            ]
        },
    }
    return {
        **_component("machine-learning-model", identity.model, "model", artifact.digest),
        "version": identity.revision,
        "description": f"{identity.candidate}: {identity.framework}, {identity.precision}",
        "modelCard": card,
        "properties": [
            {"name": "edgeramp:target", "value": identity.target},
            {"name": "edgeramp:certified", "value": str(report.certified).lower()},
        ],
    }


def _metrics(report: CertificationReport) -> Iterable[Json]:
    for look in report.looks:
        if look.quality is not None and look.candidate == report.identity.candidate:
            quality = look.quality
            yield {
                "type": quality.metric,
                "value": f"{quality.candidate:.6g}",
                "slice": "certification split",
            }
            yield {
                "type": "accuracy retention", "value": f"{quality.retention:.6g}", "slice": "certification split",
                "confidenceInterval": {"lowerBound": f"{quality.lower:.6g}"},
            }  # fmt: skip
    if report.latency is not None:
        times = report.latency
        bounds = {"lowerBound": f"{times.speedup_lower:.6g}", "upperBound": f"{times.speedup_upper:.6g}"}
        yield {"type": "speed-up", "value": f"{times.speedup:.6g}", "confidenceInterval": bounds}


def _frameworks(versions: Mapping[str, str]) -> list[Json]:
    return [
        {"type": "framework", "name": name, "version": version, "bom-ref": f"framework:{name}"}
        for name, version in sorted(versions.items())
    ]


def _component(kind: str, name: str, ref: str, digest: str) -> Json:
    return {
        "type": kind,
        "name": name,
        "bom-ref": ref,
        "hashes": [{"alg": "SHA-256", "content": _hex(digest)}],
    }


def _resource(store: str, name: str, digest: str) -> Json:
    return {"name": name, "uri": f"{store}@{digest}", "digest": {"sha256": _hex(digest)}}


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
