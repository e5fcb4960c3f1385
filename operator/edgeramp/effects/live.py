"""The cluster behind the Kubernetes API: plain JSON over the official client's transport (TLS, credentials, pools).

Objects stay dicts: a typed client would drop what it does not know. Every call has a timeout; what can be repeated is
repeated once after a broken connection, everything else is for the caller's backoff."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
from kubernetes import client, config

from edgeramp.effects.cluster import Labels, Object
from edgeramp.effects.kinds import Kind, Ref, path, ref, resource
from edgeramp.effects.records import Records
from edgeramp.values.errors import ClusterError, Conflict, Forbidden, Unavailable
from edgeramp.values.names import FIELD_MANAGER, STATUS_MANAGER

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 15.0
PAGE = 500


def configuration(kubeconfig: str | None = None, context: str | None = None) -> client.Configuration:
    """Credentials: the kubeconfig file when named, else the pod's service account, else the user's kubeconfig."""
    chosen = client.Configuration()
    if kubeconfig or context:
        config.load_kube_config(config_file=kubeconfig, context=context, client_configuration=chosen)  # type: ignore[no-untyped-call]
    else:
        try:
            config.load_incluster_config(client_configuration=chosen)  # type: ignore[no-untyped-call]
        except config.ConfigException:
            config.load_kube_config(client_configuration=chosen)  # type: ignore[no-untyped-call]
    chosen.retries = False
    chosen.connection_pool_maxsize = 32
    return chosen


def selector(labels: Labels) -> str:
    """A label selector in the API's syntax."""
    terms = []
    for key, want in labels.items():
        match want:
            case None:
                terms.append(key)
            case str():
                terms.append(f"{key}={want}")
            case _:
                terms.append(f"{key} in ({','.join(want)})")
    return ",".join(terms)


class LiveCluster(Records):
    """See Cluster. Safe to use from several threads."""

    def __init__(
        self,
        access: client.Configuration,
        namespace: str = "edgeramp-system",
        clock: Callable[[], float] = time.time,
        manager: str = FIELD_MANAGER,
    ) -> None:
        super().__init__(namespace, clock)
        self._manager = manager
        self._api = client.ApiClient(access)

    def get(self, ref: Ref) -> Object | None:
        return self._call("get", "GET", ref.of, ref.namespace, ref.name)

    def list(
        self, kind: Kind, namespace: str | None = None, labels: Labels | None = None
    ) -> tuple[Object, ...]:
        items: list[Object] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector(labels)} if labels else {})
        while True:
            page = self._call("list", "GET", kind, namespace, query=query)
            if page is None:
                return ()
            items += [{**item, "apiVersion": kind[0], "kind": kind[1]} for item in page["items"]]
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                break
        return tuple(sorted(items, key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"])))

    def apply(self, manifest: Mapping[str, Any]) -> Object:
        where = ref(manifest)
        query = {"fieldManager": self._manager, "force": "true"}
        done = self._call(
            "patch", "PATCH", where.of, where.namespace, where.name, query, manifest, "apply-patch+yaml"
        )
        if done is None:
            raise ClusterError(
                f"could not apply {where}: {resource(where.of)} or its namespace does not exist"
            )
        return done

    def create(self, manifest: Mapping[str, Any]) -> bool:
        where = ref(manifest)
        try:
            done = self._call(
                "create",
                "POST",
                where.of,
                where.namespace,
                query={"fieldManager": self._manager},
                body=manifest,
            )
        except Conflict:
            return False
        if done is None:
            raise ClusterError(
                f"could not create {where}: {resource(where.of)} or its namespace does not exist"
            )
        return True

    def delete(self, ref: Ref, uid: str | None = None) -> None:
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self._call("delete", "DELETE", ref.of, ref.namespace, ref.name, body=body)
        except Conflict:
            return  # another object has the name now: the one meant is gone

    def patch(self, ref: Ref, body: Mapping[str, Any]) -> Object | None:
        query = {"fieldManager": self._manager}
        return self._call("patch", "PATCH", ref.of, ref.namespace, ref.name, query, body, "merge-patch+json")

    def replace(self, manifest: Mapping[str, Any]) -> Object:
        where = ref(manifest)
        query = {"fieldManager": self._manager}
        done = self._call("update", "PUT", where.of, where.namespace, where.name, query, manifest)
        return _present(done, where)

    def replace_status(self, ref: Ref, resource_version: str, status: Mapping[str, Any]) -> Object:
        meta = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": resource_version}
        body = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": meta, "status": dict(status)}
        query = {"fieldManager": STATUS_MANAGER}
        done = self._call("update", "PUT", ref.of, ref.namespace, ref.name, query, body, subresource="status")
        return _present(done, ref)

    def _call(
        self,
        verb: str,
        method: str,
        kind: Kind,
        namespace: str | None,
        name: str = "",
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "json",
        subresource: str = "",
    ) -> Object | None:
        """One request; None when the answer is 404. The HTTP errors become ours, naming verb and resource."""
        what = f"{verb} {resource(kind)}{'/' + subresource if subresource else ''}"
        target = f"{namespace}/{name}".strip("/") if namespace else name
        headers = {"Accept": "application/json", "Content-Type": f"application/{content}"}
        # The transport serializes dicts, except for apply patches, which it hands on as text.
        data = json.dumps(body) if content == "apply-patch+yaml" else body
        request = self._api.param_serialize(
            method, path(kind, namespace, name, subresource), query_params=list((query or {}).items()),
            header_params=headers, body=data, auth_settings=["BearerToken"],
        )  # fmt: skip
        status, text = self._send(what, request)
        if 200 <= status < 300:
            answer: Object = json.loads(text)
            return answer
        if status == 404:
            return None
        raise _refusal(status, text, what, target)

    def _send(self, what: str, request: Any) -> tuple[int, bytes]:
        method, url, headers, body, _ = request
        # Repeating is safe: creates have names of their own, and replaces carry the resourceVersion.
        for last in (False, True):
            try:
                answer = self._api.call_api(
                    method, url, dict(headers), body, _request_timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
                )
                return answer.status, answer.read()  # type: ignore[no-untyped-call]
            except (urllib3.exceptions.ProtocolError, urllib3.exceptions.NewConnectionError) as error:
                if last:
                    raise Unavailable(f"could not {what}: {_brief(error)}") from error
            except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
                raise Unavailable(f"could not {what}: {_brief(error)}") from error
        raise AssertionError("unreachable")


def _present(done: Object | None, where: Ref) -> Object:
    if done is None:
        raise Conflict(f"{where} is gone")
    return done


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _refusal(status: int, text: bytes, what: str, target: str) -> ClusterError:
    """The error that an answer stands for."""
    try:
        message = str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        message = text[:300].decode(errors="replace")
    about = f"{what} {target}".strip()
    match status:
        case 409:
            return Conflict(f"could not {about}: {message}")
        case 401 | 403:
            return Forbidden(f"not allowed to {about}; grant this verb in the operator's role: {message}")
        case 429 | 500 | 502 | 503 | 504:
            return Unavailable(f"could not {about}: HTTP {status}: {message}")
        case _:
            return ClusterError(f"could not {about}: HTTP {status}: {message}")
