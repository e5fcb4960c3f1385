"""Which part of a JSON answer is the result: `$.data.result[0].value[1]`, also in braces, as kubectl's JSONPath is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PART = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<index>-?\d{1,6})\]|\['(?P<quoted>[^']*)'\]|(?P<every>\[\*\])"
)
PATTERN = r"^(\{\$[^{}]*\}|\$[^{}]*)$"


class BadSelector(ValueError):
    """It is no selector of this kind."""


def selected(selector: str, document: Any) -> Any:
    """The part of `document`; None where there is none. `[*]` makes a list. BadSelector."""
    found: list[Any] = [document]
    parts = list(_parts(selector))
    for part in parts:
        found = [inner for value in found for inner in _below(value, part)]
    if "*" in parts:
        return found
    return found[0] if found else None


def _parts(selector: str) -> Iterator[str | int]:
    text = selector.strip().removeprefix("{").removesuffix("}").strip()
    if not text.startswith("$"):
        raise BadSelector(f"`{selector}`: write a path from the root, such as $.data.ok")
    at = 1
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise BadSelector(
                f"`{selector}`: {text[at:][:12]} is not understood; write .name, [0], ['name'] or [*]"
            )
        at = match.end()
        if match["every"]:
            yield "*"
        elif match["index"] is not None:
            yield int(match["index"])
        else:
            yield match["name"] if match["name"] is not None else f"'{match['quoted']}"


def _below(value: Any, part: str | int) -> Iterator[Any]:
    if isinstance(part, int):
        if isinstance(value, list) and -len(value) <= part < len(value):
            yield value[part]
    elif part == "*":
        if isinstance(value, list | dict):
            yield from value.values() if isinstance(value, dict) else value
    elif isinstance(value, Mapping) and part.removeprefix("'") in value:
        yield value[part.removeprefix("'")]
