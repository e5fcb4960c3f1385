"""`python3 local/cluster.py`: up, down, status, images, tools, exec, venv."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import (
    addons,
    controlplane,
    engine,
    images,
    network,
    nodes,
    pki,
    prereqs,
    probe,
    processes,
    registry,
    session,
    status,
    teardown,
    tools,
    venv,
)
from .config import NODES, cache_dir, kubeconfig, state_dir
from .shell import Missing, locked, progress, say, wait_for


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code, 2 where the machine lacks something."""
    words = sys.argv[1:] if argv is None else argv
    try:
        if words[:1] in (["kubectl"], ["helm"]):  # argparse would take their options for its own
            return _pass_on(words[0], words[1:])
        options = _parser().parse_args(words)
        return int(options.run(options) or 0)
    except BrokenPipeError:  # somebody reads only the first lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Missing as error:
        print(f"edgeramp local cluster: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("up", _up, "start the cluster, or do nothing if it runs")
    down = add("down", _down, "stop the cluster and leave nothing behind")
    down.add_argument("--purge", action="store_true", help="drop the nodes' image stores too")
    add("status", _status, "show what runs; exit code 1 if something is down")
    build = add("images", _images, "build and push the images whose inputs changed")
    build.add_argument("names", nargs="*", help="only these (default: all)")
    build.add_argument(
        "--preload", action="store_true", help="then pull them on the nodes that run Jobs and servers"
    )
    add("tools", _tools, "build the cluster's binaries into the cache")
    environment = add("venv", _venv, "make a Python environment of this project and print its folder")
    environment.add_argument("name", nargs="?", default="dev", choices=["dev", "docs"])
    add(
        "env",
        _env,
        'print what puts kubectl, helm and edgeramp on the PATH: eval "$(python3 local/cluster.py env)"',
    )
    for name in ("kubectl", "helm"):
        commands.add_parser(name, help=f"run the built {name} on the cluster")
    inside = add("exec", _exec, "run a command inside a node: exec er-n1 -- COMMAND …")
    inside.add_argument("node", choices=[node.name for node in NODES])
    inside.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _tools(_: argparse.Namespace) -> None:
    prereqs.require_linux()
    tools.ensure()
    say(f"all tools are in {cache_dir() / 'tools'}")


def _engine() -> engine.Engine | None:
    """The engine to use kind with; none while an engine-less cluster is here, whatever answers."""
    return None if processes.recorded() else engine.find()


def _images(options: argparse.Namespace) -> None:
    found = _engine()
    if found is None:
        prereqs.require_root("building images")
    refs = images.build(options.names or images.usual(), engine.builder(found) if found else None)
    if options.preload:
        _preload([ref for name, ref in refs.items() if name not in images.SYSTEM], found)
    print(json.dumps(refs, indent=1))


def _preload(refs: list[str], found: engine.Engine | None) -> None:
    """Pull images where Jobs and servers run, before any pod waits for them."""
    if found:
        engine.preload(found, refs)
        return
    workers = [node for node in NODES if node.hardware_class != "gateway"]
    with progress("pulling images on the nodes"), ThreadPoolExecutor(len(workers)) as pool:
        pulled = list(pool.map(lambda node: nodes.preload(node, refs), workers))
    for node, names in zip(workers, pulled, strict=True):
        say(f"{node.name}: pulled {len(names)} of {len(refs)} images")


def _venv(options: argparse.Namespace) -> None:
    print(venv.ensure(options.name))


def _env(_: argparse.Namespace) -> None:
    print(session.exports())


def _status(_: argparse.Namespace) -> int:
    found = _engine()
    rows = engine.lines(found) if found else status.lines()
    print(status.table(rows))
    print(f"kubeconfig {kubeconfig()}" if found else status.where())
    return 0 if status.all_ok(rows) else 1


def _down(options: argparse.Namespace) -> None:
    found = _engine()
    if found:
        engine.down(found)
        return
    prereqs.require_root("stopping the local cluster")
    with locked(state_dir() / "lock"), locked(images.busy_lock()):
        teardown.down(keep_images=not options.purge)
    teardown.say_down()


def _exec(options: argparse.Namespace) -> None:
    node = next(node for node in NODES if node.name == options.node)
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    argv = [
        *nodes.enter_argv(node),
        "/usr/bin/env",
        f"PATH={tools.path_with_tools()}",
        *(words or ["/bin/sh"]),
    ]
    os.execvp(argv[0], argv)


def _pass_on(name: str, arguments: list[str]) -> int:
    if not tools.binary(name).exists():
        raise Missing(f"{name} is not built yet: `make up` or `python3 local/cluster.py tools` does that")
    os.environ.update(addons.client_env())
    os.execv(tools.binary(name), [name, *arguments])


def _up(_: argparse.Namespace) -> None:
    found = _engine()
    if found:
        engine.up(found)
        return
    began = time.monotonic()
    prereqs.check_cluster()
    with locked(state_dir() / "lock"):
        if status.running():
            _await_ready()
            addons.wait_available()
            say(f"the cluster is up already: {status.where()}")
            return
        if _remains():
            say("an earlier cluster did not end well: cleaning up first")
            teardown.down()
        tools.ensure()
        refs = images.build(images.SYSTEM)
        _start(refs)
    say(f"cluster up in {time.monotonic() - began:.1f} s: {status.where()}")


def _remains() -> bool:
    """Whether parts of a cluster are there (the registry alone is not a cluster)."""
    recorded = set(processes.recorded()) - {registry.NAME}
    netns = any((network.NETNS / node.name).exists() for node in NODES)
    return bool(recorded) or netns or (state_dir() / "etcd").exists()  # the last is what a reboot leaves


def _start(refs: dict[str, str]) -> None:
    began = time.monotonic()
    network.up_bridge()
    teardown.remember_sysctls()
    pki.create()
    with ThreadPoolExecutor(2) as pool:
        control = pool.submit(_control_plane)
        workers = pool.submit(nodes.start_all, refs["pause"], probe.this_machine())
        control.result()
        extras = pool.submit(addons.install, refs)
        workers.result()
        _await_ready()
        say(
            f"all {len(NODES)} nodes Ready {time.monotonic() - began:.1f} s after the start of the first process"
        )
        extras.result()
    addons.wait_available()
    say("names, storage and gateway are available")


def _await_ready() -> None:
    names = {node.name for node in NODES}
    try:
        wait_for("all nodes to be Ready", lambda: controlplane.ready_nodes() >= names, timeout=120)
    except Missing as error:
        late = sorted(names - controlplane.ready_nodes())
        words = [f"{name}'s kubelet says:\n{processes.last_words(f'{name}-kubelet')}" for name in late]
        raise Missing("\n".join([f"{error}; not Ready: {', '.join(late)}", *words])) from error


def _control_plane() -> None:
    controlplane.start_api()
    controlplane.start_controllers()
    say(f"API server ready; kubeconfig {kubeconfig()}")
