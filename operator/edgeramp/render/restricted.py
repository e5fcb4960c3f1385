"""What the restricted Pod Security profile asks of every pod that we make."""

from __future__ import annotations

from typing import Any

UID = 10001


def pod(**more: object) -> dict[str, Any]:
    """securityContext of a pod, with `more`."""
    user = {"runAsNonRoot": True, "runAsUser": UID, "runAsGroup": UID}
    return {**user, "seccompProfile": {"type": "RuntimeDefault"}, **more}


def container(**more: object) -> dict[str, Any]:
    """securityContext of a container, with `more`."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **more}
