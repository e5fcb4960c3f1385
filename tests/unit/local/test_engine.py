"""The kind path, seen from the engine's side: a stand-in for docker writes down what it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from local.edgeramp_local import engine, images, prereqs
from local.edgeramp_local.config import NODES, REGISTRY
from local.edgeramp_local.shell import Missing

SCRIPT = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
  info) exit {info} ;;
  ps) echo "{containers}" ;;
  exec) cat >> {log} ;;
esac
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGERAMP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGERAMP_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("EDGERAMP_ENGINE", raising=False)
    return tmp_path / "log"


def docker(log: Path, containers: str = "", info: int = 0) -> engine.Engine:
    script = log.parent / "docker"
    script.write_text(SCRIPT.format(log=log, containers=containers, info=info))
    script.chmod(0o755)
    return engine.Engine("docker")


def test_an_engine_that_answers_is_used_and_one_that_does_not_is_not(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(log)
    assert engine.find() == engine.Engine("docker")
    monkeypatch.setenv("EDGERAMP_ENGINE", "none")
    assert engine.find() is None
    monkeypatch.delenv("EDGERAMP_ENGINE")
    docker(log, info=1)
    assert prereqs.engine() != "docker"


def test_images_are_built_with_the_staged_tools_and_pushed_to_the_published_port(log: Path) -> None:
    builder = engine.builder(docker(log))
    (log.parent / "state").mkdir()
    name = next(
        name for name in images.names() if "COPY --from=tools" not in images.dockerfile(name).read_text()
    )
    builder.build(name, f"edgeramp/{name}:0123")
    builder.push(name, f"edgeramp/{name}:0123")
    build, push = log.read_text().splitlines()
    assert build.startswith("build --build-context=tools=")
    assert f"--tag=127.0.0.1:5000/edgeramp/{name}:0123" in build
    assert f"--file={images.dockerfile(name)}" in build
    assert push == f"push 127.0.0.1:5000/edgeramp/{name}:0123"


def test_the_nodes_learn_where_the_registry_really_is(log: Path) -> None:
    engine._connect_registry(docker(log))
    text = log.read_text()
    assert text.startswith("network connect kind edgeramp-registry\n")
    assert text.count(f"/etc/containerd/certs.d/{REGISTRY}/hosts.toml") == 1 + len(NODES)
    assert 'server = "http://edgeramp-registry:5000"' in text


def test_containers_that_stay_after_down_are_named(log: Path) -> None:
    with pytest.raises(Missing, match="did not go away: edgeramp-worker2"):
        engine.down(docker(log, containers="edgeramp-worker2 somebody-elses"))
    assert "rm --force --volumes edgeramp-registry" in log.read_text()


def test_there_is_a_worker_of_kind_for_every_node() -> None:
    assert len(engine.WORKERS) == len(NODES)
