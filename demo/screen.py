"""What the demo shows: one line per thing that happened, a moving line for what is awaited. Plain where no terminal is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

PLAIN_EVERY = 15.0  # seconds between progress lines where nothing can move


class Screen:
    """Lines carry the time since the start. Colours and a spinner only on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console = console or Console(highlight=False, width=160, soft_wrap=True)
        self._start = time.monotonic()
        self._moving: Status | None = None
        self._last_progress = ("", 0.0)

    def phase(self, title: str) -> None:
        self._stop_moving()
        self._console.print()
        self._console.rule(f"[bold]{escape(title)}", align="left")

    def say(self, text: str, style: str = "") -> None:
        """Something happened."""
        at = f"{_clock(time.monotonic() - self._start):>7} "
        self._console.print(
            f"[dim]{at}[/dim] " + (f"[{style}]{escape(text)}[/{style}]" if style else escape(text))
        )

    def good(self, text: str) -> None:
        self.say(text, "green")

    def bad(self, text: str) -> None:
        self.say(text, "red")

    def progress(self, text: str) -> None:
        """Something is awaited: moves on a terminal, else a line when it changed, and not too often."""
        if self._console.is_terminal:
            if self._moving is None:
                self._moving = self._console.status("")
                self._moving.start()
            self._moving.update(escape(text))
            return
        last, at = self._last_progress
        now = time.monotonic()
        if text != last and now - at >= PLAIN_EVERY:
            self._last_progress = (text, now)
            self.say(f"... {text}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._stop_moving()
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._console.print(table)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Ends the moving line, whatever happens inside."""
        try:
            yield
        finally:
            self._stop_moving()

    def _stop_moving(self) -> None:
        if self._moving is not None:
            self._moving.stop()
            self._moving = None
        self._last_progress = ("", 0.0)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"
