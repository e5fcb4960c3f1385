"""Tables for a terminal, and JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 160
"""Columns where nobody's terminal says how many there are."""
NARROW = 120
"""Below this many columns a table leaves out what can be read elsewhere."""
_TONES = {
    "Fail": "red", "Degraded": "red", "Failed": "red", "NoCandidate": "red", "Stalled": "red", "Infeasible": "red",
    "Error": "yellow", "Inconclusive": "yellow", "Paused": "yellow", "AwaitingEvidence": "cyan",
    "Progressing": "cyan", "Pass": "green", "Healthy": "green", "Certified": "green", "Ready": "green",
}  # fmt: skip


class Shape(BaseModel):
    """Part of what -o json prints: camelCase, the same fields always, whatever their value."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    def wire(self) -> dict[str, Any]:
        """As printed."""
        return self.model_dump(mode="json", by_alias=True)


def plain_table(*columns: str, title: str = "") -> Table:
    """As kubectl draws: no lines, headers in capitals."""
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title=title or None,
        title_justify="left",
        header_style="",
    )
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    return table


def word(text: object) -> Text:
    """A phase, verdict or name: coloured where its meaning is known, cut last of all columns."""
    said = "" if text is None else str(text)
    return Text(said, style=_TONES.get(said, ""))


def sentence(text: str) -> Text:
    """Prose in one line; what does not fit is left out."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def drawn(what: RenderableType, width: int) -> str:
    """As plain text of that width, for tests and for what is no terminal."""
    console = Console(width=width, color_system=None, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(what)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def width() -> int:
    """Columns of standard output."""
    return Console().width if sys.stdout.isatty() else PIPE_WIDTH


def show(what: RenderableType) -> None:
    """To standard output: in colour where it is a terminal."""
    if sys.stdout.isatty():
        Console(highlight=False).print(what)
    else:
        sys.stdout.write(drawn(what, PIPE_WIDTH))


def as_json(shape: Mapping[str, Any]) -> str:
    """Indented JSON with a newline at its end."""
    return json.dumps(shape, indent=2, ensure_ascii=False) + "\n"
