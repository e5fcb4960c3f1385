"""The artifact store: OCI manifests with one raw layer per file, on top of the `oras` client.

oras-py's own push and pull tar directories, read blobs whole and retry for minutes; here blobs are streamed, every
digest and size is checked, and a store that is away is reported within seconds as transient.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import oras.container
import oras.provider
import requests

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.spec import Store
from edgeramp_harness.errors import JobError, bad_spec, transient, unsupported

TITLE = "org.opencontainers.image.title"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
RAW_TYPE = "application/octet-stream"
ARTIFACT_TYPE = "application/vnd.edgeramp.artifact.v1"
MAX_MANIFEST = 4 * 1024 * 1024
CHUNK = 1024 * 1024
_ACCEPT = ", ".join((MANIFEST_TYPE, INDEX_TYPE, "application/vnd.docker.distribution.manifest.v2+json"))
_EMPTY = b"{}"
_T = TypeVar("_T")


def sha256_bytes(data: bytes) -> str:
    """The OCI digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha256_file(path: Path) -> str:
    """The OCI digest of a file, read in chunks."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


@dataclass(frozen=True)
class Layer:
    """One file of an artifact."""

    title: str
    digest: str
    size: int
    media_type: str = RAW_TYPE


@dataclass(frozen=True)
class Artifact:
    """A manifest in a registry: `digest` of its bytes, its files, and what else it says."""

    digest: str
    layers: tuple[Layer, ...]
    manifest: Mapping[str, Any]
    size_bytes: int = 0
    manifest_size: int = 0


@dataclass(frozen=True)
class Reference:
    """oci://HOST/REPOSITORY[:TAG][@DIGEST]."""

    host: str
    repository: str
    reference: str

    @classmethod
    def parse(cls, uri: str) -> Reference:
        """Raises JobError(10) on anything that is not a reference."""
        rest = uri.removeprefix("oci://")
        host, _, path = rest.partition("/")
        name, _, digest = path.partition("@")
        head, _, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        repository = f"{head}/{last}" if head else last
        if not host or not last or not (digest or tag):
            raise bad_spec(
                f"{uri} is not an artifact reference; write oci://host/repository@sha256:… or :tag"
            )
        return cls(host, repository, digest or tag)


class _Session(requests.Session):
    """Gives every request a timeout: a registry that hangs must not hang the Job."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (5, 60)
        return super().request(*args, **kwargs)


class _Registry(oras.provider.Registry):  # type: ignore[misc]
    """oras-py's client without its minutes of sleeping between retries."""

    def do_request(self, *args: Any, **kwargs: Any) -> requests.Response:
        once: Callable[..., requests.Response] = oras.provider.Registry.do_request.__wrapped__
        return once(self, *args, **kwargs)


