"""fetch: the init container of a server. Downloads an artifact, verifies every digest, writes down what it verified."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgeramp_harness.errors import JobError, bad_spec
from edgeramp_harness.job import TERMINATION_DEFAULT, write_failure
from edgeramp_harness.log import human_bytes, say
from edgeramp_harness.store import Reference, Registry

RECORD = Path(".edgeramp/manifest.json")


def main(argv: list[str]) -> int:
    """Exit codes of the Job contract; a summary of a failure goes to the termination message."""
    parser = argparse.ArgumentParser(prog="edgeramp_harness fetch")
    parser.add_argument("--artifact", required=True, help="oci://HOST/REPOSITORY@sha256:…")
    parser.add_argument("--dest", type=Path, required=True)
    parser.add_argument("--plain-http", action="store_true", help="the registry has no TLS")
    parser.add_argument("--termination", type=Path, default=TERMINATION_DEFAULT)
    args = parser.parse_args(argv)
    try:
        fetch(args.artifact, args.dest, args.plain_http)
    except JobError as error:
        return write_failure(error, args.termination)
    return 0


def fetch(uri: str, dest: Path, plain_http: bool) -> None:
    """All files under `dest`, then the record that the server checks them against."""
    reference = Reference.parse(uri)
    if not reference.reference.startswith("sha256:"):
        raise bad_spec(f"{uri}: a server is started from a digest, never from a tag")
    say(f"fetching {uri}")
    artifact = Registry(reference.host, reference.repository, plain_http).pull(reference.reference, dest)
    for layer in artifact.layers:
        say(f"verified {layer.title}: {human_bytes(layer.size)}, {layer.digest}")
    record = dest / RECORD
    record.parent.mkdir(parents=True, exist_ok=True)
    files = [{"path": f.title, "digest": f.digest, "size": f.size} for f in artifact.layers]
    part = record.with_name("manifest.json.part")
    part.write_text(json.dumps({"artifact": artifact.digest, "files": files}, indent=1))
    part.replace(record)
    say(f"artifact {artifact.digest} is complete in {dest}")
