"""The runner of documents: it finds commands, and what differs from the page is said with its line."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.documents import commands, run

PAGE = """# A page

```console
$ NAME=world
$ echo "hello   $NAME" \\
>   and others
hello world and …
$ echo unheard
$ cat <<EOF
> two
> lines
> EOF
two
lines
```

```yaml
$ not: a command
```

```console
$ echo 2; echo 3
2
3
```
"""


def test_commands_are_found_with_their_lines_and_what_they_print() -> None:
    found = [(c.line, c.text.splitlines()[0], c.expected) for c in commands(PAGE)]
    assert found == [
        (4, "NAME=world", ""),
        (5, 'echo "hello   $NAME" \\', "hello world and …\n"),
        (8, "echo unheard", ""),
        (9, "cat <<EOF", "two\nlines\n"),
        (22, "echo 2; echo 3", "2\n3\n"),
    ]


def test_a_page_that_holds_has_no_complaints(tmp_path: Path) -> None:
    outcomes = run(PAGE, tmp_path, os.environ, 20)
    assert [o.complaint for o in outcomes] == [""] * 5


def test_another_output_is_said_with_its_line(tmp_path: Path) -> None:
    outcomes = run(PAGE.replace("2\n3\n```", "2\n4\n```"), tmp_path, os.environ, 20)
    assert [o.command.line for o in outcomes if o.complaint] == [22]
    assert "where the page says" in outcomes[-1].complaint


def test_a_command_that_fails_ends_the_page(tmp_path: Path) -> None:
    outcomes = run(PAGE.replace("echo unheard", "(exit 3)"), tmp_path, os.environ, 20)
    assert [(o.command.line, o.code) for o in outcomes] == [(4, 0), (5, 0), (8, 3)]
    assert "ended with 3" in outcomes[-1].complaint
