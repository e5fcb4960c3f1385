"""An image's tag changes with everything that it is made from, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from local.edgeramp_local import dockerfiles, images
from local.edgeramp_local.config import REPO
from local.edgeramp_local.dockerfiles import Copy

TEXT = """\
# a comment
ARG BASE_IMAGE=public
FROM ${BASE_IMAGE}
COPY --from=tools one two /bin/
COPY --chown=1:1 app \\
     extra.txt /opt/
COPY ["with.json", "/opt/"]
RUN true
"""
DOCKERFILES = sorted((REPO / "images").glob("*/Dockerfile"))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "app" / "sub").mkdir(parents=True)
    (tmp_path / "app" / "sub" / "a.py").write_text("a")
    (tmp_path / "extra.txt").write_text("x")
    (tmp_path / "with.json").write_text("{}")
    return tmp_path


def tag(repo: Path, text: str = TEXT, base: str = "base", tool: str = "v1") -> str:
    return dockerfiles.tag(repo, text, base, lambda name: f"{name}-{tool}")


def test_copies_are_found_with_their_origin_over_continued_lines_and_lists() -> None:
    assert dockerfiles.copies(TEXT) == [
        Copy(("one", "two"), "tools"),
        Copy(("app", "extra.txt")),
        Copy(("with.json",)),
    ]
    assert dockerfiles.tool_names(TEXT) == ["one", "two"]
    assert dockerfiles.uses_base(TEXT)


def test_the_tag_is_the_same_for_the_same_inputs(repo: Path) -> None:
    assert tag(repo) == tag(repo)


@pytest.mark.parametrize(
    "change",
    [
        lambda repo: (repo / "app" / "sub" / "a.py").write_text("b"),
        lambda repo: (repo / "app" / "new.py").write_text(""),
        lambda repo: (repo / "app" / "sub" / "a.py").rename(repo / "app" / "a.py"),
        lambda repo: (repo / "extra.txt").chmod(0o755),
    ],
    ids=["content", "a new file", "a moved file", "an executable bit"],
)
def test_the_tag_changes_with_a_copied_file(repo: Path, change: object) -> None:
    before = tag(repo)
    change(repo)  # type: ignore[operator]
    assert tag(repo) != before


def test_the_tag_changes_with_dockerfile_base_and_tools(repo: Path) -> None:
    assert (
        len({tag(repo), tag(repo, TEXT + "RUN false\n"), tag(repo, base="other"), tag(repo, tool="v2")}) == 4
    )


def test_the_tag_does_not_change_with_files_that_never_go_into_an_image(repo: Path) -> None:
    before = tag(repo)
    (repo / "app" / "__pycache__").mkdir()
    (repo / "app" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"junk")
    (repo / "unrelated.txt").write_text("y")
    assert tag(repo) == before


def test_an_image_from_scratch_does_not_depend_on_the_base(repo: Path) -> None:
    text = "FROM scratch\nCOPY extra.txt /\n"
    assert tag(repo, text, base="one") == tag(repo, text, base="two")


def test_a_copied_file_that_is_missing_is_named(repo: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tag(repo, "FROM scratch\nCOPY nowhere /\n")


def test_what_is_ignored_here_is_ignored_by_the_builders_too() -> None:
    lines = (REPO / ".dockerignore").read_text().splitlines()
    assert {f"**/{pattern}" for pattern in dockerfiles.IGNORED} <= set(lines)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_every_dockerfile_takes_the_base_that_the_builder_gives(path: Path) -> None:
    text = path.read_text()
    bases = [line.split()[1] for line in dockerfiles.instructions(text) if line.upper().startswith("FROM ")]
    assert set(bases) <= {"scratch", "${BASE_IMAGE}"}
    if "${BASE_IMAGE}" in bases:
        assert "ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm" in dockerfiles.instructions(text)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_python_is_compiled_by_hash_because_layers_carry_no_times(path: Path) -> None:
    text = path.read_text()
    if "pip install" in text:
        assert "ARG SOURCE_DATE_EPOCH=0" in dockerfiles.instructions(text)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_python_packages_are_installed_from_a_lock_with_hashes(path: Path) -> None:
    installs = [line for line in dockerfiles.instructions(path.read_text()) if "pip install" in line]
    assert all("--require-hashes" in line for line in installs)


@pytest.mark.parametrize(
    "path", [p for p in DOCKERFILES if "pip install" in p.read_text()], ids=lambda p: p.parent.name
)
def test_python_packages_come_from_the_lock_alone(path: Path) -> None:
    """A lock is complete. Without --no-deps pip looks for `pydantic[email]` beside the locked `pydantic`, takes the
    newest one, and the image can no longer be built on the day of the next release."""
    text = path.read_text().replace("\\\n", "")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert installs
    assert all({"--no-deps", "--require-hashes"} <= set(line.split()) for line in installs)
    assert all(line.index("pip install") < line.index("pip check") for line in installs)


def test_what_compiles_for_minutes_is_built_only_when_it_is_named() -> None:
    assert set(images.ON_DEMAND) < set(images.names())
    assert sorted({*images.usual(), *images.ON_DEMAND}) == images.names()
    assert not set(images.usual()) & set(images.ON_DEMAND)
