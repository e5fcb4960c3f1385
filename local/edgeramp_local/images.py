"""Container images: built from images/*/Dockerfile, tagged by the hash of their inputs, pushed to the registry.

Unchanged images are neither built nor pushed again. Without an engine buildah builds them on a Debian base made by
mmdebstrap; where Docker or Podman answers, the engine builds the same files on the public Python image.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import dockerfiles, prereqs, registry, tools
from .config import IMAGE_PREFIX, REGISTRY, REPO, cache_dir, state_dir
from .shell import CommandFailed, Missing, locked, progress, run, say, stream, write_atomic

SYSTEM = ("pause", "coredns", "local-path-provisioner", "envoy-gateway", "envoy")
ON_DEMAND = ("llama-cpp",)
"""Built only when named: they compile for minutes."""
BASE_SUITE = "bookworm"
_BUILDAH_ENV = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot", "STORAGE_OPTS": ""}
_CERTIFICATES = Path("/etc/ssl/certs")
AT_ONCE = 2
_BASE_LOCK = threading.Lock()


def names() -> list[str]:
    """Every image that the repository has a Dockerfile for."""
    return sorted(path.parent.name for path in (REPO / "images").glob("*/Dockerfile"))


def usual() -> list[str]:
    """The images that are built when none is named."""
    return [name for name in names() if name not in ON_DEMAND]


def dockerfile(name: str) -> Path:
    """The Dockerfile of an image; raises Missing for an unknown name."""
    path = REPO / "images" / name / "Dockerfile"
    if not path.exists():
        raise Missing(f"no image called {name}: there are {', '.join(names())}")
    return path


def _base_packages() -> list[str]:
    lines = (REPO / "images" / "base" / "packages").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def base_key() -> str:
    """What identifies the Debian base: suite, packages, processor."""
    return hashlib.sha256(
        json.dumps([BASE_SUITE, _base_packages(), platform.machine()]).encode()
    ).hexdigest()[:12]


def base_ref() -> str:
    """The local name of the Debian base."""
    return f"localhost/edgeramp-base:{base_key()}"


def tag(name: str) -> str:
    """The tag of an image as the working tree is now."""
    try:
        return dockerfiles.tag(REPO, dockerfile(name).read_text(), base_key(), tools.fingerprint)
    except FileNotFoundError as error:
        raise Missing(f"image {name}: {error}") from error


@dataclass(frozen=True)
class Builder:
    """How images are made: `build(name, target)` makes one, `push(name, target)` sends it to the registry."""

    build: Callable[[str, str], None]
    push: Callable[[str, str], None]
    registry: str = REGISTRY
    packages: Mapping[str, str] = field(default_factory=dict)


def build(wanted: Sequence[str], builder: Builder | None = None) -> dict[str, str]:
    """Build and push what the registry lacks of the wanted images; returns name → reference with digest."""
    how = builder or Builder(_with_buildah, _push_with_buildah, packages=prereqs.IMAGE_PACKAGES)
    prereqs.ensure_packages(how.packages)
    tools.ensure({name for image in wanted for name in dockerfiles.tool_names(dockerfile(image).read_text())})
    if builder is None:
        registry.ensure()
    refs = {name: _ref(name, how.registry) or "" for name in wanted}
    refs |= _made([name for name, ref in refs.items() if not ref], how)
    _write_map(refs)
    return refs


def _made(names: Sequence[str], how: Builder) -> dict[str, str]:
    """Build what is missing, two at a time: installing Python packages keeps one core busy. What fails beside another is
    tried once more by itself. `down` waits for it, and only one such build runs on a machine."""
    if not names:
        return {}
    refs: dict[str, str] = {}
    with locked(busy_lock()), locked(cache_dir() / "images.lock"):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            building = {name: pool.submit(_make, name, how) for name in names}
        for name, future in building.items():
            try:
                refs[name] = future.result()
            except CommandFailed as error:
                say(f"image {name}: {error}\nonce more, by itself")
                refs[name] = _make(name, how)
    return refs


def _ref(name: str, registry_address: str) -> str | None:
    """The reference of an image as the working tree is now, None if the registry does not hold it."""
    repository, label = f"{IMAGE_PREFIX}/{name}", tag(name)
    found = registry.digest(repository, label, at=registry_address)
    return f"{REGISTRY}/{repository}:{label}@{found}" if found else None


def _make(name: str, how: Builder) -> str:
    """Build and push one image."""
    for _ in range(3):
        made = _ref(name, how.registry)
        if made:
            return made
        label = tag(name)
        how.build(name, f"{IMAGE_PREFIX}/{name}:{label}")
        if tag(name) == label:
            how.push(name, f"{IMAGE_PREFIX}/{name}:{label}")
        else:
            say(f"image {name}: its files changed during the build, building it again")
    raise Missing(f"image {name}: its files change faster than it is built")


def busy_lock() -> Path:
    """Held while an image is built for this cluster."""
    return state_dir() / "images.lock"


def _with_buildah(name: str, target: str) -> None:
    began = time.monotonic()
    text = dockerfile(name).read_text()
    if dockerfiles.uses_base(text):
        ensure_base()
    with progress(f"building image {name}"), staged_tools(text) as staged, _mounts() as mounts:
        argv = [*buildah(), "bud", "--layers", "--pull-never", "--timestamp=0"]
        argv += [f"--build-context=tools={staged}"]
        argv += [f"--build-arg=BASE_IMAGE={base_ref()}"] if dockerfiles.uses_base(text) else []
        argv += [f"--volume={mount}" for mount in mounts]
        argv += [f"--file={dockerfile(name)}", f"--tag=localhost/{target}", str(REPO)]
        stream(argv, log=log_path(name), env=_BUILDAH_ENV, prefix=f"{name}: ")
    say(f"image {name}: built in {time.monotonic() - began:.0f} s")


def _push_with_buildah(name: str, target: str) -> None:
    began = time.monotonic()
    # Compressing would cost far more than it saves on one machine.
    argv = ["push", "--tls-verify=false", "--disable-compression", f"localhost/{target}"]
    run([*buildah(), *argv, f"docker://{REGISTRY}/{target}"], env=_BUILDAH_ENV)
    say(f"image {name}: pushed in {time.monotonic() - began:.0f} s")


def log_path(name: str) -> Path:
    """The log of an image's last build."""
    return state_dir() / "log" / f"image-{name}.log"


