"""`python -m edgeramp.cli.keygen`: the key pair that signs certificates, as manifests and as chart values.

Package Jobs sign in the users' namespaces with the private key in a Secret there; the operator is given public keys
only, by the chart. So the pair is made here, before either, and the private key never passes through the operator.

`--rotate` makes a new pair. The old public key stays accepted, as retired-<key id>.pem, until that file is removed and
values.yaml is written and installed again; the old private key is gone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgeramp.report import signature
from edgeramp.values.names import LABEL_MANAGED_BY
from edgeramp.values.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Write key.pem, public.pem, manifests.yaml and values.yaml into a folder; an existing key.pem is used again."""
    parser = argparse.ArgumentParser(prog="edgeramp-keygen", description=__doc__)
    parser.add_argument(
        "--namespace", action="append", required=True, help="one that has EdgeModels; repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("signing"), help="folder to write into")
    parser.add_argument(
        "--secret", default=Settings.signing_secret, help="name of the Secret (signing.secretName)"
    )
    parser.add_argument(
        "--rotate",
        action="store_true",
        help="a new key; the old public key stays accepted until its file is removed",
    )
    options = parser.parse_args(argv)
    try:
        if options.rotate:
            rotate(options.out)
        write(options.out, options.namespace, options.secret)
    except (OSError, ValueError) as error:
        print(f"could not make the signing key: {error}", file=sys.stderr)
        return 1
    secrets = f"kubectl apply --filename {options.out}/manifests.yaml"
    chart = f"helm upgrade --install edgeramp charts/edgeramp --values {options.out}/values.yaml ..."
    # A rotated key is accepted before anything is signed with it.
    print(*((chart, secrets) if options.rotate else (secrets, chart)), sep="\n")
    print(f"Keep {options.out}/key.pem secret: whoever has it can certify.")
    return 0


def rotate(out: Path) -> None:
    """Replace key.pem; its public half is kept first, so that nothing certified is lost if this is cut off."""
    private = out / "key.pem"
    if not private.exists():
        raise ValueError(f"there is no {private} to rotate; leave out --rotate to make the first key")
    public = public_key(private.read_text(encoding="ascii"))
    name = f"retired-{signature.key_id(public.encode('ascii'))[:16]}.pem"
    (out / name).write_text(public, encoding="ascii")
    _write_private(private, new_key())


def write(out: Path, namespaces: Sequence[str], secret: str = Settings.signing_secret) -> None:
    """The four files. Running it again with more namespaces keeps the key."""
    out.mkdir(parents=True, exist_ok=True)
    private = out / "key.pem"
    if not private.exists():
        _write_private(private, new_key())
    key = private.read_text(encoding="ascii")
    public = public_key(key)
    (out / "public.pem").write_text(public, encoding="ascii")
    retired = [path.read_text(encoding="ascii") for path in sorted(out.glob("retired-*.pem"))]
    accepted = [public, *(old for old in retired if old != public)]
    (out / "values.yaml").write_text(_yaml([{"signing": {"secretName": secret, "publicKeys": accepted}}]))
    _write_private(
        out / "manifests.yaml", _yaml([m for n in namespaces for m in manifests(n, secret, key, public)])
    )


def new_key() -> str:
    """A new ECDSA P-256 private key as PKCS #8 PEM."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode("ascii")


def public_key(private: str) -> str:
    """The public half as PEM. Raises ValueError for anything but an ECDSA P-256 key."""
    key = serialization.load_pem_private_key(private.encode("ascii"), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ValueError("key.pem is not an ECDSA P-256 key; remove it to have a new one made")
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode("ascii")


def manifests(namespace: str, secret: str, private: str, public: str) -> list[dict[str, Any]]:
    """The Secret for package Jobs, and a ConfigMap of that name by which it is seen that the key is there."""
    meta = {"name": secret, "namespace": namespace, "labels": {LABEL_MANAGED_BY: "edgeramp"}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "type": "Opaque",
            "stringData": {"key.pem": private},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"public.pem": public}},
    ]


def _yaml(documents: list[dict[str, Any]]) -> str:
    return str(yaml.safe_dump_all(documents, sort_keys=False, default_style=None))


def _write_private(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
