"""package and fetch: what a server is started from, and who vouches for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgeramp.report import signature
from edgeramp.report.certification import CertificationReport, Findings, json_schema
from edgeramp.values.errors import ArtifactError
from edgeramp.values.quantities import epoch
from edgeramp_harness.store import Registry
from edgeramp_harness.verbs.package import fallback_tag

from .conftest import Bench, RegistryServer, Result, Things
from .reports import body, report

CERTIFICATE = {"gates": {"accuracyRetention": "Pass"}, "isa": ["AVX512VNNI"], "alpha": 0.025}


def private_key(path: Path) -> bytes:
    """A new ECDSA P-256 key, also written to `path`."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    return pem


def findings(**evidence: str) -> dict[str, Any]:
    """What the operator sends along, of a report as tests have it."""
    body = report().model_dump(mode="json", by_alias=True)
    known = {field.alias for field in Findings.model_fields.values()}
    return {name: value for name, value in body.items() if name in known} | {"evidence": evidence}


def package(bench: Bench, digest: str, key: Path, **evidence: str) -> Result:
    runner = {
        "id": "int8",
        "framework": "onnxruntime",
        "precision": "int8",
        "artifact": {"digest": digest, "format": "onnx"},
    }
    return bench.run(
        "package",
        modelName="tiny",
        version="r1",
        runner=runner,
        certificate=CERTIFICATE,
        findings=findings(**evidence),
        signingKeyPath=str(key),
    )


def test_a_package_is_a_modelpack_with_a_certificate_that_verifies(
    bench: Bench, things: Things, tmp_path: Path
) -> None:
    pem = private_key(tmp_path / "key.pem")
    result = package(bench, things.model, tmp_path / "key.pem")
    assert result.code == 0, result.log
    registry = Registry(bench.host, bench.repository, True)
    packaged = registry.find(result.summary.artifact)
    assert packaged.manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert packaged.manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert packaged.layers[0].media_type == "application/vnd.cncf.model.weight.v1.raw"

    folder = tmp_path / "certificate"
    certificate = registry.pull(result.summary.certificate, folder)
    assert certificate.manifest["subject"]["digest"] == packaged.digest
    envelope = (folder / "certificate.dsse.json").read_bytes()
    statement = signature.verify(envelope, [signature.public_key(pem)], manifest=packaged.digest)
    assert CERTIFICATE.items() <= statement.certificate.items()
    assert statement.files == {layer.title: layer.digest for layer in packaged.layers}
    assert statement.key_id == result.summary.key_id


def test_the_report_is_stored_as_json_and_as_a_page_and_the_signature_covers_it(
    bench: Bench, things: Things, tmp_path: Path
) -> None:
    pem = private_key(tmp_path / "key.pem")
    ours = {"distribution": body()["distribution"], "classes": body()["classes"]}
    (tmp_path / "report.json").write_text(json.dumps(ours))
    stored = bench.push("measured", tmp_path / "report.json")
    done = package(bench, things.model, tmp_path / "key.pem", measure=stored, certify=stored).summary
    registry = Registry(bench.host, bench.repository, True)
    registry.pull(done.report, tmp_path / "report")
    text = (tmp_path / "report/report.json").read_text()
    made = CertificationReport.model_validate_json(text)
    jsonschema.validate(json.loads(text), json_schema())
    assert made.artifact == done.artifact and made.key_id == done.key_id
    assert made.distribution and len(made.classes) == 10
    assert epoch(made.expires_at) - epoch(made.issued_at) == 365 * 86400
    assert (tmp_path / "report/report.html").read_text().startswith("<!doctype html>")

    registry.pull(done.certificate, tmp_path / "certificate")
    envelope = (tmp_path / "certificate/certificate.dsse.json").read_bytes()
    said = signature.verify(envelope, [signature.public_key(pem)]).certificate
    assert (said["report"], said["expiresAt"]) == (done.report, made.expires_at)
    index = registry.find(fallback_tag(done.artifact)).manifest
    assert done.report in [entry["digest"] for entry in index["manifests"]]


STATEMENTS = {
    "application/vnd.in-toto+json": ("provenance.dsse.json", "https://slsa.dev/provenance/v1"),
    "application/vnd.cyclonedx+json": ("bom.dsse.json", "https://cyclonedx.org/bom"),
}


@pytest.mark.parametrize("artifact_type", STATEMENTS)
def test_provenance_and_bill_of_materials_are_signed_referrers_and_no_certificates(
    bench: Bench, things: Things, tmp_path: Path, artifact_type: str
) -> None:
    pem = private_key(tmp_path / "key.pem")
    done = package(bench, things.model, tmp_path / "key.pem").summary
    registry = Registry(bench.host, bench.repository, True)
    index = registry.find(fallback_tag(done.artifact)).manifest
    digest = [e["digest"] for e in index["manifests"] if e["artifactType"] == artifact_type][-1]
    stored = registry.pull(digest, tmp_path / "statement")
    assert stored.manifest["subject"]["digest"] == done.artifact
    name, predicate = STATEMENTS[artifact_type]
    envelope, keys = (tmp_path / "statement" / name).read_bytes(), [signature.public_key(pem)]
    said = signature.verify(envelope, keys, done.artifact, predicate)
    assert done.artifact.removeprefix("sha256:") in json.dumps(said.certificate) or predicate.startswith(
        "https://slsa"
    )
    with pytest.raises(ArtifactError, match=r"not https://edgeramp\.dev/certificate"):
        signature.verify(envelope, keys, done.artifact)
    if artifact_type == "application/vnd.cyclonedx+json":
        assert json.loads((tmp_path / "statement/bom.cdx.json").read_text()) == said.certificate