def buildah() -> list[str]:
    """buildah on a storage of our own."""
    store = cache_dir() / "containers"
    return ["buildah", "--root", str(store / "storage"), "--runroot", str(store / "run")]


def ensure_base() -> None:
    """Make the Debian base with mmdebstrap from the machine's own apt sources, once."""
    with _BASE_LOCK:
        _ensure_base()


def _ensure_base() -> None:
    known = run([*buildah(), "inspect", "--type", "image", base_ref()], env=_BUILDAH_ENV, check=False)
    if known.returncode == 0:
        return
    prereqs.require_root("making the Debian base image")
    what = f"making the Debian {BASE_SUITE} base image"
    with progress(what), tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        tar = Path(scratch) / "base.tar"
        argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(_base_packages())}", BASE_SUITE]
        run([*argv, tar, "-"], stdin=debian_sources(Path("/etc/apt")), env={"SOURCE_DATE_EPOCH": "0"})
        (Path(scratch) / "Dockerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["python3"]\n')
        tags = [f"--tag={base_ref()}", "--tag=localhost/edgeramp-base:latest"]
        run([*buildah(), "bud", "--timestamp=0", *tags, scratch], env=_BUILDAH_ENV)


def debian_sources(folder: Path) -> str:
    """The machine's apt sources for the suite of the base, comments and other vendors' archives left out."""
    stanzas = [
        stanza
        for path in sorted(folder.glob("sources.list.d/*.sources"))
        for stanza in path.read_text().split("\n\n")
    ]
    kept = [
        "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        for stanza in stanzas
        if any(line.startswith("Suites:") and BASE_SUITE in line for line in stanza.splitlines())
    ]
    if kept:
        return "\n\n".join(kept) + "\n"
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]
    lines = [line for path in files if path.exists() for line in path.read_text().splitlines()]
    kept = [line for line in lines if line.startswith("deb ") and f" {BASE_SUITE}" in line]
    if not kept:
        raise Missing(
            f"this machine has no apt sources for Debian {BASE_SUITE}, from which the base image is made: "
            f"add one to {folder}/sources.list.d, or start Docker or Podman"
        )
    return "\n".join(kept) + "\n"


