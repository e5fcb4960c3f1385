"""The image registry of the local cluster: Debian's docker-registry on the bridge's address, plain HTTP.

Its content lies in the cache, so that an image is pushed once however often the cluster is started anew.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from . import network, processes, tools
from .config import REGISTRY, cache_dir, state_dir
from .shell import Missing, locked, say, wait_for, write_atomic

NAME = "registry"
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def content() -> Path:
    """Where the registry keeps its blobs."""
    return cache_dir() / "registry"


def ensure() -> None:
    """Start the registry (and the bridge that it listens on) unless it runs."""
    with locked(state_dir() / "registry.lock"):
        if not (processes.alive(processes.recorded().get(NAME)) and _answers()):
            _start()


def _start() -> None:
    network.up_bridge()
    config = state_dir() / "conf" / "registry.yaml"
    write_atomic(
        config,
        json.dumps(
            {  # JSON is YAML
                "version": "0.1",
                "log": {"level": "warn", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(content())}, "delete": {"enabled": True}},
                "http": {"addr": REGISTRY},
            }
        ),
    )
    content().mkdir(parents=True, exist_ok=True)
    processes.start(NAME, [tools.binary("docker-registry"), "serve", config])
    wait_for("the image registry", _running_and_answering, timeout=20)
    say(f"image registry at {REGISTRY}")


def _running_and_answering() -> bool:
    if not processes.alive(processes.recorded().get(NAME)):
        raise Missing(f"the image registry ended at its start:\n{processes.last_words(NAME)}")
    return _answers()


def _request(path: str, method: str = "GET", at: str = REGISTRY) -> dict[str, str] | None:
    """The answer's headers in lower case, None for 404; raises OSError."""
    request = urllib.request.Request(f"http://{at}{path}", method=method)
    request.add_header("Accept", ", ".join(_MANIFESTS))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5.0) as response:
            return {name.lower(): value for name, value in response.headers.items()}
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def _answers() -> bool:
    try:
        return _request("/v2/") is not None
    except OSError:
        return False


def digest(repository: str, tag: str, at: str = REGISTRY) -> str | None:
    """The manifest digest of a tag, None if the registry does not hold it."""
    headers = _request(f"/v2/{repository}/manifests/{tag}", method="HEAD", at=at)
    return headers["docker-content-digest"] if headers else None


def hosts_toml(server: str) -> str:
    """containerd's hosts.toml: reach our registry over plain HTTP at `server`."""
    return f'server = "http://{server}"\n\n[host."http://{server}"]\n  capabilities = ["pull", "resolve"]\n'


def write_hosts_file(folder: Path, server: str = REGISTRY) -> None:
    """Write the registry configuration folder that containerd's `config_path` names."""
    write_atomic(folder / REGISTRY / "hosts.toml", hosts_toml(server))