@dataclass
class Registry:
    """One repository of one registry."""

    host: str
    repository: str
    plain_http: bool = False
    attempts: int = 3
    _client: _Registry = field(init=False, repr=False)
    _base: str = field(init=False, repr=False)
    _authorized: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = _Registry(hostname=self.host, insecure=self.plain_http)
        self._client.session = self._client.auth.session = _Session()
        self._base = f"{'http' if self.plain_http else 'https'}://{self.host}/v2/{self.repository}"

    @classmethod
    def of(cls, store: Store) -> Registry:
        """The store of a Job's spec."""
        return cls(store.host, store.repository, store.plain_http)

    def find(self, reference: str) -> Artifact:
        """The manifest under a tag or digest. A digest is checked against the bytes received."""
        response = self._request("GET", f"/manifests/{reference}", headers={"Accept": _ACCEPT}, stream=True)
        with response:
            if response.status_code == 404:
                raise bad_spec(f"{self._name(reference)} does not exist", "SourceNotFound")
            self._check(response, f"reading {self._name(reference)}")
            data = response.raw.read(MAX_MANIFEST + 1, decode_content=True)
        if len(data) > MAX_MANIFEST:
            raise unsupported(f"the manifest of {self._name(reference)} is larger than 4 MiB")
        digest = sha256_bytes(data)
        if reference.startswith("sha256:") and digest != reference:
            raise JobError(
                ExitCode.DIGEST_MISMATCH, f"{self._name(reference)} has the digest {digest}, not {reference}"
            )
        return _artifact(digest, data)

    def pull(self, reference: str, dest: Path) -> Artifact:
        """Download every file of an artifact under `dest`, checking size, digest and path. Complete or an error."""
        artifact = self.find(reference)
        paths = [safe_path(layer.title) for layer in artifact.layers]
        if len(set(paths)) != len(paths):
            raise unsupported(f"{self._name(reference)} has two files of one name", "UnsafePath")
        require_disk(dest, artifact.size_bytes)
        for layer, path in zip(artifact.layers, paths, strict=True):
            target = dest / path
            target.parent.mkdir(parents=True, exist_ok=True)
            self._retry(lambda layer=layer, target=target: self._download(layer, target))  # type: ignore[misc]
        return artifact

    def push(
        self,
        files: Mapping[str, Path],
        *,
        artifact_type: str = ARTIFACT_TYPE,
        media_types: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        config: tuple[str, bytes] = (EMPTY_TYPE, _EMPTY),
        subject: Artifact | None = None,
        tag: str | None = None,
        layer_annotations: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Artifact:
        """Upload files and a manifest that lists them by title; equal input gives an equal digest."""
        layers = []
        for title in sorted(files):
            path = files[title]
            digest, size = sha256_file(path), path.stat().st_size
            self._retry(lambda p=path, d=digest, s=size: self._upload(p, d, s))  # type: ignore[misc]
            notes = {TITLE: str(safe_path(title)), **(layer_annotations or {}).get(title, {})}
            media_type = (media_types or {}).get(title, RAW_TYPE)
            layers.append({"mediaType": media_type, "digest": digest, "size": size, "annotations": notes})
        config_type, config_bytes = config
        self.push_blob(config_bytes)
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": artifact_type,
            "config": {
                "mediaType": config_type,
                "digest": sha256_bytes(config_bytes),
                "size": len(config_bytes),
            },
            "layers": layers,
        }
        if subject is not None:
            manifest["subject"] = {
                "mediaType": MANIFEST_TYPE, "digest": subject.digest, "size": subject.manifest_size,
            }  # fmt: skip
        if annotations:
            manifest["annotations"] = dict(sorted(annotations.items()))
        return self.push_manifest(manifest, MANIFEST_TYPE, tag)

    def push_blob(self, data: bytes) -> str:
        """Upload bytes; returns their digest."""
        digest = sha256_bytes(data)
        self._retry(lambda: self._upload(data, digest, len(data)))
        return digest

    def push_manifest(self, manifest: Mapping[str, Any], media_type: str, tag: str | None = None) -> Artifact:
        """Store a manifest or index under its digest, or under a tag."""
        data = json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()
        digest = sha256_bytes(data)
        response = self._request(
            "PUT", f"/manifests/{tag or digest}", data=data, headers={"Content-Type": media_type}
        )
        self._check(response, f"storing a manifest in {self._name(tag or digest)}")
        return _artifact(digest, data)

    def _download(self, layer: Layer, target: Path) -> None:
        part = target.with_name(target.name + ".part")
        response = self._once("GET", f"/blobs/{layer.digest}", stream=True)
        hasher, size = hashlib.sha256(), 0
        with response, part.open("wb") as stream:
            if response.status_code == 404:
                raise bad_spec(f"{self._name(layer.digest)} ({layer.title}) is gone", "SourceNotFound")
            self._check(response, f"downloading {layer.title}")
            for chunk in response.iter_content(CHUNK):
                size += len(chunk)
                if size > layer.size:
                    break
                hasher.update(chunk)
                stream.write(chunk)
        found = f"sha256:{hasher.hexdigest()}"
        if size != layer.size or found != layer.digest:
            part.unlink()
            raise JobError(
                ExitCode.DIGEST_MISMATCH,
                f"{layer.title} from {self.host} is {found} ({size} bytes), "
                f"but the manifest says {layer.digest} ({layer.size} bytes)",
            )
        part.replace(target)

    def _upload(self, source: Path | bytes, digest: str, size: int) -> None:
        if self._once("HEAD", f"/blobs/{digest}").status_code == 200:
            return
        start = self._once("POST", "/blobs/uploads/", headers={"Content-Length": "0"})
        self._check(start, "starting an upload")
        location = start.headers.get("Location", "")
        if location.startswith("/"):
            location = f"{self._base.partition('/v2/')[0]}{location}"
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        headers = {"Content-Type": RAW_TYPE, "Content-Length": str(size)}
        if isinstance(source, bytes):
            done = self._once("PUT", url, data=source, headers=headers)
        else:
            with source.open("rb") as stream:
                # requests leaves out the body of an empty file object, and the length header with it.
                done = self._once("PUT", url, data=stream if size else b"", headers=headers)
        self._check(done, "finishing an upload")

    def _request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        def attempt() -> requests.Response:
            response = self._once(method, path, **kwargs)
            if response.status_code >= 500:
                raise transient(f"{self.host} answered {response.status_code} to {method} {path}")
            return response

        return self._retry(attempt)

    def _once(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        if not self._authorized:
            self._client.auth.load_configs(oras.container.Container(f"{self.host}/{self.repository}:any"))
            self._authorized = True
        url = path if path.startswith("http") else self._base + path
        try:
            return self._client.do_request(url, method, **kwargs)
        except requests.exceptions.SSLError as error:
            raise bad_spec(f"TLS with {self.host} failed: {error}", "SourceUntrusted") from error
        except requests.exceptions.RequestException as error:
            raise transient(f"{self.host} cannot be reached: {error}") from error
        except ValueError as error:  # oras: no way to answer a 401
            raise bad_spec(f"{self.host} refused {method} {path}: {error}", "SourceForbidden") from error

    def _check(self, response: requests.Response, doing: str) -> None:
        if response.status_code < 400:
            return
        text = f"{doing}: {self.host} answered {response.status_code} {response.text[:200]}"
        if response.status_code >= 500 or response.status_code == 429:
            raise transient(text)
        raise bad_spec(text, "SourceForbidden" if response.status_code in (401, 403) else None)

    def _retry(self, work: Callable[[], _T]) -> _T:
        for attempt in range(1, self.attempts + 1):
            try:
                return work()
            except (JobError, requests.exceptions.RequestException) as error:
                lasting = isinstance(error, JobError) and error.code is not ExitCode.TRANSIENT_IO
                if lasting:
                    raise
                if attempt == self.attempts:
                    raise (
                        error if isinstance(error, JobError) else transient(f"{self.host}: {error}")
                    ) from error
                time.sleep(0.3 * 3 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _name(self, reference: str) -> str:
        return f"oci://{self.host}/{self.repository}{'@' if ':' in reference else ':'}{reference}"


def _artifact(digest: str, data: bytes) -> Artifact:
    try:
        manifest = json.loads(data)
        layers = tuple(
            Layer(
                str((entry.get("annotations") or {}).get(TITLE, "")),
                str(entry["digest"]),
                int(entry["size"]),
                str(entry.get("mediaType", RAW_TYPE)),
            )
            for entry in manifest.get("layers", ())
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unsupported(f"{digest} is not an OCI manifest: {error}") from error
    return Artifact(digest, layers, manifest, sum(layer.size for layer in layers), len(data))


def safe_path(title: str) -> PurePosixPath:
    """A layer's title as a relative path; exit 12 for one that would leave the folder."""
    path = PurePosixPath(title)
    bad = (
        not title
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in title
        or "\0" in title
        or len(title) > 255
    )
    if bad or path.parts[:1] == (".edgeramp",):
        raise unsupported(
            f"the file name {title!r} in the artifact is not a plain relative path", "UnsafePath"
        )
    return path


def require_disk(folder: Path, size: int) -> None:
    """Exit 14 when `size` bytes will not fit under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise JobError(
            ExitCode.PREDICTED_OUT_OF_RESOURCES,
            f"{size} bytes are needed in {folder} and {free} are free; give the Job more ephemeral storage",
        )
