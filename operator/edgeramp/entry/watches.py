"""The watches: kopf tells of changes, and each one wakes the objects that it concerns. The only module that knows kopf.

Nothing is decided here and nothing is read from an event but whom it concerns, so a lost event does no harm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
from kubernetes import client

from edgeramp.effects.kinds import (
    DEPLOYMENT,
    EDGEMODEL,
    GATEWAY,
    HTTPROUTE,
    JOB,
    NODE,
    OPTIMIZATIONRUN,
    POD,
    ROLLOUT,
    Kind,
    plural,
)
from edgeramp.effects.shelf import Shelf
from edgeramp.entry.queue import WorkQueue
from edgeramp.entry.wakes import (
    concerned,
    gateway_fingerprint,
    node_fingerprint,
    primary_fingerprint,
    spec_fingerprint,
)
from edgeramp.values.names import FIELD_MANAGER, LABEL_MANAGED_BY

_OWNED = (JOB, POD, DEPLOYMENT, HTTPROUTE)


def registry(queue: WorkQueue, access: client.Configuration, shelf: Shelf) -> kopf.OperatorRegistry:
    """Handlers that wake keys of `queue`, and take from `shelf` what is outdated. They return None, so kopf writes nothing."""
    found = kopf.OperatorRegistry()

    async def wake(event: Mapping[str, Any], **_: Any) -> None:
        for key in concerned(event["object"]):
            queue.wake(key)

    def wake_all(kind: Kind, whom: str | None) -> Callable[[Mapping[str, Any]], None]:
        def changed(_: Mapping[str, Any]) -> None:
            shelf.drop(kind)
            for key in queue.known(whom):
                queue.wake(key)

        return changed

    def wake_concerned(obj: Mapping[str, Any]) -> None:
        for key in concerned(obj):
            queue.wake(key)

    for kind in _OWNED:
        kopf.on.event(*_selector(kind), registry=found, id="wake")(wake)
    claims = _on_change(spec_fingerprint, wake_all(ROLLOUT, "Rollout"))  # two may not have the same host name
    kopf.on.event(*_selector(ROLLOUT), registry=found, id="claims")(claims)
    for kind in (EDGEMODEL, OPTIMIZATIONRUN, ROLLOUT):
        handler = _on_change(primary_fingerprint, wake_concerned)
        kopf.on.event(*_selector(kind), registry=found, id="wake")(handler)
    kopf.on.event(*_selector(NODE), registry=found, id="wake")(
        _on_change(node_fingerprint, wake_all(NODE, None))
    )
    gateways = _on_change(gateway_fingerprint, wake_all(GATEWAY, "Rollout"))
    kopf.on.event(*_selector(GATEWAY), registry=found, id="wake")(gateways)
    kopf.on.startup(registry=found, id="settings")(_configure)
    kopf.on.login(registry=found, id="login")(lambda **_: connection(access))
    return found


def _selector(kind: Kind) -> tuple[str, ...]:
    group, _, version = kind[0].rpartition("/")
    return (group, version, plural(kind)) if group else (version, plural(kind))


def _on_change(
    fingerprint: Callable[[Mapping[str, Any]], str], changed: Callable[[Mapping[str, Any]], None]
) -> Callable[..., Any]:
    """A handler that calls `changed` when what matters of an object has changed, or it is new or gone."""
    last: dict[str, str] = {}

    async def handle(event: Mapping[str, Any], **_: Any) -> None:
        obj = event["object"]
        uid = obj["metadata"]["uid"]
        if event["type"] == "DELETED":
            last.pop(uid, None)
        else:
            now = fingerprint(obj)
            if last.get(uid) == now:
                return
            last[uid] = now
        changed(obj)

    return handle


async def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.process.ultimate_exiting_timeout = 10
    for kind in _OWNED:
        where = _selector(kind)
        settings.watching.label_selectors[where[0] if where[0] != "v1" else "", where[-2], where[-1]] = (
            f"{LABEL_MANAGED_BY}={FIELD_MANAGER}"
        )
    logging.getLogger("kopf").setLevel(logging.WARNING)


def connection(access: client.Configuration) -> kopf.ConnectionInfo:
    """The same credentials for kopf. It asks again every few minutes: tokens of service accounts are rotated."""
    token = str(access.get_api_key_with_prefix("BearerToken", alias="authorization") or "")
    scheme, _, rest = token.rpartition(" ")
    return kopf.ConnectionInfo(
        server=access.host,
        ca_path=access.ssl_ca_cert or None,
        ca_data=access.ca_cert_data or None,
        insecure=not access.verify_ssl,
        scheme=(scheme or "Bearer") if rest else None,
        token=rest or None,
        certificate_path=access.cert_file or None,
        private_key_path=access.key_file or None,
        expiration=datetime.now(UTC) + timedelta(minutes=5) if rest else None,
    )
