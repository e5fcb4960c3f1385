"""Documents that are run: every console block of a page, command by command, against what the page says it prints.

A line that begins with `$ ` is a command; it goes on after a trailing backslash and in lines that begin with `> `, as in a
shell. What follows until the next command is what it prints: `…` stands for anything, runs of spaces are one space.
A command without output in the page may print anything.
"""

from __future__ import annotations

import doctest
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SEPARATOR = "=-=-= command {} ended with"
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Command:
    """One command of a page and what the page says that it prints ('' says nothing)."""

    line: int
    text: str
    expected: str


@dataclass(frozen=True)
class Outcome:
    """What it did."""

    command: Command
    code: int
    printed: str

    @property
    def complaint(self) -> str:
        """'' where it did what the page says."""
        if self.code:
            return f"line {self.command.line}: `{self.command.text}` ended with {self.code}:\n{self.printed}"
        want = self.command.expected.replace("…", "...")
        if not want or doctest.OutputChecker().check_output(want, self.printed, _FLAGS):
            return ""
        return f"line {self.command.line}: `{self.command.text}` printed\n{self.printed}where the page says\n{want}"


def commands(page: str) -> Iterator[Command]:
    """The commands of a page in their order."""
    for block in BLOCK.finditer(page):
        first = page[: block.start(1)].count("\n") + 1
        yield from _of_a_block(block[1].splitlines(), first)


def _of_a_block(lines: list[str], first: int) -> Iterator[Command]:
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        stop = start
        while stop + 1 < end and (lines[stop].endswith("\\") or lines[stop + 1].startswith("> ")):
            stop += 1
        text = "\n".join(
            [lines[start][2:], *(line.removeprefix("> ") for line in lines[start + 1 : stop + 1])]
        )
        printed = "".join(line + "\n" for line in lines[stop + 1 : end])
        yield Command(first + start, text, printed)


def run(page: str, folder: Path, environment: Mapping[str, str], seconds: float) -> list[Outcome]:
    """Run the page in one shell, as a reader would; it stops at the first command that fails."""
    found = list(commands(page))
    lines = ["exec 2>&1"]
    for number, command in enumerate(found):
        said = _SEPARATOR.format(number)
        lines += [command.text, f'code=$?; echo; echo "{said} $code"; [ $code = 0 ] || exit 0']
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    return list(_outcomes(found, done.stdout))


def _outcomes(found: list[Command], printed: str) -> Iterator[Outcome]:
    rest = printed
    for number, command in enumerate(found):
        parts = re.split(rf"\n{re.escape(_SEPARATOR.format(number))} (\d+)\n", rest, maxsplit=1)
        if len(parts) < 3:
            return
        text, code, rest = parts
        yield Outcome(command, int(code), text if text.endswith("\n") or not text else text + "\n")
