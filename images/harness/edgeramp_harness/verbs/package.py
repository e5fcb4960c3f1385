"""package: the ModelPack artifact a server is started from, its certification report, its signed certificate, and an
OpenSSF model signature.

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
from edgeramp_harness import certification
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
    files = {layer.title: layer.digest for layer in packaged.layers}
    try:
        key_id = signature.key_id(signature.public_key(key))
        report = certification.assemble(_findings(spec), packaged, key_id, registry, time.time())
        reported = _push_report(registry, report, packaged, context.folder("certification"))
        content = certification.dated(spec.certificate, report, reported.digest)
        envelope = signature.sign(files, packaged.digest, content, key)
    except ArtifactError as error:
        raise bad_spec(str(error), "SigningKeyUnusable") from error
    path = context.folder("certificate") / "certificate.dsse.json"
    path.write_bytes(envelope)
    certificate = registry.push(
        {path.name: path},
        artifact_type=CERTIFICATE_TYPE,
        media_types={path.name: signature.ENVELOPE_MEDIA_TYPE},
        subject=packaged,
        annotations={"dev.edgeramp.key-id": key_id},
    )
    say(f"certificate signed by {key_id[:16]} and stored as {certificate.digest}")
    referrers = [reported, certificate]
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
        key_id=key_id,
        size_bytes=packaged.size_bytes,
    )


def _key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise bad_spec(
            f"no signing key at {path}; create the Secret with key.pem in this namespace", "SigningKeyMissing"
        ) from error


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