@pytest.mark.parametrize("content", [
    b"no JSON", b"[]", b'{"distribution": 5, "classes": 5}', b'{"distribution": {"reference": [NaN]}}', b"[" * 100_000,
    json.dumps({"distribution": {"reference": [1] * 101, "candidate": ["x"] * 101}}).encode(),
    b'{"classes": [{"label": "0", "items": 1, "reference": 1e999, "candidate": 1}]}',
])  # fmt: skip
def test_a_stored_report_that_is_not_one_costs_its_plots_only(
    bench: Bench, things: Things, tmp_path: Path, content: bytes
) -> None:
    private_key(tmp_path / "key.pem")
    stored = bench.push("odd", _file(tmp_path / "report.json", content))
    result = package(bench, things.model, tmp_path / "key.pem", measure=stored, certify=stored)
    assert result.code == 0, result.log
    Registry(bench.host, bench.repository, True).pull(result.summary.report, tmp_path / "report")
    made = CertificationReport.model_validate_json((tmp_path / "report/report.json").read_text())
    assert (made.distribution, made.classes) == (None, ())


def test_findings_that_are_none_end_with_10(bench: Bench, things: Things, tmp_path: Path) -> None:
    private_key(tmp_path / "key.pem")
    runner = {
        "id": "a",
        "framework": "onnxruntime",
        "precision": "int8",
        "artifact": {"digest": things.model},
    }
    result = bench.run(
        "package", modelName="t", version="r", runner=runner, certificate={}, findings={"certified": True},
        signingKeyPath=str(tmp_path / "key.pem"),
    )  # fmt: skip
    assert result.code == 10
    assert "identity" in result.failure.message


def test_referrers_are_listed_under_the_fallback_tag_without_repeats(
    bench: Bench, things: Things, tmp_path: Path
) -> None:
    private_key(tmp_path / "key.pem")
    first = package(bench, things.model, tmp_path / "key.pem").summary
    second = package(bench, things.model, tmp_path / "key.pem").summary
    assert first.artifact == second.artifact, "the same model packaged again is the same artifact"
    index = Registry(bench.host, bench.repository, True).find(fallback_tag(first.artifact)).manifest
    listed = [entry["digest"] for entry in index["manifests"]]
    assert {first.certificate, second.certificate} <= set(listed)
    assert len(listed) == len(set(listed))


def test_without_a_key_it_ends_with_10(bench: Bench, things: Things, tmp_path: Path) -> None:
    result = package(bench, things.model, tmp_path / "none.pem")
    assert (result.code, result.failure.reason) == (10, "SigningKeyMissing")
    (tmp_path / "bad.pem").write_text("-----BEGIN NONSENSE-----")
    result = package(bench, things.model, tmp_path / "bad.pem")
    assert (result.code, result.failure.reason) == (10, "SigningKeyUnusable")


def test_openssf_model_signing_verifies_it_too(bench: Bench, things: Things, tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason="model-signing is only in the courier image's environment")
    from model_signing import verifying

    pem = private_key(tmp_path / "key.pem")
    (tmp_path / "public.pem").write_bytes(signature.public_key(pem))
    done = package(bench, things.model, tmp_path / "key.pem").summary
    registry = Registry(bench.host, bench.repository, True)
    index = registry.find(fallback_tag(done.artifact)).manifest
    bundle = next(e["digest"] for e in index["manifests"] if "sigstore" in e["artifactType"])
    registry.pull(bundle, tmp_path / "sig")
    registry.pull(done.artifact, tmp_path / "model")
    verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "public.pem").verify(
        tmp_path / "model", tmp_path / "sig/model.sig"
    )


def fetch(bench: Bench, digest: str, dest: Path) -> tuple[int, str]:
    uri = f"oci://{bench.host}/{bench.repository}@{digest}"
    termination = str(dest.parent / "termination")
    return bench.call(
        "fetch", "--artifact", uri, "--dest", str(dest), "--plain-http", "--termination", termination
    )


def test_fetch_writes_down_what_it_verified(bench: Bench, things: Things, tmp_path: Path) -> None:
    code, log = fetch(bench, things.model, tmp_path / "models")
    assert code == 0, log
    record = json.loads((tmp_path / "models/.edgeramp/manifest.json").read_text())
    assert record["artifact"] == things.model
    assert [f["path"] for f in record["files"]] == ["model.onnx"]
    assert "verified model.onnx" in log


