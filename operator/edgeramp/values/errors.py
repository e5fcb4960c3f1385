"""The five ways in which work can fail, each with what follows from it (style.md, Errors)."""

from __future__ import annotations


class EdgerampError(Exception):
    """Base of all our errors."""


class SpecError(EdgerampError):
    """The user must edit the object: names the field path and the remedy."""

    def __init__(self, field: str, advice: str) -> None:
        super().__init__(f"{field}: {advice}")
        self.field = field
        self.advice = advice


class ArtifactError(EdgerampError):
    """An artifact is missing or is not what its digest says; a mismatch is final."""


class EvidenceError(EdgerampError):
    """A metrics source could not be read; hold, back off, say so."""


class ClusterError(EdgerampError):
    """The API server refused or could not be reached."""


class Conflict(ClusterError):
    """Somebody changed the object meanwhile: look again."""


class Forbidden(ClusterError):
    """RBAC refuses; the message names verb and resource."""


class Unavailable(ClusterError):
    """The API server cannot be reached or asks to wait: back off."""


class InvariantBroken(EdgerampError):
    """A bug of ours: hold, say so, count it."""
