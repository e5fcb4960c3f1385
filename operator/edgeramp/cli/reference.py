"""`python -m edgeramp.cli.reference`: write docs/reference from the code: every field of the API, every reason, every
value of the chart."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from edgeramp.api.crd import INT_OR_STRING, KINDS, OPEN, RULES, Kind, crd
from edgeramp.cli.generated import settle
from edgeramp.values.metrics import METRICS
from edgeramp.values.names import API_VERSION
from edgeramp.values.reasons import REASONS

CHART = Path("charts/edgeramp")
HEADER = "<!-- Generated from the code by `make reference`; do not edit. -->\n\n"
_BOUNDS = {
    "minimum": "at least {}", "maximum": "at most {}", "minItems": "at least {} items", "minLength": "at least {} long",
}  # fmt: skip


def api() -> str:
    """The API reference as Markdown: one section per kind, one table per object inside it."""
    parts = ["# API reference", f"Group and version: `{API_VERSION}`. A field in **bold** is required."]
    for kind in KINDS:
        parts += _kind(kind)
    return HEADER + "\n\n".join(parts) + "\n"


def _kind(kind: Kind) -> Iterator[str]:
    root = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    yield f"## {kind.name}"
    yield root["description"] + f" Short name `{kind.short_names[0]}`."
    for part in ("spec", "status"):
        for path, node in _objects(part, root["properties"][part]):
            yield f"### {kind.name} `{path}`"
            yield from filter(
                None, [node.get("description", "") if path != part else "", _table(node), _rules(node)]
            )


def _objects(path: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object with fields of its own, parents first; `[]` is a list's item, `.*` a map's value."""
    if node.get("properties"):
        yield path, node
        for name, child in node["properties"].items():
            yield from _objects(f"{path}.{name}", child)
    if "items" in node:
        yield from _objects(f"{path}[]", node["items"])
    if "additionalProperties" in node:
        yield from _objects(f"{path}.*", node["additionalProperties"])


def _table(node: dict[str, Any]) -> str:
    required = set(node.get("required", ()))
    rows = []
    for name, child in node["properties"].items():
        shown = f"**`{name}`**" if name in required else f"`{name}`"
        default = f"`{_cell(json.dumps(child['default'], ensure_ascii=False))}`" if "default" in child else ""
        rows.append((shown, _type(child), default, _meaning(child)))
    return _grid(("field", "type", "default", "meaning"), rows)


def _grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; its cells are Markdown already."""
    lines = (columns, ["---"] * len(columns), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _type(node: dict[str, Any]) -> str:
    if node.get(INT_OR_STRING):
        return "integer or string"
    if "enum" in node:
        return " or ".join(f"`{choice}`" for choice in node["enum"])
    if node.get(OPEN) and "type" not in node:
        return "any"
    if "items" in node:
        return f"list of {_type(node['items'])}"
    if node.get("additionalProperties"):
        return f"map to {_type(node['additionalProperties'])}"
    return str(node["type"])


def _meaning(node: dict[str, Any]) -> str:
    said = [node["description"].rstrip(".") + "."] if "description" in node else []
    said += [text.format(node[key]) + "." for key, text in _BOUNDS.items() if key in node]
    if not node.get("properties"):
        said += [f"{rule['message']}." for rule in node.get(RULES, ())]
    return _cell(" ".join(text if "://" in text.split()[0] else text[0].upper() + text[1:] for text in said))


def _rules(node: dict[str, Any]) -> str:
    return "\n".join(f"- {rule['message']}" for rule in node.get(RULES, ()))


def reasons() -> str:
    """Every reason as Markdown, by where it comes up."""
    intro = (
        "A reason stands in a condition, in an event, in a target's line of `kubectl describe edgemodel`, or in a "
        "candidate's line of an OptimizationRun. `edgeramp explain` prints the same next step."
    )
    parts = ["# Reasons, and what to do", intro]
    for title, group in REASONS.items():
        rows = ((f"`{name}`", _cell(r.meaning), _cell(r.remedy)) for name, r in sorted(group.items()))
        parts += [f"## {title}", _grid(("reason", "meaning", "what to do"), rows)]
    return HEADER + "\n\n".join(parts) + "\n"


def metrics() -> str:
    """Every metric of the operator as Markdown."""
    intro = (
        "The operator tells these at `/metrics`, port 8080. The servers of models tell their own beside them. Series with "
        "the name of an object go when it goes; scrape with `honor_labels: true`, as the chart's ServiceMonitor does. Alerts "
        "and a dashboard on them come with the chart ([install](../install.md))."
    )
    rows = (
        (f"`{m.name}`", m.type, ", ".join(f"`{label}`" for label in m.labels), _cell(m.help)) for m in METRICS
    )
    table = _grid(("metric", "type", "labels", "meaning"), rows)
    return HEADER + "\n\n".join(["# Metrics", intro, table]) + "\n"


def values(chart: Path) -> str:
    """The chart's values as Markdown, one table per section; types and bounds from its schema, defaults from values.yaml."""
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))["properties"]
    defaults = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    shown = {name: schema[name] for name in defaults}
    intro = (
        "`values.yaml` of the chart says the same beside each default. A value that is not here is refused by Helm. "
        "[Install](../install.md) has values for production."
    )
    parts = ["# Values of the chart", intro]
    for name, node in shown.items():
        table = _grid(
            ("value", "type", "default", "meaning"),
            (_value(*leaf) for leaf in leaves(name, node, defaults[name])),
        )
        parts += [f"## `{name}`", *([node["description"]] if node.get("properties") else []), table]
    return HEADER + "\n\n".join(parts) + "\n"


def leaves(path: str, node: dict[str, Any], default: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every value below a section, with its schema and default."""
    if not node.get("properties"):
        yield path, node, default
        return
    for name, child in node["properties"].items():
        yield from leaves(f"{path}.{name}".lstrip("."), child, default[name])


def _value(path: str, node: dict[str, Any], default: Any) -> tuple[str, ...]:
    return f"`{path}`", _type(node), f"`{_cell(json.dumps(default, ensure_ascii=False))}`", _meaning(node)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def files(where: Path, chart: Path = CHART) -> dict[Path, str]:
    """Every generated page and its text."""
    return {
        where / "api.md": api(),
        where / "reasons.md": reasons(),
        where / "metrics.md": metrics(),
        where / "values.md": values(chart),
    }


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or with --check say which are stale; returns the exit status."""
    parser = argparse.ArgumentParser(prog="edgeramp-reference", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("docs/reference"))
    parser.add_argument("--chart", type=Path, default=CHART, help="whose values are listed")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    options = parser.parse_args(argv)
    return settle(files(options.directory, options.chart).items(), options.check, "make reference")


if __name__ == "__main__":
    sys.exit(main())
