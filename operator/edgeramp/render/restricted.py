"""What the restricted Pod Security profile asks of every pod that we make."""

from __future__ import annotations

from typing import Any

from edgeramp.values.settings import Settings

UID = 10001


def pod(**more: object) -> dict[str, Any]:
    """securityContext of a pod, with `more`."""
    user = {"runAsNonRoot": True, "runAsUser": UID, "runAsGroup": UID}
    return {**user, "seccompProfile": {"type": "RuntimeDefault"}, **more}


def container(**more: object) -> dict[str, Any]:
    """securityContext of a container, with `more`."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **more}


def pull_secrets(settings: Settings) -> dict[str, Any]:
    """imagePullSecrets of a pod with images of ours; nothing when none are configured."""
    names = settings.image_pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in names]} if names else {}
