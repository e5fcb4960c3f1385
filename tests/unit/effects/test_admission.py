"""Certificates are checked by digest and key; what is not known is not refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.players import Store

from edgeramp.effects.admission import AGAIN_AFTER, CERTIFICATE_TYPE, TITLE, StoreAdmissions
from edgeramp.report import signature
from edgeramp.values.quantities import epoch
from edgeramp.values.settings import Settings


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.close()


def _settings(store: Store, **changes: object) -> Settings:
    return replace(Settings(store_host=store.host, public_keys=(store.public_key,)), **changes)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_certified_artifact_is_admitted_with_its_certificate_and_features(store: Store) -> None:
    package = store.package("model")
    found = StoreAdmissions().admit(package.reference, _settings(store))
    assert (found.admitted, found.reason, found.certificate) == (True, "Certified", package.certificate)
    assert found.isa == ("AVX512VNNI",)


def test_what_was_proven_is_remembered_when_the_store_is_away(store: Store) -> None:
    package, admissions = store.package("model"), StoreAdmissions()
    first = admissions.admit(package.reference, _settings(store))
    store.away = True
    assert admissions.admit(package.reference, _settings(store)) is first


def test_a_store_that_is_away_is_unknown_and_asked_again(store: Store) -> None:
    clock, package = Clock(), store.package("model")
    admissions = StoreAdmissions(clock=clock)
    store.away = True
    found = admissions.admit(package.reference, _settings(store))
    assert (found.admitted, found.reason) == (None, "StoreUnavailable")
    assert "HTTP 503" in found.message
    store.away = False
    clock.now += 5
    assert admissions.admit(package.reference, _settings(store)).admitted


def test_a_signed_baseline_is_not_certified(store: Store) -> None:
    found = StoreAdmissions().admit(store.package("model", certified=False).reference, _settings(store))
    assert (found.admitted, found.reason) == (False, "NotCertified")


def test_an_artifact_without_a_certificate_may_get_one_later(store: Store) -> None:
    clock, package = Clock(), store.package("model")
    admissions, tag = StoreAdmissions(clock=clock), package.artifact.replace(":", "-", 1)
    kept = store.content.pop(tag)
    assert admissions.admit(package.reference, _settings(store)).reason == "NotCertified"
    store.content[tag] = kept
    assert admissions.admit(package.reference, _settings(store)).reason == "NotCertified"
    clock.now += AGAIN_AFTER
    assert admissions.admit(package.reference, _settings(store)).admitted


def test_another_key_does_not_count_and_no_key_is_said(store: Store) -> None:
    package, other = store.package("model"), Store()
    other.close()
    strange = StoreAdmissions().admit(package.reference, _settings(store, public_keys=(other.public_key,)))
    assert (strange.admitted, strange.reason) == (False, "BadSignature")
    none = StoreAdmissions().admit(package.reference, _settings(store, public_keys=()))
    assert (none.admitted, none.reason) == (False, "NoPublicKey")


def test_an_added_key_is_tried_without_a_wait(store: Store) -> None:
    package, admissions = store.package("model"), StoreAdmissions()
    assert not admissions.admit(package.reference, _settings(store, public_keys=())).admitted
    assert admissions.admit(package.reference, _settings(store)).admitted


def test_a_manifest_that_is_not_its_digest_is_refused(store: Store) -> None:
    package = store.package("model")
    store.content[package.artifact] = json.dumps({"layers": []}).encode()
    found = StoreAdmissions().admit(package.reference, _settings(store))
    assert (found.admitted, found.reason) == (False, "DigestMismatch")


def test_a_certificate_of_another_artifact_is_refused(store: Store) -> None:
    one, other = store.package("one"), store.package("other")
    tag = "{}".format(one.artifact.replace(":", "-", 1))
    store.content[tag] = store.content[other.artifact.replace(":", "-", 1)]
    found = StoreAdmissions().admit(one.reference, _settings(store))
    assert (found.admitted, found.reason) == (False, "BadSignature")
    assert "the certificate is for" in found.message


def test_a_missing_artifact_is_said(store: Store) -> None:
    missing = store.package("model").reference[:-4] + "0000"
    found = StoreAdmissions().admit(missing, _settings(store))
    assert (found.admitted, found.reason) == (False, "ArtifactMissing")


def test_what_the_certificate_says_of_server_and_time_is_handed_on(store: Store) -> None:
    said = {"framework": "openvino", "precision": "int8", "expiresAt": "2027-11-26T12:00:00Z"}
    found = StoreAdmissions().admit(store.package("model", **said).reference, _settings(store))
    assert (found.framework, found.precision) == ("openvino", "int8")
    assert found.expires_at == epoch("2027-11-26T12:00:00Z")


def test_a_certificate_whose_end_is_no_time_is_refused(store: Store) -> None:
    found = StoreAdmissions().admit(store.package("model", expiresAt="never").reference, _settings(store))
    assert (found.admitted, found.reason) == (False, "NotCertified")


def test_a_signed_statement_of_another_type_is_no_certificate(store: Store) -> None:
    package = store.package("model")
    manifest = json.loads(store.content[package.artifact])
    files = {layer["annotations"][TITLE]: layer["digest"] for layer in manifest["layers"]}
    other = signature.sign(
        files, package.artifact, {"certified": True}, store.private_key, "https://slsa.dev/provenance/v1"
    )
    fake = store.put({"schemaVersion": 2, "layers": [{"digest": store.put(other), "size": 1}]})
    listed = [{"digest": fake, "size": 1, "artifactType": CERTIFICATE_TYPE}]
    store.put({"schemaVersion": 2, "manifests": listed}, tag=package.artifact.replace(":", "-", 1))
    found = StoreAdmissions().admit(package.reference, _settings(store))
    assert (found.admitted, found.reason) == (False, "BadSignature")
    assert "slsa.dev" in found.message


def test_an_altered_certificate_is_refused(store: Store) -> None:
    package = store.package("model", certified=False)
    body = json.loads(store.content[json.loads(store.content[package.certificate])["layers"][0]["digest"]])
    payload = base64.b64decode(body["payload"]).replace(b'"certified":false', b'"certified":true')
    forged = store.put({**body, "payload": base64.b64encode(payload).decode()})
    fake = store.put({"schemaVersion": 2, "layers": [{"digest": forged, "size": 1}]})
    listed = [{"digest": fake, "size": 1, "artifactType": CERTIFICATE_TYPE}]
    store.put({"schemaVersion": 2, "manifests": listed}, tag=package.artifact.replace(":", "-", 1))
    found = StoreAdmissions().admit(package.reference, _settings(store))
    assert (found.admitted, found.reason) == (False, "BadSignature")


def test_after_a_rotation_the_old_key_admits_until_it_is_removed(store: Store) -> None:
    package, new = store.package("model"), Store()
    new.close()
    admissions = StoreAdmissions()
    assert admissions.admit(
        package.reference, _settings(store, public_keys=(new.public_key, store.public_key))
    ).admitted
    gone = admissions.admit(package.reference, _settings(store, public_keys=(new.public_key,)))
    assert (gone.admitted, gone.reason) == (False, "BadSignature")
