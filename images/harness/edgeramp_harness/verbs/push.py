"""push: put files into a registry as an artifact of the contract; used by examples and people, not by Jobs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgeramp_harness.errors import JobError
from edgeramp_harness.log import human_bytes
from edgeramp_harness.store import Reference, Registry


def main(argv: list[str]) -> int:
    """Prints the manifest digest on stdout, everything else on stderr."""
    parser = argparse.ArgumentParser(prog="edgeramp_harness push")
    parser.add_argument("--dest", required=True, help="oci://HOST/REPOSITORY:TAG")
    parser.add_argument("--plain-http", action="store_true", help="the registry has no TLS")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="FILE or TITLE=FILE")
    args = parser.parse_args(argv)
    files: dict[str, Path] = {}
    for entry in map(str, args.files):
        title, _, path = entry.rpartition("=")
        files[title or Path(path).name] = Path(path)
    try:
        reference = Reference.parse(args.dest)
        pushed = Registry(reference.host, reference.repository, args.plain_http).push(
            files, tag=reference.reference
        )
    except (JobError, OSError) as error:
        sys.stderr.write(f"not pushed: {error}\n")
        return int(error.code) if isinstance(error, JobError) else 20
    sys.stderr.write(f"pushed {len(files)} files, {human_bytes(pushed.size_bytes)}, to {args.dest}\n")
    sys.stdout.write(pushed.digest + "\n")
    return 0
