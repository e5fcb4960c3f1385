"""Whether an artifact may be served: its manifest and certificate are read from the store and checked, by digest.

Nothing the store says is believed: the manifest must hash to its digest, the certificate must be signed by an accepted
key, and be about this manifest and these files. What was proven once is remembered; what failed is asked again later.
Whether the certificate fits a Rollout's hardware, server and day is decided in `decide.rollout.admission`."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import httpx

from edgeramp.decide.seen import Admission
from edgeramp.report import signature
from edgeramp.values.errors import ArtifactError
from edgeramp.values.quantities import epoch
from edgeramp.values.settings import Settings

CERTIFICATE_TYPE = "application/vnd.edgeramp.certificate.v1"
TITLE = "org.opencontainers.image.title"
TIMEOUT = httpx.Timeout(3.0, connect=1.0)
MAX_BYTES = 4 * 1024 * 1024
AGAIN_AFTER = 10.0
"""A refusal is looked at again after so many seconds: a certificate may be pushed later."""
AWAY_AGAIN_AFTER = 3.0
_REMEMBERED = 4096
_REF = re.compile(r"^oci://([^/]+)/(.+)@(sha256:[0-9a-f]{64})$")
_ACCEPT = ", ".join([
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])  # fmt: skip


class _Away(Exception):
    """The store could not be asked."""


@dataclass(frozen=True)
class _Refused(Exception):
    """The artifact is not fit; `reason` is a condition reason."""

    reason: str
    message: str


class StoreAdmissions:
    """Judges artifacts of OCI registries. Safe to use from several threads."""

    def __init__(self, http: httpx.Client | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http or httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=True)
        self._clock = clock
        self._known: dict[tuple[str, tuple[str, ...]], tuple[float | None, Admission]] = {}
        self._lock = Lock()

    def admit(self, artifact: str, settings: Settings) -> Admission:
        """See observe.Admissions."""
        key = (artifact, settings.public_keys)
        with self._lock:
            until, found = self._known.get(key, (0.0, None))
        if found is not None and (until is None or self._clock() < until):
            return found
        found = self._looked_at(artifact, settings)
        seconds = {True: None, False: AGAIN_AFTER, None: AWAY_AGAIN_AFTER}[found.admitted]
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = (None if seconds is None else self._clock() + seconds, found)
        return found

    def _looked_at(self, artifact: str, settings: Settings) -> Admission:
        try:
            return self._checked(artifact, settings)
        except _Refused as refused:
            return Admission(False, refused.reason, refused.message)
        except _Away as away:
            return Admission(
                None, "StoreUnavailable", f"the artifact's certificate could not be read: {away}"
            )

    def _checked(self, artifact: str, settings: Settings) -> Admission:
        match = _REF.match(artifact)
        if match is None:
            raise _Refused("ArtifactMissing", f"{artifact} is not oci://HOST/REPOSITORY@sha256:…")
        host, repository, digest = match.groups()
        plain = settings.store_plain_http and host == settings.store_host
        store = f"{'http' if plain else 'https'}://{host}/v2/{repository}"
        manifest = self._manifest(store, digest)
        if manifest is None:
            raise _Refused("ArtifactMissing", f"{host}/{repository} has no artifact {digest}")
        certificate = self._certificate(store, digest)
        if certificate is None:
            raise _Refused("NotCertified", "the artifact has no certificate; package it with edgeramp")
        return _judged(certificate[0], certificate[1], digest, manifest, settings)

    def _certificate(self, store: str, subject: str) -> tuple[str, bytes] | None:
        """Digest of the certificate's manifest, and the envelope; found by the fallback tag of the referrers API."""
        listed = self._get(f"{store}/manifests/{subject.replace(':', '-', 1)}")
        if listed is None:
            return None
        index = _json(listed)
        entries = [m for m in index.get("manifests") or [] if m.get("artifactType") == CERTIFICATE_TYPE]
        for entry in reversed(entries):
            manifest = self._manifest(store, str(entry.get("digest")))
            layer = str((((manifest or {}).get("layers") or [{}])[0]).get("digest", ""))
            envelope = self._get(f"{store}/blobs/{layer}") if layer else None
            if envelope is not None and _digest(envelope) == layer:
                return str(entry["digest"]), envelope
        return None

    def _manifest(self, store: str, digest: str) -> Mapping[str, Any] | None:
        body = self._get(f"{store}/manifests/{digest}")
        if body is None:
            return None
        if _digest(body) != digest:
            raise _Refused("DigestMismatch", f"the store's manifest hashes to {_digest(body)}, not {digest}")
        return _json(body)

    def _get(self, url: str) -> bytes | None:
        """The body, None for 404."""
        try:
            with self._http.stream("GET", url, headers={"Accept": _ACCEPT}) as answer:
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise _Away(f"{url} answered HTTP {answer.status_code}")
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise _Refused("DigestMismatch", f"{url} is larger than {MAX_BYTES} bytes")
                return body
        except (httpx.HTTPError, OSError) as error:
            raise _Away(f"{url}: {type(error).__name__}: {error}") from error


def _judged(
    certificate: str, envelope: bytes, digest: str, manifest: Mapping[str, Any], settings: Settings
) -> Admission:
    """What the certificate says about this manifest."""
    if not settings.public_keys:
        raise _Refused(
            "NoPublicKey", "the operator has no public key to verify certificates with; set publicKeys"
        )
    try:
        said = signature.verify(envelope, [key.encode() for key in settings.public_keys], digest)
    except ArtifactError as error:
        raise _Refused("BadSignature", str(error)) from error
    files = {
        (layer.get("annotations") or {}).get(TITLE, ""): layer.get("digest") for layer in manifest["layers"]
    }
    if dict(said.files) != files:
        raise _Refused("DigestMismatch", "the certificate is about other files than the artifact's")
    content = said.certificate
    about = f"{content.get('model', '')} for {content.get('target', '')}, key {said.key_id[:16]}"
    certified = content.get("certified") is True
    return Admission(
        certified,
        "Certified" if certified else "NotCertified",
        f"certified: {about}" if certified else f"signed, but not certified: {about}",
        certificate,
        isa=tuple(str(feature) for feature in content.get("isa") or ()),
        framework=str(content.get("framework") or ""),
        precision=str(content.get("precision") or ""),
        expires_at=_expiry(content),
    )


def _expiry(content: Mapping[str, Any]) -> float | None:
    """Epoch seconds; None for a certificate without an end, as they were made before 0.1.0."""
    text = content.get("expiresAt")
    try:
        return None if text is None else epoch(str(text))
    except ValueError as error:
        raise _Refused("NotCertified", f"the certificate ends at {text!r}, which is no time") from error


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise _Refused("DigestMismatch", f"the store's manifest is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _Refused("DigestMismatch", "the store's manifest is not an object")
    return found
