"""Puts the certification report together: the operator's findings, and what other Jobs' reports in the store add.

Those reports are read as data of strangers: by digest, small, against the schema. What does not fit is left out and
said in the log; a plot less is no reason to fail a package.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgeramp.report.certification import CertificationReport, ClassQuality, Distribution, Findings
from edgeramp.values.quantities import timestamp
from edgeramp_harness.errors import JobError
from edgeramp_harness.log import say
from edgeramp_harness.store import Artifact, Registry

MAX_REPORT = 16 * 1024 * 1024
REPORT_JSON = "report.json"
_CLASSES = TypeAdapter(tuple[ClassQuality, ...])


def assemble(
    found: Findings, artifact: Artifact, key_id: str, registry: Registry, now: float
) -> CertificationReport:
    """The report; `now`, seconds since the epoch, begins its validity."""
    measured, certified = (_stored(registry, d) for d in (found.evidence.measure, found.evidence.certify))
    return CertificationReport(
        **{name: getattr(found, name) for name in Findings.model_fields},
        issued_at=timestamp(now),
        expires_at=timestamp(now + 86400 * found.validity.days),
        artifact=artifact.digest,
        size_bytes=artifact.size_bytes,
        key_id=key_id,
        distribution=_distribution(measured.get("distribution")),
        classes=_classes(certified.get("classes", [])),
    )


def dated(certificate: Mapping[str, object], report: CertificationReport, digest: str) -> dict[str, object]:
    """The certificate with what is known only when it is signed: the time, and the report that the signature covers too."""
    found = {"issuedAt": report.issued_at, "expiresAt": report.expires_at, "report": digest}
    return {**certificate, **found}


def _stored(registry: Registry, digest: str | None) -> dict[str, Any]:
    """The report.json of another Job; empty where there is none fit to be read."""
    if digest is None:
        return {}
    try:
        artifact = registry.find(digest)
        size = next((layer.size for layer in artifact.layers if layer.title == REPORT_JSON), 0)
        if not 0 < size <= MAX_REPORT:
            say(f"the report {digest[:19]} holds no {REPORT_JSON} of up to 16 MiB; its plots are left out")
            return {}
        with tempfile.TemporaryDirectory() as folder:
            registry.pull(digest, Path(folder))
            body = json.loads((Path(folder) / REPORT_JSON).read_bytes(), parse_constant=_not_json)
    except (JobError, ValueError, RecursionError) as error:
        if isinstance(error, JobError) and error.code.retryable:
            raise
        say(f"the report {digest[:19]} cannot be read, its plots are left out: {error}")
        return {}
    return body if isinstance(body, dict) else {}


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _distribution(found: Any) -> Distribution | None:
    try:
        return None if found is None else Distribution.model_validate(found)
    except ValidationError as error:
        say(f"no latency distribution: {error.error_count()} values are not what they should be")
        return None


def _classes(found: Any) -> tuple[ClassQuality, ...]:
    try:
        return _CLASSES.validate_python(found)
    except ValidationError as error:
        say(f"no accuracy per class: {error.error_count()} values are not what they should be")
        return ()
