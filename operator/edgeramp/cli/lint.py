"""edgeramp lint: whether manifests would be accepted, and what in them will not work out, before anything is applied.

Works offline, with the rules of this version's CRDs. Other objects in the files are passed over. `-` is standard input.

    edgeramp lint digits.yaml rollout.yaml
    helm template . | edgeramp lint -

Exit code 0 when nothing is wrong (there may be advice), 3 when an object would be refused, 1 when a file cannot be read.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from edgeramp.cli import reach, screen
from edgeramp.cli.advice import advice
from edgeramp.values.names import API_VERSION, GROUP

REFUSED = 3
_EXTRA = "edgeramp lint needs two more libraries: pip install 'edgeramp[lint]'"


class Finding(screen.Shape):
    """`level`: Error (the API server would refuse it) or Advice. `field` is empty for the whole object; `line` counts from 1."""

    file: str
    line: int
    kind: str
    name: str
    field: str
    level: str
    message: str


class Unreadable(Exception):
    """A file that cannot be read, or is not YAML."""


def main(argv: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="edgeramp lint", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="manifests; - is standard input")
    reach.add_output(parser)
    args = parser.parse_args(list(argv))
    try:
        looked, findings = lint(args.files)
    except ModuleNotFoundError as error:
        if error.name not in ("celpy", "jsonschema"):
            raise
        sys.stderr.write(f"{_EXTRA}\n")
        return 1
    except Unreadable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if args.output == "json":
        found = {"objects": looked, "findings": [f.wire() for f in findings]}
        sys.stdout.write(screen.as_json(found))
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(looked, findings)))
    return REFUSED if any(f.level == "Error" for f in findings) else 0


def lint(files: Sequence[str]) -> tuple[int, list[Finding]]:
    """How many objects of ours there are in the files, and what is to be said of them, in their order."""
    looked = 0
    findings: list[Finding] = []
    for file in files:
        for node, document in _documents(file):
            if str(document.get("apiVersion", "")).partition("/")[0] == GROUP:
                looked += 1
                findings += _of_one(file, node, document)
    return looked, findings


def _of_one(file: str, node: yaml.Node, document: Mapping[str, Any]) -> Iterator[Finding]:
    from edgeramp.cli import rules  # needs the libraries of the extra `lint`

    kind, name = str(document.get("kind", "")), str((document.get("metadata") or {}).get("name", ""))

    def said(path: rules.Path, message: str, level: str = "Error") -> Finding:
        return Finding(
            file=file,
            line=_line(node, path),
            kind=kind,
            name=name,
            field=_text(path),
            level=level,
            message=message,
        )

    if kind not in rules.KIND_NAMES:
        near = difflib.get_close_matches(kind, rules.KIND_NAMES, 1)
        yield said(
            ("kind",), f"{GROUP} has no {kind}; write {near[0] if near else ', '.join(rules.KIND_NAMES)}"
        )
        return
    if document["apiVersion"] != API_VERSION:
        yield said(("apiVersion",), f"write {API_VERSION}")
        return
    wrong = [said(b.path, b.message) for b in rules.broken(document)]
    yield from wrong
    if not wrong:
        yield from (said(path, message, "Advice") for path, message in advice(document))


def _documents(file: str) -> Iterator[tuple[yaml.Node, Mapping[str, Any]]]:
    """The objects of a file with their YAML nodes; those inside a List too."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        nodes = [n for n in yaml.compose_all(text, Loader=yaml.SafeLoader) if n is not None]
        values = [v for v in yaml.safe_load_all(text) if v is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise Unreadable(f"{file} is not YAML: {error}") from error
    for node, value in zip(nodes, values, strict=True):
        if not isinstance(value, dict):
            continue
        if value.get("kind") == "List" and isinstance(value.get("items"), list):
            items = _child(node, "items")
            yield from zip(getattr(items, "value", []), value["items"], strict=True)
        else:
            yield node, value


def _child(node: yaml.Node | None, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part]  # type: ignore[no-any-return]
    return None


def _line(node: yaml.Node, path: Sequence[str | int]) -> int:
    """Of the field, or of what it is missing in; counted from 1."""
    line = node.start_mark.line
    here: yaml.Node | None = node
    for part in path:
        if isinstance(here, yaml.MappingNode):
            line = next((key.start_mark.line for key, _ in here.value if key.value == str(part)), line)
        here = _child(here, part)
        if isinstance(part, int) and here is not None:
            line = here.start_mark.line
    return int(line) + 1


def _text(path: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _lines(looked: int, findings: Sequence[Finding]) -> Iterator[str]:
    for f in findings:
        field = f"{f.field}: " if f.field else ""
        yield f"{f.file}:{f.line}: {f.level}: {f.kind} {f.name}: {field}{f.message}"
    errors = sum(f.level == "Error" for f in findings)
    if not looked:
        yield f"no object of {GROUP} in what was given"
    else:
        yield f"{looked} looked at, {errors} errors, {len(findings) - errors} pieces of advice"
