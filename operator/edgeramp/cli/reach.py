"""Which cluster and namespace a command means: the flags of kubectl, with kubectl's defaults."""

from __future__ import annotations

import argparse
from pathlib import Path

import urllib3
from kubernetes import client, config

from edgeramp.effects.live import CONNECT_TIMEOUT, READ_TIMEOUT, LiveCluster, configuration
from edgeramp.values.errors import ClusterError

MANAGER = "kubectl-edgeramp"
"""Under this name, and the user's, the API server records what a command writes (metadata.managedFields)."""
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def add_options(parser: argparse.ArgumentParser, all_namespaces: bool = False) -> None:
    """-n, --context, --kubeconfig and -o; -A where a command looks at many objects."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", help="default: that of the kubeconfig's context")
    if all_namespaces:
        where.add_argument("-A", "--all-namespaces", action="store_true")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, then ~/.kube/config")
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    """-o, for every command whose answer a script may read."""
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "json"),
        default="table",
        help="json: docs/kubectl.md has the shape",
    )


def connect(args: argparse.Namespace, writes: bool = False) -> LiveCluster:
    """The cluster that the flags mean. ClusterError when there are no credentials. `writes`: under the user's name."""
    try:
        access = configuration(args.kubeconfig, args.context)
    except config.ConfigException as error:
        raise ClusterError(f"no cluster to ask: {error}; write --kubeconfig, or set KUBECONFIG") from error
    return LiveCluster(access, manager=_manager(access)) if writes else LiveCluster(access)


def _manager(access: client.Configuration) -> str:
    """The field manager of this user: a name for the record, not a proof (the API server's audit log has that)."""
    try:
        review = client.AuthenticationV1Api(client.ApiClient(access)).create_self_subject_review(
            client.V1SelfSubjectReview(), _request_timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
        )
        user = review.to_dict()["status"]["user_info"]["username"]
    except (client.ApiException, urllib3.exceptions.HTTPError, OSError, KeyError, TypeError):
        return (
            MANAGER  # an API server that does not tell who one is, or is away: the order itself will say so
        )
    return f"{MANAGER}/{user}"[:128]


def namespace(args: argparse.Namespace) -> str:
    """The namespace that the flags mean; the context's, or a pod's own, when they name none."""
    return args.namespace or _of_context(args.kubeconfig, args.context)


def _of_context(kubeconfig: str | None, context: str | None) -> str:
    try:
        contexts, active = config.list_kube_config_contexts(config_file=kubeconfig)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else "default"
    chosen = next((c for c in contexts if c["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")
