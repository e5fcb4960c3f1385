"""What a server is told, by environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """A variable is missing or makes no sense; the server ends at once and says which."""


@dataclass(frozen=True)
class Settings:
    """`artifact` is the manifest digest the server must find in `model_dir`. `workers` inferences run at once, `queue`
    more may wait, the rest is answered 503. `drain_seconds` is how long requests are still taken after SIGTERM."""

    model_name: str
    framework: str
    artifact: str
    model_dir: Path = Path("/models")
    precision: str = "f32"
    threads: int = 1
    workers: int = 1
    queue: int = 64
    port: int = 8080
    drain_seconds: float = 5.0

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Settings:
        """Raises SettingsError naming the variable."""
        for name in ("EDGERAMP_MODEL_NAME", "EDGERAMP_ARTIFACT", "EDGERAMP_FRAMEWORK"):
            if not env.get(name):
                raise SettingsError(f"{name} is not set")
        digest = env["EDGERAMP_ARTIFACT"].rpartition("@")[2]
        if not digest.startswith("sha256:") or len(digest) != 71:
            raise SettingsError(f"EDGERAMP_ARTIFACT is {env['EDGERAMP_ARTIFACT']!r}, not a digest sha256:…")
        return cls(
            model_name=env["EDGERAMP_MODEL_NAME"],
            framework=env["EDGERAMP_FRAMEWORK"],
            artifact=digest,
            model_dir=Path(env.get("EDGERAMP_MODEL_DIR", "/models")),
            precision=env.get("EDGERAMP_PRECISION", "f32"),
            threads=_positive(env, "EDGERAMP_THREADS", 1),
            workers=_positive(env, "EDGERAMP_WORKERS", 1),
            queue=_positive(env, "EDGERAMP_QUEUE", 64),
            port=_positive(env, "EDGERAMP_PORT", 8080),
            drain_seconds=float(env.get("EDGERAMP_DRAIN_SECONDS", "5")),
        )


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number of at least 1")
    return int(text)
