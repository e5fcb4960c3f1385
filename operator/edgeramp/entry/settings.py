"""The operator's settings, from the environment. Every variable is described here; the chart sets them.

EDGERAMP_NAMESPACE            where the operator runs and keeps its Leases (edgeramp-system)
EDGERAMP_IMAGES               JSON object: image name -> reference (courier, onnxruntime, openvino, server-…)
EDGERAMP_IMAGE_PULL_POLICY    of Jobs and servers (IfNotPresent)
EDGERAMP_IMAGE_PULL_SECRETS   of Jobs and servers: names of Secrets in their namespace, separated by spaces (none)
EDGERAMP_STORE_HOST           host:port of the OCI registry for artifacts
EDGERAMP_STORE_PLAIN_HTTP     true where that registry speaks plain HTTP
EDGERAMP_SIGNING_SECRET       name of the Secret with key.pem in the namespaces of the models (edgeramp-signing)
EDGERAMP_CERTIFICATE_DAYS     how long a certificate holds after it was signed (365)
EDGERAMP_PUBLIC_KEYS_DIR      folder with the accepted public keys (*.pem, *.pub), read again when it changes
EDGERAMP_GATEWAY_NAMESPACE    where the gateway's proxies run (envoy-gateway-system)
EDGERAMP_GATEWAY_METRICS_PORT of the proxies (19001)
EDGERAMP_CHECK_HOSTS          hosts that checks may ask, separated by spaces: host, host:port, *.suffix (none)
EDGERAMP_JOB_DEADLINE_SECONDS, EDGERAMP_JOB_TTL_SECONDS, EDGERAMP_JOB_MEMORY, EDGERAMP_MAX_ATTEMPTS
EDGERAMP_JOB_PRIORITY_CLASS   an existing PriorityClass for Jobs (the cluster's default)
EDGERAMP_PORT                 of /metrics, /healthz and /readyz (8080)
EDGERAMP_WORKERS              threads that look at objects (8)
EDGERAMP_LOG_LEVEL            DEBUG, INFO, WARNING or ERROR (INFO)
EDGERAMP_LOG_FORMAT           text or json (text)
EDGERAMP_IDENTITY             of the leader, the pod's name (host name)
KUBECONFIG                    outside a cluster only
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeramp.values.settings import Settings

_TEXT = {
    "EDGERAMP_NAMESPACE": "operator_namespace",
    "EDGERAMP_IMAGE_PULL_POLICY": "image_pull_policy",
    "EDGERAMP_STORE_HOST": "store_host",
    "EDGERAMP_SIGNING_SECRET": "signing_secret",
    "EDGERAMP_GATEWAY_NAMESPACE": "gateway_namespace",
    "EDGERAMP_JOB_MEMORY": "job_memory",
    "EDGERAMP_JOB_PRIORITY_CLASS": "job_priority_class",
}
_WORDS = {
    "EDGERAMP_CHECK_HOSTS": "check_hosts",
    "EDGERAMP_IMAGE_PULL_SECRETS": "image_pull_secrets",
}
_NUMBERS = {
    "EDGERAMP_CERTIFICATE_DAYS": "certificate_days",
    "EDGERAMP_GATEWAY_METRICS_PORT": "gateway_metrics_port",
    "EDGERAMP_JOB_DEADLINE_SECONDS": "job_deadline_seconds",
    "EDGERAMP_JOB_TTL_SECONDS": "job_ttl_seconds",
    "EDGERAMP_MAX_ATTEMPTS": "max_attempts",
}


class BadSetting(ValueError):
    """A variable cannot be used; names it and says what to write."""


@dataclass(frozen=True)
class Process:
    """How this process runs, apart from what decisions depend on."""

    settings: Settings = field(default_factory=Settings)
    public_keys_dir: Path | None = None
    port: int = 8080
    workers: int = 8
    log_level: str = "INFO"
    log_json: bool = False
    identity: str = ""
    kubeconfig: str | None = None


def read(environment: Mapping[str, str]) -> Process:
    """All settings. Raises BadSetting."""
    values: dict[str, Any] = {name: environment[key] for key, name in _TEXT.items() if environment.get(key)}
    values |= {name: _number(environment, key) for key, name in _NUMBERS.items() if environment.get(key)}
    plain = _one_of(environment, "EDGERAMP_STORE_PLAIN_HTTP", ("", "true", "false"))
    if plain:
        values["store_plain_http"] = plain == "true"
    values |= {name: tuple(environment[key].split()) for key, name in _WORDS.items() if environment.get(key)}
    values["images"] = _images(environment.get("EDGERAMP_IMAGES") or "{}")
    folder = environment.get("EDGERAMP_PUBLIC_KEYS_DIR")
    return Process(
        settings=Settings(**values),
        public_keys_dir=Path(folder) if folder else None,
        port=_number(environment, "EDGERAMP_PORT", 8080),
        workers=_number(environment, "EDGERAMP_WORKERS", 8),
        log_level=_one_of(environment, "EDGERAMP_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        log_json=_one_of(environment, "EDGERAMP_LOG_FORMAT", ("text", "json")) == "json",
        identity=environment.get("EDGERAMP_IDENTITY") or socket.gethostname(),
        kubeconfig=environment.get("KUBECONFIG") or None,
    )


def with_public_keys(process: Process) -> Callable[[], Settings]:
    """The settings with the public keys as they are in their folder now: what is mounted may change or come later."""
    cache: dict[tuple[tuple[str, int], ...], Settings] = {}

    def current() -> Settings:
        files = _key_files(process.public_keys_dir)
        stamp = tuple((str(path), path.stat().st_mtime_ns) for path in files)
        found = cache.get(stamp)
        if found is None:
            found = replace(process.settings, public_keys=tuple(path.read_text() for path in files))
            cache.clear()
            cache[stamp] = found
        return found

    return current


def _key_files(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in (".pem", ".pub") and path.is_file())


def _number(environment: Mapping[str, str], key: str, default: int = 0) -> int:
    text = environment.get(key) or str(default)
    if not text.isdecimal():
        raise BadSetting(f"{key}={text!r}: write a whole number")
    return int(text)


def _one_of(environment: Mapping[str, str], key: str, choices: tuple[str, ...]) -> str:
    text = environment.get(key) or choices[0]
    if text not in choices:
        raise BadSetting(f"{key}={text!r}: write one of {', '.join(filter(None, choices))}")
    return text


def _images(text: str) -> dict[str, str]:
    try:
        images = json.loads(text)
    except ValueError as error:
        raise BadSetting(f"EDGERAMP_IMAGES is not JSON: {error}") from error
    if not isinstance(images, dict) or not all(isinstance(v, str) for v in images.values()):
        raise BadSetting(
            'EDGERAMP_IMAGES: write an object such as {"courier": "registry/edgeramp/courier:0.1.0"}'
        )
    return images
