"""The signing key pair: one private key per installation, in the users' namespaces; public keys for the operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgeramp.cli import keygen
from edgeramp.report import signature
from edgeramp.values.errors import ArtifactError


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_what_the_secret_signs_the_public_key_of_the_values_verifies(tmp_path: Path) -> None:
    assert keygen.main(["--namespace", "default", "--out", str(tmp_path)]) == 0
    secret, _ = _documents(tmp_path / "manifests.yaml")
    (values,) = _documents(tmp_path / "values.yaml")
    private = serialization.load_pem_private_key(secret["stringData"]["key.pem"].encode(), None)
    public = serialization.load_pem_public_key(values["signing"]["publicKeys"][0].encode())
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(private.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256()))


def test_more_namespaces_later_get_the_same_key(tmp_path: Path) -> None:
    keygen.write(tmp_path, ["default"])
    before = (tmp_path / "public.pem").read_text()
    keygen.write(tmp_path, ["default", "team-a"])
    assert (tmp_path / "public.pem").read_text() == before
    found = [(d["kind"], d["metadata"]["namespace"]) for d in _documents(tmp_path / "manifests.yaml")]
    assert found == [
        ("Secret", "default"), ("ConfigMap", "default"), ("Secret", "team-a"), ("ConfigMap", "team-a"),
    ]  # fmt: skip


def test_only_the_owner_can_read_the_private_key_and_it_is_in_no_other_file(tmp_path: Path) -> None:
    keygen.write(tmp_path, ["default"])
    for name in ("key.pem", "manifests.yaml"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    for name in ("public.pem", "values.yaml"):
        assert "PRIVATE" not in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    "content", ["nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_that_is_none_is_refused(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key.pem").write_text(content)
    assert keygen.main(["--namespace", "default", "--out", str(tmp_path)]) == 1
    assert "could not make the signing key" in capsys.readouterr().err


def _accepted(out: Path) -> list[str]:
    (values,) = _documents(out / "values.yaml")
    return list(values["signing"]["publicKeys"])


def test_a_rotated_key_signs_and_the_old_one_still_admits_until_it_is_removed(tmp_path: Path) -> None:
    keygen.write(tmp_path, ["default"])
    old_private = (tmp_path / "key.pem").read_bytes()
    manifest = f"sha256:{'b' * 64}"
    old = signature.sign({}, manifest, {}, old_private)
    assert keygen.main(["--namespace", "default", "--out", str(tmp_path), "--rotate"]) == 0
    new = signature.sign({}, manifest, {}, (tmp_path / "key.pem").read_bytes())
    assert old_private != (tmp_path / "key.pem").read_bytes()

    keys = [key.encode() for key in _accepted(tmp_path)]
    assert len(keys) == 2
    assert signature.verify(new, keys).key_id == signature.key_id(keys[0]), "the new key is the first"
    assert signature.verify(old, keys).key_id == signature.key_id(keys[1])

    for retired in tmp_path.glob("retired-*.pem"):
        retired.unlink()
    keygen.write(tmp_path, ["default"])
    keys = [key.encode() for key in _accepted(tmp_path)]
    assert signature.verify(new, keys)
    with pytest.raises(ArtifactError, match="does not verify"):
        signature.verify(old, keys)


def test_the_chart_learns_of_a_rotated_key_before_anything_is_signed_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keygen.write(tmp_path, ["default"])
    keygen.main(["--namespace", "default", "--out", str(tmp_path), "--rotate"])
    said = capsys.readouterr().out
    assert said.index("helm upgrade") < said.index("kubectl apply")


def test_rotating_twice_keeps_both_and_cut_off_before_the_new_key_loses_none(tmp_path: Path) -> None:
    keygen.write(tmp_path, ["default"])
    keygen.rotate(tmp_path)
    keygen.rotate(tmp_path)
    keygen.write(tmp_path, ["default"])
    assert len(_accepted(tmp_path)) == 3
    assert all("PRIVATE" not in key for key in _accepted(tmp_path))
    current = (tmp_path / "public.pem").read_text()
    (tmp_path / "retired-current.pem").write_text(current)  # kept, and then the machine went down
    keygen.write(tmp_path, ["default"])
    assert _accepted(tmp_path).count(current) == 1


def test_there_is_nothing_to_rotate_before_the_first_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keygen.main(["--namespace", "default", "--out", str(tmp_path), "--rotate"]) == 1
    assert "leave out --rotate" in capsys.readouterr().err
