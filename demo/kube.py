"""The few reads and writes of the Kubernetes API that the demo needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from demo import paths, shell
from edgeramp.values.names import GROUP, LABEL_MODEL, LABEL_TARGET, VERSION

Object = dict[str, Any]


class Kube:
    """A client of the demo's cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        self.api = config.new_client_from_config(str(kubeconfig))
        self._custom = client.CustomObjectsApi(self.api)
        self._core = client.CoreV1Api(self.api)
        self._batch = client.BatchV1Api(self.api)

    def get(self, plural: str, name: str, namespace: str = paths.NAMESPACE) -> Object | None:
        """One of our objects; None when it is not there."""
        try:
            return dict(self._custom.get_namespaced_custom_object(GROUP, VERSION, namespace, plural, name))
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def items(self, plural: str, namespace: str = paths.NAMESPACE, group: str = GROUP) -> list[Object]:
        """All of ours (or of another group) in the namespace; empty when the kind is not known."""
        version = VERSION if group == GROUP else "v1"
        try:
            found = self._custom.list_namespaced_custom_object(group, version, namespace, plural)
        except ApiException as error:
            if error.status == 404:
                return []
            raise
        return list(found["items"])

    def routes(self) -> list[Object]:
        return self.items("httproutes", group="gateway.networking.k8s.io")

    def jobs(self) -> list[Object]:
        found = self._batch.list_namespaced_job(paths.NAMESPACE).items
        return [self.api.sanitize_for_serialization(job) for job in found]

    def delete(self, plural: str, name: str) -> None:
        """Ask for deletion; what is gone already is fine."""
        try:
            self._custom.delete_namespaced_custom_object(
                GROUP, VERSION, paths.NAMESPACE, plural, name, propagation_policy="Foreground"
            )
        except ApiException as error:
            if error.status != 404:
                raise

    def ready_pods(self, namespace: str, labels: str) -> list[tuple[str, str]]:
        """Name and address of the pods that are Ready."""
        pods = self._core.list_namespaced_pod(namespace, label_selector=labels).items
        return [(p.metadata.name, p.status.pod_ip) for p in pods if p.status.pod_ip and _is_ready(p)]

    def nodes(self) -> list[Object]:
        return [self.api.sanitize_for_serialization(n) for n in self._core.list_node().items]

    def server_version(self) -> str:
        return str(client.VersionApi(self.api).get_code().git_version)


def apply(path: Path) -> str:
    """`kubectl apply` of a file, as a person would do it. Raises CommandFailed with the API server's words."""
    return shell.output([*paths.kubectl(), "apply", "-f", str(path)]).strip()


def matching(nodes: Iterable[Object], selector: dict[str, str]) -> list[str]:
    """Names of the nodes with all labels of `selector`."""
    wanted = selector.items()
    return [n["metadata"]["name"] for n in nodes if wanted <= (n["metadata"].get("labels") or {}).items()]


def manifest(path: Path) -> Object:
    """The first document of a YAML file."""
    return dict(next(d for d in yaml.safe_load_all(path.read_text()) if d))


def of_model(items: Iterable[Object], model: str) -> list[Object]:
    return [i for i in items if (i["metadata"].get("labels") or {}).get(LABEL_MODEL) == model]


def target_of(item: Object) -> str:
    return str((item["metadata"].get("labels") or {}).get(LABEL_TARGET, ""))


def condition(item: Object | None, kind: str) -> Object:
    """A condition of an object; empty when it is not there."""
    have = ((item or {}).get("status") or {}).get("conditions") or []
    return next((c for c in have if c["type"] == kind), {})


def _is_ready(pod: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
