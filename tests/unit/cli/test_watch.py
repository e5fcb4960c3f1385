"""`edgeramp watch` follows a rollout to its end, tells every change once, and outlives an API server that is away."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from tests.support.world import Behaviour, World, healthy, spec_of

from edgeramp.cli import reach, screen, watch
from edgeramp.effects.kinds import ROLLOUT, Kind
from edgeramp.values.errors import ClusterError, Unavailable
from edgeramp.values.names import API_VERSION

STRATEGY = {"steps": [{"setWeight": 20}, {"pause": {"duration": "10s"}}], "analysis": {"enabled": False}}


class Api:
    """The API server of a simulated world; time passes while somebody sleeps."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.away: list[ClusterError] = []
        self.asleep: Callable[[], None] = lambda: None

    def list(
        self, kind: Kind, namespace: str | None = None, labels: Any = None
    ) -> tuple[dict[str, Any], ...]:
        if self.away:
            raise self.away.pop()
        found = {**self.world.rollout, "apiVersion": API_VERSION, "kind": "Rollout"}
        return (found,) if kind == ROLLOUT and namespace in (None, "shop") else ()

    def clock(self) -> watch.Clock:
        def sleep(duration: float) -> None:
            self.asleep()
            self.world.run(duration)

        return watch.Clock(now=lambda: self.world.now, sleep=sleep)


def api(monkeypatch: pytest.MonkeyPatch, **behaviours: Behaviour) -> Api:
    world = healthy(spec_of("A", strategy=STRATEGY), behaviours=behaviours)
    world.set_artifact("B")
    made = Api(world)

    def connect(_: argparse.Namespace) -> Api:
        return made

    monkeypatch.setattr(reach, "connect", connect)
    return made


def watched(made: Api, *flags: str) -> int:
    return watch.main(["digits-box", "-n", "shop", *flags], made.clock())


def test_a_ramp_is_followed_to_its_promotion(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watched(api(monkeypatch), "--exit") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len({line.split("  ", 1)[1] for line in lines}), "each change once"
    told = "\n".join(lines)
    assert told.index("Progressing") < told.index("Paused  2/3  20 %") < told.index("Promoted: revision")
    assert all("shop/digits-box" in line for line in lines)


def test_a_ramp_that_is_rolled_back_ends_with_another_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watched(api(monkeypatch, B=Behaviour(crash_after=8)), "--exit") == watch.STALLED
    assert "Degraded" in capsys.readouterr().out.splitlines()[-1]


def test_an_api_server_that_is_away_is_told_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = api(monkeypatch)
    gone = iter([Unavailable("could not list rollouts.edgeramp.dev: refused")] * 1)
    made.asleep = lambda: made.away.extend(gone)
    assert watched(made, "--exit") == 0
    assert capsys.readouterr().out.count("this is older") == 1


def test_after_its_time_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        watched(api(monkeypatch, B=Behaviour(ready_after=None)), "--exit", "--timeout", "20s")
        == watch.TIMED_OUT
    )


def test_ctrl_c_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = api(monkeypatch)

    def interrupt() -> None:
        raise KeyboardInterrupt

    made.asleep = interrupt
    assert watched(made) == watch.INTERRUPTED


def test_what_is_not_there_or_not_named_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = api(monkeypatch)
    assert watch.main(["nothing", "-n", "shop"], made.clock()) == 1
    assert "no EdgeModel or Rollout nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        watch.main(["-n", "shop", "--exit"], made.clock())
    assert "needs the name" in capsys.readouterr().err


def test_a_status_of_an_earlier_spec_is_no_end() -> None:
    ready = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    assert watch.ended({"metadata": {"generation": 2}, "status": ready}) is None
    assert watch.ended({"metadata": {"generation": 1}, "status": ready}) == 0


def test_the_picture_has_the_tree_and_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    made = api(monkeypatch)
    made.world.run(5)
    seen = watch.look(made, "shop", None)  # type: ignore[arg-type]
    drawn = screen.drawn(watch.picture(seen.tree, "", made.world.now, 100), 100)
    assert "digits-box" in drawn and "Paused" in drawn
    assert "digits-box: goes on at " in drawn and "UTC" in drawn.splitlines()[-1]
    console = Console(width=60, color_system=None)
    assert console.measure(watch.picture(seen.tree, "", made.world.now, 60)).maximum <= 60
