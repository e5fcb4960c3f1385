"""What an administrator sets once for the operator; read from the environment in `entry`, a plain value elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Settings:
    """`images` maps a role's image name (courier, onnxruntime, openvino, server-onnxruntime, server-openvino) to its
    reference. `signing_secret` lives in the namespace of the Jobs and holds key.pem (ECDSA P-256), `public_keys` are
    the PEM public keys whose signatures are accepted."""

    operator_namespace: str = "edgeramp-system"
    images: Mapping[str, str] = field(default_factory=dict)
    image_pull_policy: str = "IfNotPresent"
    store_host: str = "edgeramp-store.edgeramp-system.svc:5000"
    store_plain_http: bool = True
    signing_secret: str = "edgeramp-signing"
    public_keys: tuple[str, ...] = ()
    gateway_namespace: str = "envoy-gateway-system"
    gateway_metrics_port: int = 19001
    job_deadline_seconds: int = 900
    job_ttl_seconds: int = 86400
    max_attempts: int = 2
    threads_extra_cpu: int = (
        1  # CPU limit of a measuring Job = threads + this, see optimization.md, Benchmark
    )
    job_memory: str = "2Gi"

    def image(self, name: str) -> str:
        """The reference of the image `name`; KeyError names what the chart must set."""
        if name not in self.images:
            raise KeyError(f"no image is configured for {name!r}; set images.{name} in the chart's values")
        return self.images[name]


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings from EDGERAMP_<FIELD IN UPPER CASE>, as the chart sets them (charts/edgeramp/templates/settings.yaml).

    EDGERAMP_IMAGES is a JSON object, EDGERAMP_PUBLIC_KEYS the PEM blocks one after the other. What is missing or empty
    keeps its default. Raises ValueError that names the variable.
    """
    given: dict[str, Any] = {}
    for item in fields(Settings):
        variable = f"EDGERAMP_{item.name.upper()}"
        text = environment.get(variable, "").strip()
        if text:
            try:
                given[item.name] = _READERS[str(item.type)](text)
            except ValueError as error:
                raise ValueError(f"{variable}={text[:80]!r}: {error}") from error
    return Settings(**given)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("write true or false")
    return text == "true"


def _images(text: str) -> dict[str, str]:
    images = json.loads(text)
    if not isinstance(images, dict) or not all(isinstance(v, str) for v in images.values()):
        raise ValueError('write a JSON object such as {"courier": "edgeramp/courier:1"}')
    return images


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(re.findall(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", text, re.DOTALL))
    if not keys:
        raise ValueError("write PEM blocks that begin with -----BEGIN PUBLIC KEY-----")
    return keys


_READERS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "bool": _flag,
    "Mapping[str, str]": _images,
    "tuple[str, ...]": _keys,
}