def test_fetch_refuses_tags(bench: Bench, tmp_path: Path) -> None:
    code, log = bench.call(
        "fetch", "--artifact", f"oci://{bench.host}/{bench.repository}:model", "--dest", str(tmp_path / "m"),
        "--plain-http", "--termination", str(tmp_path / "t"),
    )  # fmt: skip
    assert code == 10
    assert "never from a tag" in log


@pytest.mark.parametrize("title", ["../evil", "/etc/evil", "a/../../evil", ".edgeramp/manifest.json", "a\\b"])
def test_fetch_refuses_paths_that_leave_the_folder(bench: Bench, tmp_path: Path, title: str) -> None:
    registry = Registry(bench.host, bench.repository, True)
    blob = registry.push_blob(b"evil")
    layer = {
        "mediaType": "application/octet-stream", "digest": blob, "size": 4,
        "annotations": {"org.opencontainers.image.title": title},
    }  # fmt: skip
    config = {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": registry.push_blob(b"{}"),
        "size": 2,
    }
    media = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media, "config": config, "layers": [layer]}
    digest = registry.push_manifest(manifest, media).digest
    code, log = fetch(bench, digest, tmp_path / "models")
    assert code == 12, log
    assert not list(tmp_path.rglob("*evil*"))
    assert "UnsafePath" in log


def test_a_blob_changed_in_the_store_is_refused(
    bench: Bench, registry: RegistryServer, tmp_path: Path
) -> None:
    digest = bench.push("victim", _file(tmp_path / "model.onnx", b"good" * 100))
    blob = Registry(bench.host, bench.repository, True).find(digest).layers[0].digest.removeprefix("sha256:")
    stored = registry.data / f"docker/registry/v2/blobs/sha256/{blob[:2]}/{blob}/data"
    stored.write_bytes(b"evil" * 100)
    code, log = fetch(bench, digest, tmp_path / "models")
    assert code == 11, log
    assert not (tmp_path / "models/model.onnx").exists()


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_push_prints_the_digest_and_takes_titles(bench: Bench, tmp_path: Path) -> None:
    _file(tmp_path / "whatever.bin", b"content")
    dest = f"oci://{bench.host}/{bench.repository}:pushed"
    code, log = bench.call("push", "--dest", dest, "--plain-http", f"model.onnx={tmp_path / 'whatever.bin'}")
    assert code == 0, log
    found = Registry(bench.host, bench.repository, True).find("pushed")
    assert found.digest in log
    assert [layer.title for layer in found.layers] == ["model.onnx"]


# the envelope


@pytest.fixture
def signed(tmp_path: Path) -> tuple[bytes, bytes]:
    """An envelope, and the public key it verifies with."""
    pem = private_key(tmp_path / "key.pem")
    envelope = signature.sign({"model.onnx": f"sha256:{'a' * 64}"}, f"sha256:{'b' * 64}", CERTIFICATE, pem)
    return envelope, signature.public_key(pem)


def _changed(envelope: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(envelope), **changes}).encode()


def test_an_altered_payload_does_not_verify(signed: tuple[bytes, bytes]) -> None:
    import base64

    envelope, key = signed
    payload = base64.b64decode(json.loads(envelope)["payload"]).replace(b"Pass", b"Fail")
    with pytest.raises(ArtifactError, match="does not verify"):
        signature.verify(_changed(envelope, payload=base64.b64encode(payload).decode()), [key])


def test_another_key_does_not_verify_but_one_of_several_does(
    signed: tuple[bytes, bytes], tmp_path: Path
) -> None:
    envelope, key = signed
    other = signature.public_key(private_key(tmp_path / "other.pem"))
    with pytest.raises(ArtifactError, match="does not verify"):
        signature.verify(envelope, [other])
    assert signature.verify(envelope, [other, key]).key_id == signature.key_id(key)


def test_a_certificate_for_another_artifact_is_refused(signed: tuple[bytes, bytes]) -> None:
    envelope, key = signed
    with pytest.raises(ArtifactError, match="not for"):
        signature.verify(envelope, [key], manifest=f"sha256:{'c' * 64}")


@pytest.mark.parametrize(
    "envelope", [b"", b"{}", b"[]", b'{"payload": 1}', b'{"payload": "!", "signatures": []}']
)
def test_what_is_not_an_envelope_is_refused(signed: tuple[bytes, bytes], envelope: bytes) -> None:
    with pytest.raises(ArtifactError, match="not a DSSE envelope"):
        signature.verify(envelope, [signed[1]])


def test_another_payload_type_and_no_keys_are_refused(signed: tuple[bytes, bytes]) -> None:
    envelope, key = signed
    with pytest.raises(ArtifactError, match="payload is"):
        signature.verify(_changed(envelope, payloadType="text/plain"), [key])
    with pytest.raises(ArtifactError, match="no public key"):
        signature.verify(envelope, [])


def test_only_p256_keys_sign(tmp_path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ArtifactError, match="P-256"):
        signature.sign({}, f"sha256:{'b' * 64}", {}, pem)
