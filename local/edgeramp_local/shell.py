"""Running commands, saying what happens, and stopping with advice instead of a traceback."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_START = time.monotonic()


class Missing(Exception):
    """Something this machine lacks or refuses; the message says what to do about it."""


class CommandFailed(Missing):
    """A command ended with an error; the message holds the command and the end of its output."""


def say(message: str) -> None:
    """Print one progress line with the seconds since the start of this command."""
    print(f"[{time.monotonic() - _START:6.1f}s] {message}", file=sys.stderr, flush=True)


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command with its output captured; raises CommandFailed unless `check` is false."""
    words = [str(word) for word in argv]
    full_env = {**os.environ, **env} if env else None
    try:
        done = subprocess.run(
            words,
            input=stdin,
            env=full_env,
            cwd=cwd,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
            stdin=None if stdin is not None else subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise Missing(f"{words[0]} is not installed: {error}") from error
    if check and done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise CommandFailed(f"`{' '.join(words)[:600]}` failed with exit code {done.returncode}:\n{tail}")
    return done


def stream(
    argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, prefix: str = ""
) -> None:
    """Run a long command: its output goes to `log`, its step lines to the terminal; raises CommandFailed."""
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as sink,
        subprocess.Popen(
            words,
            env={**os.environ, **(env or {})},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            sink.write(line)
            if line.startswith("STEP "):
                say(f"{prefix}{line.strip()[:150]}")
    if child.returncode:
        tail = "\n".join(log.read_text().strip().splitlines()[-30:])
        raise CommandFailed(
            f"`{' '.join(words)[:300]} …` failed with exit code {child.returncode} (log: {log}):\n{tail}"
        )


def wait_for(what: str, condition: Callable[[], object], timeout: float, interval: float = 0.1) -> None:
    """Poll until `condition()` is true; raises Missing with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise Missing(f"gave up after {timeout:.0f} s waiting for {what}")
        time.sleep(interval)


@contextmanager
def progress(what: str, every: float = 30.0) -> Iterator[None]:
    """Say what begins, and every half minute that it still goes on."""
    done = threading.Event()
    began = time.monotonic()

    def remind() -> None:
        while not done.wait(every):
            say(f"… still {what}: {time.monotonic() - began:.0f} s")

    say(what)
    thread = threading.Thread(target=remind, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive file lock, so that two of these commands never work on the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another command that holds {path}", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.chmod(mode)
    partial.replace(path)