@contextmanager
def staged_tools(text: str) -> Iterator[Path]:
    """A folder with the binaries that the Dockerfile copies from the context `tools`."""
    root = cache_dir() / "staging"
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        for name in dict.fromkeys(dockerfiles.tool_names(text)):
            target = Path(folder) / name
            try:
                os.link(tools.binary(name), target)
            except OSError:
                shutil.copy2(tools.binary(name), target)
        yield Path(folder)


@contextmanager
def _mounts() -> Iterator[list[str]]:
    """What a build needs of this machine and must not keep: certificates, pip's settings, a download cache."""
    cache = cache_dir() / "pip"
    cache.mkdir(parents=True, exist_ok=True)
    settings = pip_settings(prereqs.pip_config())
    with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        config = Path(scratch) / "pip.conf"
        config.write_text(settings)
        mounts = [f"{cache}:/var/cache/edgeramp-pip:rw", f"{config}:/etc/pip.conf:ro"]
        if (_CERTIFICATES / "ca-certificates.crt").exists():
            mounts.append(f"{_CERTIFICATES}:{_CERTIFICATES}:ro")
        mounts += [f"{folder}:{folder}:ro" for folder in _find_links(settings)]
        yield mounts


def pip_settings(listing: Sequence[str]) -> str:
    """A pip.conf with the settings of `pip config list` (variables win) and our cache folder."""
    values: dict[str, str] = {}
    for line in sorted(listing, key=lambda item: item.startswith(":env:")):
        name, separator, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if separator and section in ("global", "install", "download", ":env:"):
            values[key] = str(ast.literal_eval(value))
    values |= {
        "cache-dir": "/var/cache/edgeramp-pip",
        "root-user-action": "ignore",
        "disable-pip-version-check": "1",
    }
    body = "\n".join(f"{key} = {value}".replace("\n", "\n    ") for key, value in sorted(values.items()))
    return f"[global]\n{body}\n"


def _find_links(settings: str) -> list[str]:
    """The local wheel folders that pip's settings name."""
    line = next((line for line in settings.splitlines() if line.startswith("find-links = ")), "")
    return [word for word in line.partition("= ")[2].split() if word.startswith("/") and Path(word).is_dir()]


def by_digest(ref: str) -> str:
    """`repository@digest` of a reference that has a tag too: the name under which a node keeps the image."""
    tagged, _, digest = ref.partition("@")
    return f"{tagged.rpartition(':')[0]}@{digest}"


def known() -> dict[str, str]:
    """The references written by the last build."""
    path = state_dir() / "images.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _write_map(refs: dict[str, str]) -> None:
    merged = {name: ref for name, ref in {**known(), **refs}.items() if name in names()}
    write_atomic(state_dir() / "images.json", json.dumps(merged, indent=1, sort_keys=True) + "\n")
    values = {"images": {name: ref for name, ref in sorted(merged.items()) if name not in SYSTEM}}
    write_atomic(state_dir() / "images-values.yaml", json.dumps(values, indent=1) + "\n")  # JSON is YAML
