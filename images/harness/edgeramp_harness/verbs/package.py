"""package: the ModelPack artifact a server is started from, and what vouches for it: certification report, signed
certificate, SLSA provenance, ML-BOM, and an OpenSSF model signature.

Holds the signing key and never opens a model: files are only hashed and moved. Referrers are listed in the fallback
tag `sha256-<hex>`, because Debian's registry and distribution 3 have no referrers API.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgeramp.report import signature
from edgeramp.report.certification import CertificationReport, Findings
from edgeramp.report.spec import PackageSpec
from edgeramp.report.summary import PackageSummary
from edgeramp.values.errors import ArtifactError
from edgeramp_harness import certification, provenance
from edgeramp_harness.context import Context
from edgeramp_harness.errors import JobError, bad_spec, unsupported
from edgeramp_harness.log import human_bytes, say
from edgeramp_harness.page import render
from edgeramp_harness.store import ARTIFACT_TYPE, INDEX_TYPE, MANIFEST_TYPE, Artifact, Registry

MODEL_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
WEIGHT_TYPE = "application/vnd.cncf.model.weight.v1.raw"
WEIGHT_CONFIG_TYPE = "application/vnd.cncf.model.weight.config.v1.raw"
REPORT_TYPE = "application/vnd.edgeramp.certification-report.v1"
CERTIFICATE_TYPE = "application/vnd.edgeramp.certificate.v1"
PROVENANCE_TYPE = "application/vnd.in-toto+json"
BOM_TYPE = "application/vnd.cyclonedx+json"
OMS_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_FILEPATH = "org.cncf.model.filepath"


def run(spec: PackageSpec, context: Context) -> PackageSummary:
    """Exit 10 where the key is missing or of another kind."""
    key = _key(Path(spec.signing_key_path))
    registry = Registry.of(spec.store)
    folder = context.folder("model")
    prepared = registry.pull(spec.runner.artifact.digest, folder)
    packaged = _push_model(spec, registry, prepared, folder)
    say(f"package stored: {human_bytes(packaged.size_bytes)} as {packaged.digest}")
    signer = _Signer(registry, packaged, key)
    report = certification.assemble(_findings(spec), packaged, signer.key_id, registry, time.time())
    reported = _push_report(registry, report, packaged, context.folder("certification"))
    content = certification.dated(spec.certificate, report, reported.digest)
    statements = context.folder("statements")
    certificate = signer.push(
        statements / "certificate.dsse.json", content, signature.PREDICATE_TYPE, CERTIFICATE_TYPE
    )
    say(f"certificate signed by {signer.key_id[:16]} and stored as {certificate.digest}")
    referrers = [reported, certificate, *_origins(spec, report, packaged, signer, statements)]
    bundle = _model_signature(folder, Path(spec.signing_key_path), context.folder("oms"))
    if bundle is not None:
        referrers.append(
            registry.push({bundle.name: bundle}, artifact_type=OMS_TYPE, media_types={bundle.name: OMS_TYPE},
                          subject=packaged)
        )  # fmt: skip
        say("OpenSSF model signature stored beside it")
    add_referrers(registry, packaged, referrers)
    return PackageSummary(
        artifact=packaged.digest,
        certificate=certificate.digest,
        reference=f"oci://{spec.store.host}/{spec.store.repository}@{packaged.digest}",
        report=reported.digest,
        key_id=signer.key_id,
        size_bytes=packaged.size_bytes,
    )


def _key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise bad_spec(
            f"no signing key at {path}; create the Secret with key.pem in this namespace", "SigningKeyMissing"
        ) from error


def _origins(
    spec: PackageSpec, report: CertificationReport, packaged: Artifact, signer: _Signer, folder: Path
) -> tuple[Artifact, Artifact]:
    """How the artifact came to be: SLSA provenance, and the ML-BOM both signed and bare."""
    built = provenance.provenance(spec, report)
    bill = provenance.bill_of_materials(report, packaged)
    bare = folder / "bom.cdx.json"
    bare.write_text(json.dumps(bill, indent=1), encoding="utf-8")
    stored = (
        signer.push(folder / "provenance.dsse.json", built, provenance.SLSA_PREDICATE, PROVENANCE_TYPE),
        signer.push(folder / "bom.dsse.json", bill, provenance.CYCLONEDX_PREDICATE, BOM_TYPE, bare),
    )
    say("provenance and bill of materials signed and stored beside it")
    return stored


class _Signer:
    """Signs statements about one artifact and stores each as its referrer. Raises JobError where the key is unusable."""

    def __init__(self, registry: Registry, subject: Artifact, key: bytes) -> None:
        self._registry, self._subject, self._key = registry, subject, key
        self._files = {layer.title: layer.digest for layer in subject.layers}
        try:
            self.key_id = signature.key_id(signature.public_key(key))
        except ArtifactError as error:
            raise bad_spec(str(error), "SigningKeyUnusable") from error

    def push(
        self,
        path: Path,
        predicate: dict[str, Any],
        predicate_type: str,
        artifact_type: str,
        beside: Path | None = None,
    ) -> Artifact:
        """The envelope as a file of its own; `beside`, the same unsigned, for tools that know no envelopes."""
        path.write_bytes(
            signature.sign(self._files, self._subject.digest, predicate, self._key, predicate_type)
        )
        files = {p.name: p for p in (path, beside) if p is not None}
        media = {path.name: signature.ENVELOPE_MEDIA_TYPE, **({beside.name: BOM_TYPE} if beside else {})}
        return self._registry.push(
            files,
            artifact_type=artifact_type,
            media_types=media,
            subject=self._subject,
            annotations={"dev.edgeramp.key-id": self.key_id, "in-toto.io/predicate-type": predicate_type},
        )


def _findings(spec: PackageSpec) -> Findings:
    try:
        return Findings.model_validate(spec.findings)
    except ValidationError as error:
        raise bad_spec(f"the findings are not valid: {error}") from error


def _push_report(
    registry: Registry, report: CertificationReport, subject: Artifact, folder: Path
) -> Artifact:
    """For tools and for people: the same facts as JSON and as one page."""
    files = {"report.json": folder / "report.json", "report.html": folder / "report.html"}
    files["report.json"].write_text(report.to_json(), encoding="utf-8")
    files["report.html"].write_text(render(report), encoding="utf-8")
    pushed = registry.push(
        files,
        artifact_type=REPORT_TYPE,
        media_types={"report.json": "application/json", "report.html": "text/html"},
        subject=subject,
        annotations={
            "dev.edgeramp.issued-at": report.issued_at,
            "dev.edgeramp.expires-at": report.expires_at,
        },
    )
    say(f"certification report stored as {pushed.digest}, valid until {report.expires_at}")
    return pushed


def _push_model(spec: PackageSpec, registry: Registry, prepared: Artifact, folder: Path) -> Artifact:
    """The CNCF ModelPack form: one raw layer per file, a config that describes the model."""
    files = {layer.title: folder / layer.title for layer in prepared.layers}
    media = {
        title: WEIGHT_CONFIG_TYPE if title.endswith((".xml", ".json")) else WEIGHT_TYPE for title in files
    }
    model_format = "openvino-ir" if "model.xml" in files else "onnx"
    config = {
        "descriptor": {"name": spec.model_name, "version": spec.version, "family": spec.runner.framework},
        "config": {"format": model_format, "precision": spec.runner.precision},
        "modelfs": {"type": "layers", "diffIds": [layer.digest for layer in prepared.layers]},
    }
    return registry.push(
        files,
        artifact_type=MODEL_TYPE,
        media_types=media,
        layer_annotations={title: {_FILEPATH: title} for title in files},
        config=(CONFIG_TYPE, json.dumps(config, sort_keys=True, separators=(",", ":")).encode()),
        annotations={
            "dev.edgeramp.framework": spec.runner.framework,
            "dev.edgeramp.model": spec.model_name,
            "dev.edgeramp.precision": spec.runner.precision,
            "dev.edgeramp.prepared": spec.runner.artifact.digest,
        },
    )


def _model_signature(folder: Path, key: Path, out: Path) -> Path | None:
    """A signature that OpenSSF's own `model_signing verify key` accepts; None where the library is not installed."""
    try:
        from model_signing import signing  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        say(f"no OpenSSF model signature: {error}")
        return None
    logging.getLogger("model_signing").setLevel(logging.ERROR)
    target = out / "model.sig"
    try:
        signing.Config().use_elliptic_key_signer(private_key=key).sign(folder, target)
    except Exception as error:  # the library documents no exceptions of its own
        raise unsupported(f"OpenSSF model signing failed: {error}", "SigningFailed") from error
    return target


def fallback_tag(digest: str) -> str:
    """sha256:ab… -> sha256-ab… (OCI distribution specification, referrers tag schema)."""
    return digest.replace(":", "-", 1)


def add_referrers(registry: Registry, subject: Artifact, referrers: list[Artifact]) -> None:
    """Add to the index under the fallback tag; what is listed stays, nothing is listed twice."""
    tag = fallback_tag(subject.digest)
    try:
        listed: list[dict[str, Any]] = list(registry.find(tag).manifest.get("manifests", ()))
    except JobError as error:
        if error.reason != "SourceNotFound":
            raise
        listed = []
    known = {entry.get("digest") for entry in listed}
    for artifact in referrers:
        if artifact.digest not in known:
            listed.append({
                "mediaType": MANIFEST_TYPE,
                "digest": artifact.digest,
                "size": artifact.manifest_size,
                "artifactType": artifact.manifest.get("artifactType", ARTIFACT_TYPE),
            })  # fmt: skip
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed}
    registry.push_manifest(index, INDEX_TYPE, tag)
