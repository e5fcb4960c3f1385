"""Names that users and other tools see: API group, labels, annotations, well-known resources."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

GROUP = "edgeramp.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FIELD_MANAGER = "edgeramp"
STATUS_MANAGER = "edgeramp-status"

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_MODEL = f"{GROUP}/model"
LABEL_TARGET = f"{GROUP}/target"
LABEL_RUN = f"{GROUP}/run"
LABEL_ROLLOUT = f"{GROUP}/rollout"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_ROLE = f"{GROUP}/role"
LABEL_CANDIDATE = f"{GROUP}/candidate"
LABEL_MEASUREMENT_HOST = f"{GROUP}/measurement-host"

ANNOTATION_PROMOTE = f"{GROUP}/promote"
ANNOTATION_PROMOTE_FULL = f"{GROUP}/promote-full"
ANNOTATION_ABORT = f"{GROUP}/abort"
ANNOTATION_RETRY = f"{GROUP}/retry"
ANNOTATION_ROLLBACK = f"{GROUP}/rollback"
ANNOTATION_APPROVE = f"{GROUP}/approve"  # on an EdgeModel with promotion: Manual
VERB_ANNOTATIONS = (ANNOTATION_ABORT, ANNOTATION_RETRY, ANNOTATION_PROMOTE_FULL, ANNOTATION_PROMOTE)
ANNOTATION_CERTIFICATE = f"{GROUP}/certificate"

CONFIGMAP_FREEZE = "edgeramp-freeze"  # in the operator's namespace: no ramp grows while it is there
FINALIZER_ROLLOUT = f"{GROUP}/rollout"
TRACK_HEADER = "x-edgeramp-track"

_LABEL_SAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, so it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def short_hash(value: Any, length: int = 10) -> str:
    """The first `length` hex digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def bounded_name(*parts: str, limit: int = 52) -> str:
    """Join parts with '-' into a DNS label; what does not fit is replaced by a hash, so names stay distinct.

    The limit of 52 leaves room for the suffixes Kubernetes adds to Jobs' and Deployments' pods (63 in all).
    """
    name = "-".join(parts).lower()
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-.')}-{short_hash(name, 8)}"


def label_value(text: str) -> str:
    """`text` as a legal label value (at most 63 characters)."""
    return _LABEL_SAFE.sub("_", text)[:63].strip("_.-")
