"""stage: bring the model and the data splits into the store. The only Job that may reach a user's source."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import requests

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.spec import Source, StageSpec, Store
from edgeramp.report.summary import StagedArtifact, StageSummary
from edgeramp_harness.context import Context
from edgeramp_harness.errors import JobError, bad_spec, transient, unsupported
from edgeramp_harness.log import human_bytes, say
from edgeramp_harness.store import CHUNK, Reference, Registry, require_disk, sha256_file

_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".dill")
_NAMES: dict[str, tuple[str, ...]] = {"onnx": ("model.onnx",), "openvino-ir": ("model.xml", "model.bin"),
                                    "gguf": ("model.gguf",), "safetensors": ("model.safetensors",)}  # fmt: skip
DATA_NAMES = ("data.npz",)
_SIZE_LIMIT = 64 * 1024**3


def run(spec: StageSpec, context: Context) -> StageSummary:
    """Copy model, then each split. Equal files give equal digests, however often this runs."""
    model = _stage(spec, spec.model, "model", _NAMES[spec.model_format], context)
    data = {
        name: _stage(spec, source, name, DATA_NAMES, context) for name, source in sorted(spec.data.items())
    }
    return StageSummary(model=model, data=data)


def _stage(
    spec: StageSpec, source: Source, what: str, names: tuple[str, ...], context: Context
) -> StagedArtifact:
    say(f"{what}: fetching {source.uri}")
    folder = context.folder(f"stage-{what}")
    source_digest = _fetch(source, spec.store, folder, names, context)
    if source.digest is not None and source_digest != source.digest:
        raise JobError(
            ExitCode.DIGEST_MISMATCH,
            f"{what}: {source.uri} has the digest {source_digest}, but {source.digest} was asked for",
        )
    files = _normalized(folder, names, what)
    for path in files.values():
        refuse_pickle(path)
    pushed = Registry.of(spec.store).push(files)
    say(f"{what}: stored {human_bytes(pushed.size_bytes)} as {pushed.digest}")
    return StagedArtifact(digest=pushed.digest, source_digest=source_digest, size_bytes=pushed.size_bytes)


def _fetch(source: Source, store: Store, folder: Path, names: tuple[str, ...], context: Context) -> str:
    """Bring the source's files into `folder`; returns the digest that `Source.digest` is compared with."""
    scheme = urlsplit(source.uri).scheme
    match scheme:
        case "oci":
            reference = Reference.parse(source.uri)
            plain = source.plain_http or (reference.host == store.host and store.plain_http)
            return (
                Registry(reference.host, reference.repository, plain).pull(reference.reference, folder).digest
            )
        case "https" | "http":
            return _download_all(source.uri, folder, names)
        case "pvc":
            return _copy(source.uri, folder, names, context.sources)
        case "s3" | "hf":
            raise bad_spec(
                f"{scheme}:// sources are not built into this image; push the file to a registry "
                f"(python -m edgeramp_harness push) and name it oci://…, or use https:// or pvc://",
                "UnsupportedSource",
            )
        case _:
            raise bad_spec(f"{source.uri}: use oci://, https://, http:// or pvc://", "UnsupportedSource")


def _siblings(path: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """(source path, name here): for OpenVINO IR the .bin lies beside the .xml."""
    if len(names) == 1:
        return [(path, names[0])]
    if not path.endswith(".xml"):
        raise bad_spec(f"{path}: name the .xml file of the OpenVINO IR; its .bin is looked for beside it")
    return [(path, names[0]), (path[:-4] + ".bin", names[1])]


def _download_all(uri: str, folder: Path, names: tuple[str, ...]) -> str:
    for url, name in _siblings(uri, names):
        _download(url, folder / name)
    return sha256_file(folder / names[0])


def _download(url: str, target: Path) -> None:
    try:
        with requests.get(url, stream=True, timeout=(10, 60)) as response:
            if response.status_code in (404, 410):
                raise bad_spec(f"{url} does not exist ({response.status_code})", "SourceNotFound")
            if response.status_code in (401, 403):
                raise bad_spec(f"{url} refused access ({response.status_code})", "SourceForbidden")
            if response.status_code >= 400:
                raise transient(f"{url} answered {response.status_code}")
            require_disk(target.parent, int(response.headers.get("Content-Length") or 0))
            size = 0
            with target.open("wb") as stream:
                for chunk in response.iter_content(CHUNK):
                    size += len(chunk)
                    if size > _SIZE_LIMIT:
                        raise unsupported(f"{url} is larger than 64 GiB")
                    stream.write(chunk)
    except requests.exceptions.SSLError as error:
        raise bad_spec(f"TLS with {urlsplit(url).hostname} failed: {error}", "SourceUntrusted") from error
    except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects) as error:
        raise bad_spec(f"{url}: {error}") from error
    except requests.exceptions.RequestException as error:
        raise transient(f"{url} cannot be reached: {error}") from error


def _copy(uri: str, folder: Path, names: tuple[str, ...], sources: Path) -> str:
    """pvc://CLAIM/PATH, mounted read-only at SOURCES/CLAIM; links out of the claim are refused."""
    parts = urlsplit(uri)
    claim = (sources / parts.netloc).resolve()
    if not claim.is_dir():
        raise bad_spec(f"{uri}: the claim {parts.netloc} is not mounted in this Job", "SourceNotFound")
    for relative, name in _siblings(parts.path.lstrip("/"), names):
        path = (claim / relative).resolve()
        if not path.is_relative_to(claim):
            raise bad_spec(f"{uri} leads out of the claim {parts.netloc}")
        if not path.is_file():
            raise bad_spec(f"{uri}: no file {relative} in the claim {parts.netloc}", "SourceNotFound")
        require_disk(folder, path.stat().st_size)
        shutil.copyfile(path, folder / name)
    return sha256_file(folder / names[0])


def _normalized(folder: Path, names: tuple[str, ...], what: str) -> dict[str, Path]:
    """The files under the names of the contract: one file per wanted suffix, whatever the source called it."""
    have = sorted(p for p in folder.rglob("*") if p.is_file())
    for path in have:
        refuse_pickle(path)
    files = {}
    for name in names:
        suffix = Path(name).suffix
        fits = [p for p in have if p.name == name] or [p for p in have if p.suffix == suffix]
        if len(fits) != 1:
            found = ", ".join(p.name for p in have) or "nothing"
            raise unsupported(f"{what}: needs one {suffix} file, found {found}", "UnexpectedFiles")
        files[name] = fits[0]
    return files


def refuse_pickle(path: Path) -> None:
    """Exit 12 for formats that run code when they are opened."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    protocol = len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5 and head[2:3] in b"\x8a\x95}](\x58c"
    torch_zip = head.startswith(b"PK\x03\x04") and b"/data.pkl" in head
    if path.suffix.lower() in _PICKLES or protocol or torch_zip:
        raise unsupported(
            f"{path.name} is in a pickle format, which runs code when opened; export it to ONNX",
            "PickleRefused",
        )
