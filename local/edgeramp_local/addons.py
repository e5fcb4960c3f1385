"""What every cluster gets on top of plain Kubernetes: names, storage, and a gateway."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path

from . import tools
from .config import DNS_IP, GATEWAY_NAMESPACE, LOCAL, STORAGE_NAMESPACE, kubeconfig, state_dir
from .controlplane import condition, get, kubectl
from .shell import CommandFailed, Missing, run, wait_for, write_atomic

DEPLOYMENTS = (
    ("kube-system", "coredns"),
    (STORAGE_NAMESPACE, "local-path-provisioner"),
    (GATEWAY_NAMESPACE, "envoy-gateway"),
)
_NODE_SELECTOR = {"edgeramp.dev/hardware-class": "gateway"}


def manifest(name: str, refs: dict[str, str]) -> str:
    """A manifest of local/manifests with the images and addresses of this cluster filled in."""
    values = {f"IMAGE_{image.upper().replace('-', '_')}": ref for image, ref in refs.items()}
    values |= {"DNS_IP": DNS_IP, "GATEWAY_NAMESPACE": GATEWAY_NAMESPACE}
    return string.Template((LOCAL / "manifests" / f"{name}.yaml").read_text()).substitute(values)


def apply(text: str) -> None:
    """Server-side apply; raises CommandFailed."""
    kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=edgeramp-local", "-f", "-", stdin=text
    )


def install(refs: dict[str, str]) -> None:
    """Install everything; `wait_available` tells when it works."""
    install_dns(refs)
    install_storage(refs)
    install_gateway(refs)


def install_dns(refs: dict[str, str]) -> None:
    """CoreDNS at the address that the kubelets hand to pods."""
    apply(manifest("coredns", refs))


def install_storage(refs: dict[str, str]) -> None:
    """The default StorageClass `local-path` (also called `standard`, as in kind)."""
    apply(manifest("local-path-provisioner", refs))


def install_gateway(refs: dict[str, str]) -> None:
    """Envoy Gateway from its own chart, and the GatewayClass `eg`."""
    chart = gateway_chart(refs)
    crds = sorted((chart / "charts" / "crds" / "crds").rglob("*.yaml"))
    files = [word for path in crds for word in ("-f", path)]
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=edgeramp-local", *files)
    helm(
        "upgrade",
        "--install",
        "eg",
        chart,
        "--namespace",
        GATEWAY_NAMESPACE,
        "--create-namespace",
        "--skip-crds",
        "--values",
        state_dir() / "conf" / "gateway-values.json",
        "--timeout",
        "3m",
    )
    apply(manifest("gateway", refs))


def gateway_chart(refs: dict[str, str]) -> Path:
    """A copy of Envoy Gateway's chart with its values template filled in, and our values beside it."""
    source = tools.gateway_chart()
    target = state_dir() / "conf" / "gateway-helm"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    image = refs["envoy-gateway"]
    template = string.Template((source / "values.tmpl.yaml").read_text())
    (target / "values.yaml").write_text(
        template.substitute(GatewayImage=image, GatewayImagePullPolicy="IfNotPresent")
    )
    write_atomic(state_dir() / "conf" / "gateway-values.json", json.dumps(gateway_values(refs)))
    return target


def gateway_values(refs: dict[str, str]) -> dict[str, object]:
    """Our values: our images only, small, on the gateway node."""
    provider = {"type": "Kubernetes", "kubernetes": {"shutdownManager": {"image": refs["envoy-gateway"]}}}
    return {
        "global": {
            "images": {
                "envoyGateway": {"image": refs["envoy-gateway"], "pullPolicy": "IfNotPresent"},
                "envoyProxy": {"image": refs["envoy"]},
            }
        },
        "config": {"envoyGateway": {"provider": provider, "logging": {"level": {"default": "warn"}}}},
        "deployment": {
            "envoyGateway": {
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
                "readinessProbe": {"periodSeconds": 1},
            },
            "pod": {"nodeSelector": _NODE_SELECTOR},
        },
        "certgen": {"job": {"nodeSelector": _NODE_SELECTOR}},
        # Zone labels do not exist here, and the webhook would stand in the way of every pod of the namespace.
        "topologyInjector": {"enabled": False},
    }


def client_env() -> dict[str, str]:
    """The environment in which kubectl and Helm act on this cluster and keep their files with its state."""
    home = str(state_dir() / "helm")
    return {
        "KUBECONFIG": str(kubeconfig()),
        "HELM_CACHE_HOME": home,
        "HELM_CONFIG_HOME": home,
        "HELM_DATA_HOME": home,
    }


def helm(*argv: str | Path) -> str:
    """Run the built Helm on the cluster; its output."""
    return run([tools.binary("helm"), *argv], env=client_env()).stdout


def available(namespace: str, name: str) -> bool:
    """Whether a Deployment is there and available, as of its newest generation."""
    try:
        found = get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    except OSError:
        return False
    seen = found.get("status", {}).get("observedGeneration", 0) >= found["metadata"]["generation"]
    return seen and condition(found, "Available")


def gateway_accepted() -> bool:
    """Whether Envoy Gateway has accepted the class `eg`."""
    try:
        return condition(get("/apis/gateway.networking.k8s.io/v1/gatewayclasses/eg"), "Accepted")
    except OSError:
        return False


def wait_available(timeout: float = 120) -> None:
    """Wait until every addon is available; raises Missing with what its pods say."""
    for namespace, name in DEPLOYMENTS:
        try:
            wait_for(f"deployment {namespace}/{name}", lambda n=namespace, d=name: available(n, d), timeout)  # type: ignore[misc]
        except Missing as error:
            raise CommandFailed(
                f"{error}\n{kubectl('-n', namespace, 'get', 'pods,events', check=False)}"
            ) from error
    wait_for("GatewayClass eg to be accepted", gateway_accepted, timeout)
