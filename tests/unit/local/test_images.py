"""What a build takes from the machine, and what it leaves out."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from local.edgeramp_local import images
from local.edgeramp_local.config import REPO
from local.edgeramp_local.shell import CommandFailed, Missing

LOCKS = sorted(
    [*REPO.glob("requirements/*.lock"), *REPO.glob("images/*/*.lock"), *REPO.glob("local/tools/*/*.lock")]
)


def test_variables_win_over_files_in_the_settings_for_pip() -> None:
    text = images.pip_settings(
        [
            ":env:.cert='/from/variable.crt'",
            "global.cert='/from/file.crt'",
            "global.find-links='/a /b'",
            "freeze.timeout='10'",
            "global.extra='one\\ntwo'",
            "not a setting",
        ]
    )
    parser = configparser.ConfigParser()
    parser.read_string(text)
    section = parser["global"]
    assert section["cert"] == "/from/variable.crt"
    assert section["find-links"] == "/a /b"
    assert section["extra"].split() == ["one", "two"]
    assert section["cache-dir"] == "/var/cache/edgeramp-pip"
    assert "timeout" not in section


def test_the_base_takes_the_machines_sources_of_its_suite_only(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "debian.sources").write_text(
        "Types: deb\n# a note\nURIs: mirror\nSuites: bookworm bookworm-updates\nComponents: main\n\n"
        "Types: deb\nURIs: other\nSuites: nodistro\nComponents: main\n"
    )
    text = images.debian_sources(tmp_path)
    assert "URIs: mirror" in text
    assert "other" not in text
    assert "#" not in text


def test_one_line_sources_are_understood_too(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("# no\ndeb mirror bookworm main\ndeb mirror trixie main\n")
    assert images.debian_sources(tmp_path) == "deb mirror bookworm main\n"


def test_a_machine_without_sources_for_the_suite_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"add one to .*sources\.list\.d"):
        images.debian_sources(tmp_path)


def test_an_unknown_image_is_answered_with_the_known_ones() -> None:
    with pytest.raises(Missing, match=r"no image called nonsense.*coredns"):
        images.dockerfile("nonsense")


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.relative_to(REPO).as_posix())
def test_locks_have_a_hash_for_everything_and_name_no_index(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "index-url" not in text
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    pinned = [block for block in blocks if re.match(r"[A-Za-z0-9._-]+(\[[^]]*\])?==", block)]
    assert pinned
    assert [block.split()[0] for block in pinned if "--hash=sha256:" not in block] == []


def test_a_node_keeps_an_image_under_repository_and_digest() -> None:
    assert (
        images.by_digest("172.29.0.1:5000/edgeramp/x:0123@sha256:ab")
        == "172.29.0.1:5000/edgeramp/x@sha256:ab"
    )


def test_an_image_that_fails_beside_another_is_built_once_more_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def make(name: str, how: object) -> str:
        tries.append(name)
        if name == "b" and tries.count("b") == 1:
            raise CommandFailed("the storage was busy")
        return f"ref-{name}"

    monkeypatch.setattr(images, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(images, "state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr(images, "_make", make)
    builder = images.Builder(lambda *_: None, lambda *_: None)
    assert images._made(["a", "b"], builder) == {"a": "ref-a", "b": "ref-b"}
    assert sorted(tries) == ["a", "b", "b"]
