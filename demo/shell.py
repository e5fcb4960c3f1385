"""Running commands so that a person sees that they live, and what they said when they fail."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from demo import paths
from demo.screen import Screen


class CommandFailed(Exception):
    """A command ended with another code than 0; the message has its last lines."""


def stream(screen: Screen, what: str, argv: Sequence[str | Path], echo: bool = False) -> float:
    """Run to the end and return the seconds it took. Its newest line is the progress; `echo` shows all of them."""
    started = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=paths.REPO,
        env=paths.environment(),
    )  # fmt: skip
    tail: deque[str] = deque(maxlen=30)
    with screen.waiting():
        for line in _lines(
            process, lambda: screen.progress(f"{what} {time.monotonic() - started:.0f} s · {_last(tail)}")
        ):
            tail.append(line)
            if echo and line.strip():
                screen.say(line)
    if process.wait() != 0:
        raise CommandFailed(f"{what} failed ({' '.join(map(str, argv))}):\n" + "\n".join(tail))
    return time.monotonic() - started


def beside(argv: Sequence[str | Path]) -> None:
    """Start a command that is not waited for here; whoever needs its work runs it again and waits."""
    subprocess.Popen(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd=paths.REPO, env=paths.environment(),
    )  # fmt: skip


def output(argv: Sequence[str | Path], stdin: str | None = None) -> str:
    """Run quietly and return what it printed."""
    done = subprocess.run(
        [str(word) for word in argv], input=stdin, capture_output=True, text=True, cwd=paths.REPO,
        env=paths.environment(), check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(map(str, argv))}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _lines(process: subprocess.Popen[bytes], idle: Callable[[], None]) -> Iterator[str]:
    """Lines as they come; `idle` is called after each, and every half second without one."""
    assert process.stdout
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ)
    rest = b""
    while True:
        if selector.select(0.5):
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        idle()
    if rest:
        yield rest.decode(errors="replace")


def _last(tail: deque[str]) -> str:
    return tail[-1].strip()[:100] if tail else ""
