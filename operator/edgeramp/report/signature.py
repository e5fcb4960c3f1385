"""The signed certificate of a package: an in-toto statement in a DSSE envelope, ECDSA P-256 over SHA-256.

    envelope   {"payloadType": "application/vnd.in-toto+json", "payload": base64(statement),
                "signatures": [{"keyid": hex SHA-256 of the public key's DER, "sig": base64(DER signature)}]}
    signed     "DSSEv1 " + len(type) + " " + type + " " + len(payload) + " " + payload      (bytes, decimal lengths)
    statement  {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://edgeramp.dev/certificate/v1",
                "subject": [{"name": path, "digest": {"sha256": hex}} per file, then {"name": "manifest", ...}],
                "predicate": the certificate}

Pure: bytes in, values out. The signature covers the file digests and the manifest digest, so whoever checks it need not
trust the registry. Not imported by `edgeramp.report` itself: images that never sign do not carry `cryptography`.
Sources: in-toto attestation framework v1 and DSSE protocol (secure-systems-lab), read as specifications.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgeramp.values.errors import ArtifactError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://edgeramp.dev/certificate/v1"
MANIFEST_SUBJECT = "manifest"
ENVELOPE_MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
MAX_ENVELOPE = 1024 * 1024


@dataclass(frozen=True)
class Statement:
    """What was signed. `files` maps path to digest (sha256:…); `manifest` is the artifact's manifest digest; `certificate`
    is the predicate."""

    files: Mapping[str, str]
    manifest: str
    certificate: Mapping[str, Any]
    key_id: str


def sign(
    files: Mapping[str, str],
    manifest: str,
    predicate: Mapping[str, Any],
    private_key_pem: bytes,
    predicate_type: str = PREDICATE_TYPE,
) -> bytes:
    """The envelope of a statement about an artifact: the certificate, or another predicate of that type. Equal input
    gives an equal statement; ECDSA signatures themselves differ each time.

    Raises ArtifactError when the key is not an unencrypted ECDSA P-256 key in PEM.
    """
    key = _private_key(private_key_pem)
    subjects = [{"name": name, "digest": _digest(digest)} for name, digest in sorted(files.items())]
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [*subjects, {"name": MANIFEST_SUBJECT, "digest": _digest(manifest)}],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    signature = key.sign(_encoded(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": _key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()


def verify(
    envelope: bytes,
    public_keys_pem: Iterable[bytes],
    manifest: str | None = None,
    predicate_type: str = PREDICATE_TYPE,
) -> Statement:
    """The statement, when one of the keys signed it, it is of the type and about `manifest` (if given). A statement of
    another type never passes for a certificate, though the same key signed it.

    Raises ArtifactError saying what is wrong: not an envelope, no accepted key, an altered payload, another artifact.
    """
    payload_type, payload, signatures = _opened(envelope)
    keys = [_public_key(pem) for pem in public_keys_pem]
    if not keys:
        raise ArtifactError("no public key is configured to verify certificates with")
    signer = next(
        (key for key in keys for sig in signatures if _signed(key, payload_type, payload, sig)), None
    )
    if signer is None:
        raise ArtifactError("the certificate's signature does not verify with any accepted key")
    statement = _statement(payload, _key_id(signer), predicate_type)
    if manifest is not None and statement.manifest != manifest:
        raise ArtifactError(f"the certificate is for {statement.manifest}, not for {manifest}")
    return statement


def key_id(public_key_pem: bytes) -> str:
    """Hex SHA-256 of the key's DER (SubjectPublicKeyInfo)."""
    return _key_id(_public_key(public_key_pem))


def public_key(private_key_pem: bytes) -> bytes:
    """The PEM public key that belongs to a private key."""
    return (
        _private_key(private_key_pem)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _encoded(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload))


def _opened(envelope: bytes) -> tuple[str, bytes, list[bytes]]:
    if len(envelope) > MAX_ENVELOPE:
        raise ArtifactError("the certificate is larger than 1 MiB")
    try:
        data = json.loads(envelope)
        payload = base64.b64decode(data["payload"], validate=True)
        signatures = [base64.b64decode(entry["sig"], validate=True) for entry in data["signatures"]]
        payload_type = str(data["payloadType"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ArtifactError(f"the certificate is not a DSSE envelope: {error}") from error
    if payload_type != PAYLOAD_TYPE:
        raise ArtifactError(f"the certificate's payload is {payload_type}, not {PAYLOAD_TYPE}")
    return payload_type, payload, signatures


def _signed(key: ec.EllipticCurvePublicKey, payload_type: str, payload: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, _encoded(payload_type, payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _statement(payload: bytes, signer: str, wanted: str) -> Statement:
    try:
        data = json.loads(payload)
        if data["_type"] != STATEMENT_TYPE or data["predicateType"] != wanted:
            raise ArtifactError(f"the signed statement is {data['predicateType']}, not {wanted}")
        subjects = {str(s["name"]): f"sha256:{s['digest']['sha256']}" for s in data["subject"]}
        manifest = subjects.pop(MANIFEST_SUBJECT)
        certificate = dict(data["predicate"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"the signed statement is not one of ours: {error!r}") from error
    return Statement(subjects, manifest, certificate, signer)


def _digest(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}


def _key_id(key: ec.EllipticCurvePublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex()


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ArtifactError(f"the signing key is not an unencrypted PEM private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ArtifactError(
            "the signing key must be ECDSA on P-256 (openssl ecparam -name prime256v1 -genkey)"
        )
    return key


def _public_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ArtifactError(f"a public key is not PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ArtifactError("a public key is not ECDSA on P-256")
    return key
