"""`python -m edgeramp.cli.installed`: whether an installation works. `helm test` runs it in a pod that has no rights."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable

import httpx
import urllib3
from kubernetes import client, config

from edgeramp.api.crd import KINDS
from edgeramp.effects.live import configuration
from edgeramp.values.names import GROUP, VERSION

TIMEOUT_SECONDS = 5.0
_LEADS = re.compile(r"^edgeramp_leader 1(\.0)?$", re.MULTILINE)

Look = Callable[[], str]
"""What is wrong now; empty when nothing is."""


def kinds(kubeconfig: str | None) -> str:
    """Whether the API server serves the three kinds: discovery, which every ServiceAccount may read."""
    try:
        api = client.CustomObjectsApi(client.ApiClient(configuration(kubeconfig)))
        found = api.get_api_resources(GROUP, VERSION, _request_timeout=TIMEOUT_SECONDS)
    except client.ApiException as error:
        remedy = "; install the CRDs: crds.install=true" if error.status == 404 else ""
        return f"the API server answered {error.status} for {GROUP}/{VERSION}{remedy}"
    except (urllib3.exceptions.HTTPError, config.ConfigException, OSError) as error:
        return f"the API server cannot be asked: {error}"
    missing = {kind.plural for kind in KINDS} - {resource.name for resource in found.resources}
    return f"the API server does not serve {', '.join(sorted(missing))}" if missing else ""


def answers(url: str, codes: tuple[int, ...] = (200,), remedy: str = "") -> str:
    """Whether an HTTP address answers with one of `codes`."""
    try:
        answer = httpx.get(url, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        return f"{url} cannot be reached: {error}{remedy}"
    return (
        ""
        if answer.status_code in codes
        else f"{url} answered {answer.status_code}: {answer.text[:200]}{remedy}"
    )


def leads(url: str) -> str:
    """Whether the replica that answers holds the Lease. Behind a Service another one may answer next time."""
    try:
        text = httpx.get(url, timeout=TIMEOUT_SECONDS).text
    except httpx.HTTPError as error:
        return f"{url} cannot be reached: {error}"
    return (
        ""
        if _LEADS.search(text)
        else f"no replica that answered at {url} holds the Lease: read the operator's log"
    )


def settled(look: Look, until: float, pause: float = 1.0) -> str:
    """Looks every `pause` seconds until nothing is wrong or the time (monotonic seconds) has come; what is wrong then."""
    while (wrong := look()) and time.monotonic() < until:
        time.sleep(pause)
    return wrong


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The flags, as the chart's test pod writes them."""
    parser = argparse.ArgumentParser(prog="edgeramp-installed", description=__doc__)
    parser.add_argument(
        "--operator", required=True, help="its HTTP address, for example http://edgeramp:8080"
    )
    parser.add_argument("--store", help="HTTP address of the artifact store; left out: not asked")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for everything together")
    parser.add_argument("--kubeconfig", help="outside a cluster")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Say of each part whether it works; 1 when one does not."""
    options = parsed(argv)
    looks: dict[str, Look] = {
        "the API serves the three kinds": lambda: kinds(options.kubeconfig),
        "the operator is alive": lambda: answers(f"{options.operator}/healthz"),
        "the operator reaches the API server": lambda: answers(f"{options.operator}/readyz"),
        "a replica holds the Lease and tells its metrics": lambda: leads(f"{options.operator}/metrics"),
    }
    if options.store:
        looks["the store answers"] = lambda: answers(f"{options.store}/v2/", (200, 401), "; look at its pod")
    until, failed = time.monotonic() + options.timeout, False
    for what, look in looks.items():
        wrong = settled(look, until)
        failed = failed or bool(wrong)
        print(f"FAILED  {what}: {wrong}" if wrong else f"ok      {what}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
