"""What an administrator sets once for the operator; read from the environment in `entry`, a plain value elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """`images` maps a role's image name (courier, onnxruntime, openvino, llama-cpp, server-onnxruntime,
    server-openvino) to its reference. `signing_secret` lives in the namespace of the Jobs and holds key.pem (ECDSA
    P-256), `public_keys` are the PEM public keys whose signatures are accepted. `check_hosts` are those that checks may
    ask: `host`, `host:port` or `*.suffix`. `image_pull_secrets` are Secrets of the namespace of a Job or server, which
    pull its images; `job_priority_class` is an existing PriorityClass, empty for the cluster's default."""

    operator_namespace: str = "edgeramp-system"
    images: Mapping[str, str] = field(default_factory=dict)
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    store_host: str = "edgeramp-store.edgeramp-system.svc:5000"
    store_plain_http: bool = True
    signing_secret: str = "edgeramp-signing"
    public_keys: tuple[str, ...] = ()
    certificate_days: int = 365  # how long a certificate holds after it was signed
    gateway_namespace: str = "envoy-gateway-system"
    gateway_metrics_port: int = 19001
    check_hosts: tuple[str, ...] = ()
    job_deadline_seconds: int = 900
    job_ttl_seconds: int = 86400
    max_attempts: int = 2
    threads_extra_cpu: int = (
        1  # CPU limit of a measuring Job = threads + this, see optimization.md, Benchmark
    )
    job_memory: str = "2Gi"
    job_priority_class: str = ""

    def image(self, name: str) -> str:
        """The reference of the image `name`; KeyError names what the chart must set."""
        if name not in self.images:
            raise KeyError(f"no image is configured for {name!r}; set images.{name} in the chart's values")
        return self.images[name]
