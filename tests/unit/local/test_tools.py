"""Tools are pinned, found again in the cache, and their absence is explained."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from local.edgeramp_local import prereqs, tools
from local.edgeramp_local.shell import Missing


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go1.26.8", (1, 26)),
        ("go1.27rc1", (1, 27)),
        ("devel go1.28-abc", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_a_go_version_is_read(text: str, version: tuple[int, int]) -> None:
    assert tools.parse_go_version(text) == version


def test_an_old_go_and_a_missing_go_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go1.19.8\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(Missing, match=r"is go1\.19\.8\. Go 1\.26 or newer is needed"):
        tools.find_go()


@pytest.mark.parametrize("tool", tools.GO_TOOLS, ids=lambda tool: tool.name)
def test_every_go_tool_is_pinned_by_version_and_hash(tool: tools.GoTool) -> None:
    text = (tool.folder / "go.mod").read_text()
    if tool.name == "pause":
        assert "require" not in text
        return
    assert re.search(r"^\t?\S+ v\d+\.\d+\.\d+", text, re.MULTILINE)
    assert (tool.folder / "go.sum").stat().st_size > 0
    assert "=> ./" not in text and "=> ../" not in text


def test_the_kubernetes_version_that_binaries_report_is_the_pinned_one() -> None:
    text = (tools.LOCAL / "tools" / "kubernetes" / "go.mod").read_text()
    assert f"k8s.io/kubernetes {tools.KUBERNETES_VERSION}" in text
    ldflags = next(tool.ldflags for tool in tools.GO_TOOLS if tool.name == "kubernetes")
    assert f"gitVersion={tools.KUBERNETES_VERSION}" in ldflags and "gitMinor=37" in ldflags


def test_a_cache_folder_belongs_to_pins_and_flags() -> None:
    etcd = next(tool for tool in tools.GO_TOOLS if tool.name == "etcd")
    changed = dataclasses.replace(etcd, ldflags="-s")
    assert etcd.key() == dataclasses.replace(etcd).key()
    assert etcd.key() != changed.key()


def test_the_cache_lies_outside_the_checkout_and_can_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGERAMP_CACHE", str(tmp_path))
    assert tools.binary("kubectl").is_relative_to(tmp_path)
    assert tools.binary("envoy").is_relative_to(tmp_path)
    monkeypatch.delenv("EDGERAMP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert tools.binary("kubectl").is_relative_to(tmp_path / "xdg" / "edgeramp")


def test_a_machine_without_cgroups_is_told_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"no cgroup controllers cpu, memory, pids .*--privileged"):
        prereqs.cgroup_version(tmp_path)
