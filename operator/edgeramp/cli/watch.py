"""edgeramp watch: the tree of `edgeramp get`, drawn again whenever something in it changes, with what comes next.

    kubectl edgeramp watch                   of the namespace of your context, until Ctrl-C
    kubectl edgeramp watch digits --exit     ends when digits is Ready (exit code 0) or Stalled (3)
    kubectl edgeramp watch digits | tee log  where there is no terminal: a line for every change

Exit code 130 after Ctrl-C; 4 when --timeout passed; 1 when there is no such object or the cluster cannot be asked at first.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from edgeramp.cli import reach, screen
from edgeramp.cli.get import listed
from edgeramp.cli.tree import Json, Tree, only, rows, table, tree
from edgeramp.effects.cluster import Cluster
from edgeramp.values.errors import ClusterError, Unavailable
from edgeramp.values.quantities import seconds

LOOK_SECONDS = 1.0
STALLED, TIMED_OUT, INTERRUPTED = 3, 4, 130


@dataclass(frozen=True)
class Seen:
    """What there is now; `ended`: 0 or 3 once the object of that name is through (None: it is not)."""

    tree: Tree
    ended: int | None


@dataclass(frozen=True)
class Clock:
    """Time, so that a test can pass it."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def main(argv: Sequence[str], clock: Clock = Clock()) -> int:
    """See the module."""
    parser = _parser()
    args = parser.parse_args(list(argv))
    if args.exit and not args.name:
        parser.error("--exit needs the name of one object")
    space = None if args.all_namespaces else reach.namespace(args)
    try:
        cluster = reach.connect(args)
        patience = seconds(args.timeout) if args.timeout else None
        first = look(cluster, space, args.name)
    except (ClusterError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if args.name and not (first.tree.models or first.tree.rollouts):
        sys.stderr.write(f"there is no EdgeModel or Rollout {args.name}\n")
        return 1
    until = None if patience is None else clock.now() + patience
    try:
        with _paper(clock) as paper:
            again = partial(look, cluster, space, args.name)
            return _follow(again, first, paper, clock, until, args.exit)
    except KeyboardInterrupt:
        return INTERRUPTED


def look(cluster: Cluster, namespace: str | None, name: str | None) -> Seen:
    """The tree now, of one name or of all."""
    models, runs, rollouts = listed(cluster, namespace)
    whole = tree(models, runs, rollouts)
    named = [o for o in (*models, *rollouts) if o["metadata"]["name"] == name]
    return Seen(only(whole, name) if name else whole, ended(named[0]) if named else None)


def ended(obj: Json) -> int | None:
    """0 when the object is Ready, 3 when it is Stalled, None while it is on its way. Of its present generation only."""
    status = obj.get("status") or {}
    if status.get("observedGeneration") != obj["metadata"].get("generation"):
        return None
    true = {c["type"] for c in status.get("conditions") or [] if c["status"] == "True"}
    return 0 if "Ready" in true else STALLED if "Stalled" in true else None


class _Lines:
    """For a file or a pipe: a line for every row that changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def show(self, whole: Tree, trouble: str) -> None:
        now = time.strftime("%H:%M:%S", time.gmtime(self._clock.now()))
        if trouble:
            self._tell(now, "", (trouble,))
        above = ""
        for name, *said in rows(whole, True):
            bare = name.lstrip(" │├└─")
            above = bare if bare == name else above
            key = f"{above} > {bare}" if bare != name else name
            self._tell(now, key, tuple(said))

    def _tell(self, now: str, name: str, said: tuple[str, ...]) -> None:
        if self._known.get(name) != said:
            self._known[name] = said
            sys.stdout.write("  ".join(filter(None, (now, name, *said))) + "\n")
            sys.stdout.flush()


class _Picture:
    """For a terminal: the whole tree, in place."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._live = Live(console=Console(highlight=False), auto_refresh=False)

    def __enter__(self) -> _Picture:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, whole: Tree, trouble: str) -> None:
        self._live.update(picture(whole, trouble, self._clock.now(), self._live.console.width), refresh=True)


def picture(whole: Tree, trouble: str, now: float, width: int) -> RenderableType:
    """The tree, what each Rollout does next, and when this was seen (epoch)."""
    spaces = {m.namespace for m in whole.models} | {r.namespace for r in whole.rollouts}
    made: list[RenderableType] = [table(whole, len(spaces) > 1, width), *map(screen.sentence, _next(whole))]
    at = time.strftime("%H:%M:%S UTC", time.gmtime(now))
    made.append(Text(f"{at}  {trouble}".rstrip(), style="yellow" if trouble else "dim"))
    return Group(*made)


def _next(whole: Tree) -> Iterator[str]:
    below = [t.rollout for m in whole.models for t in m.targets if t.rollout is not None]
    for rollout in (*below, *whole.rollouts):
        if rollout.next and rollout.phase != "Healthy":
            yield f"{rollout.name}: {rollout.next}"


def _paper(clock: Clock) -> AbstractContextManager[_Lines | _Picture]:
    return _Picture(clock) if sys.stdout.isatty() else _Lines(clock)


def _follow(
    again: Callable[[], Seen],
    seen: Seen,
    paper: _Lines | _Picture,
    clock: Clock,
    until: float | None,
    exits: bool,
) -> int:
    """Looks every second; one that the API server does not answer shows what was seen before."""
    trouble = ""
    while True:
        paper.show(seen.tree, trouble)
        if exits and seen.ended is not None:
            return seen.ended
        if until is not None and clock.now() >= until:
            return TIMED_OUT
        clock.sleep(LOOK_SECONDS)
        try:
            seen, trouble = again(), ""
        except Unavailable as error:
            trouble = f"this is older: {error}; trying again"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeramp watch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="of one EdgeModel, or of a Rollout without one")
    parser.add_argument("--exit", action="store_true", help="end when it is Ready or Stalled; needs a name")
    parser.add_argument("--timeout", help="end after this long, such as 10m")
    reach.add_options(parser, all_namespaces=True)
    return parser
