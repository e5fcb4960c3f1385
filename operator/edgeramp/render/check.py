"""The Job of a check: the user's image, once, without a token or privileges."""

from __future__ import annotations

from typing import Any

from edgeramp.api.checks import JobCheck
from edgeramp.render import restricted
from edgeramp.render.server import RolloutRef
from edgeramp.values.names import GROUP, LABEL_MANAGED_BY, LABEL_ROLE, label_value, short_hash

ROLE = "check"
LABEL_CHECK_OF = f"{GROUP}/check-of"
"""Names the Rollout. Its own label is left to servers: that one is what autoscalers count."""
TTL_SECONDS = 3600


def job_name(ref: RolloutRef, check: str, started_at: float, number: int) -> str:
    """The same measurement has the same name, so that it is never made twice."""
    return f"check-{short_hash([ref.uid, check, started_at], 12)}-{number}"


def check_job(ref: RolloutRef, name: str, check: JobCheck) -> dict[str, Any]:
    """The manifest of one measurement."""
    labels = {LABEL_MANAGED_BY: "edgeramp", LABEL_ROLE: ROLE, LABEL_CHECK_OF: label_value(ref.name)}
    container = {
        "name": "check",
        "image": check.image,
        **({"command": list(check.command)} if check.command else {}),
        **({"args": list(check.args)} if check.args else {}),
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },
        "securityContext": restricted.container(),
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": restricted.pod(),
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": ref.namespace,
            "labels": labels,
            "ownerReferences": [ref.owner()],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": check.timeout_seconds,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
