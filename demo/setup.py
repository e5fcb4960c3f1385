"""Everything before the story: tools, cluster, images, chart, example artifacts, gateway."""

from __future__ import annotations

import ctypes.util
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo import kube as kube_module
from demo import paths, shell
from demo.kube import Kube
from demo.reach import Reach
from demo.screen import Screen
from demo.until import until


@dataclass
class Timings:
    """Seconds per phase, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Adds the time spent inside to a phase."""
        started = time.monotonic()
        try:
            yield
        finally:
            spent = self.seconds.get(name, 0.0) + time.monotonic() - started
            self.seconds[name] = round(spent, 1)


def is_cold() -> bool:
    """Whether nothing was built on this machine yet."""
    return not any((paths.local.cache_dir() / "tools").glob("*"))


def cluster(screen: Screen, timings: Timings, names: tuple[str, ...]) -> None:
    """Tools, cluster, images. Each says itself when there is nothing to do. While the images are built, the examples of
    these names are trained beside it; `examples` waits for them."""
    from edgeramp_local import prereqs

    if prereqs.engine() is None:
        with timings.of("go builds"):
            shell.stream(
                screen, "building Kubernetes and its tools", paths.cluster_command("tools"), echo=True
            )
    with timings.of("cluster"):
        shell.stream(screen, "starting the cluster", paths.cluster_command("up"), echo=True)
    with timings.of("images"):
        _openblas(screen)
        for name in names:
            shell.beside([sys.executable, "-m", f"examples.models.{name}"])
        shell.stream(screen, "building images", paths.cluster_command("images"))
        screen.say("all images are in the cluster's registry")


def chart(screen: Screen, timings: Timings) -> None:
    """The operator and its store by Helm, with a signing key of this cluster's own."""
    signing = paths.scratch() / "signing"
    with timings.of("chart"):
        keygen = ["-m", "edgeramp.cli.keygen", "--namespace", paths.NAMESPACE, "--out", str(signing)]
        shell.output([sys.executable, *keygen])
        values = ["--values", str(signing / "values.yaml")]
        images = paths.local.state_dir() / "images-values.yaml"
        if images.exists():
            values = ["--values", str(images), *values]
        _helm_upgrade(screen, values)
        kube_module.apply(paths.EXAMPLES / "namespace.yaml")
        kube_module.apply(signing / "manifests.yaml")
    screen.good("operator and store run; certificates are signed with a key made for this cluster")


def _helm_upgrade(screen: Screen, values: list[str]) -> None:
    """Install or upgrade. A failure is told with what the operator itself says; an upgrade cut off is taken back first."""
    place = ["--namespace", paths.OPERATOR_NAMESPACE]
    upgrade = ["upgrade", "--install", paths.RELEASE, str(paths.CHART), *place, "--create-namespace", *values]
    command = paths.cluster_command("helm", *upgrade, "--wait", "--timeout", "4m")
    try:
        shell.stream(screen, "installing the chart", command)
    except shell.CommandFailed as error:
        if "another operation" in str(error):
            screen.say("an earlier installation was interrupted: taking it back, then once more", "yellow")
            shell.output(paths.cluster_command("helm", "rollback", paths.RELEASE, *place))
            shell.stream(screen, "installing the chart", command)
            return
        raise shell.CommandFailed(f"{error}\n{_operator_says(place)}") from error


def _operator_says(place: list[str]) -> str:
    """The operator's pods and the end of its log: what a person would look at next."""
    looks = (["get", "pods"], ["logs", f"deployment/{paths.RELEASE}", "--tail=15"])
    said = []
    for words in looks:
        try:
            said.append(shell.output([*paths.kubectl(), *words, *place]).strip())
        except shell.CommandFailed as error:
            said.append(str(error))
    return "\n".join(said)


def examples(screen: Screen, timings: Timings, names: tuple[str, ...]) -> dict[str, Path]:
    """The folders of the built examples; trained on first use."""
    with timings.of("examples"):
        _openblas(screen)
        for name in names:
            what = f"building the {name} example (trained on first use)"
            shell.stream(screen, what, [sys.executable, "-m", f"examples.models.{name}"])
    from examples.publish import built

    return {name: built(name) for name in names}


def _openblas(screen: Screen) -> None:
    """Training with MLX is thirty times slower without it; a failure here costs patience only."""
    from edgeramp_local import prereqs

    if ctypes.util.find_library("openblas") or not shutil.which("apt-get"):
        return
    try:
        prereqs.ensure_packages({"openblas-for-mlx": "libopenblas0-pthread"})
    except Exception as error:
        screen.say(f"OpenBLAS was not installed ({error}): training takes longer", "yellow")


def publish(screen: Screen, timings: Timings, reach: Reach, folders: dict[str, Path]) -> dict[str, str]:
    """Models and splits into the store; tag to digest."""
    from examples.publish import publish as push

    pushed: dict[str, str] = {}
    with timings.of("publish"):
        store = reach.store()
        for name, folder in folders.items():
            pushed |= push(store, name, folder)
    screen.good(f"{len(pushed)} artifacts are in the store: {', '.join(sorted(pushed))}")
    return pushed


def gateway(screen: Screen, timings: Timings, kube: Kube) -> None:
    """The Gateway `edge`, programmed."""
    with timings.of("gateway"), screen.waiting():
        kube_module.apply(paths.EXAMPLES / "gateway.yaml")

        def programmed() -> bool:
            found = kube.items("gateways", group="gateway.networking.k8s.io")
            item = next((g for g in found if g["metadata"]["name"] == "edge"), None)
            return kube_module.condition(item, "Programmed").get("status") == "True"

        until("the gateway to be programmed", programmed, 120, progress=screen.progress)
    screen.good("the gateway listens")
