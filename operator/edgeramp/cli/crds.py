"""`python -m edgeramp.cli.crds`: write the CRDs for `kubectl apply` and, as templates, for the chart; and the schema of
the certification report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edgeramp.api.crd import KINDS, crd
from edgeramp.cli.generated import settle
from edgeramp.report.certification import json_schema
from edgeramp.values.names import GROUP

HEADER = "# Generated from operator/edgeramp/api by `make crds`; do not edit.\n"
CHART_HEAD = "{{- if .Values.crds.install }}\n"
CHART_TAIL = "{{- end }}\n"
SCHEMA = Path("docs/reference/certification-report.v1.schema.json")


class _NoAliases(yaml.SafeDumper):
    """Repeats equal parts instead of pointing at them: people and other parsers read these files."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def text_of(document: dict[str, Any]) -> str:
    """Deterministic YAML of one CRD."""
    body = yaml.dump(document, Dumper=_NoAliases, sort_keys=False, width=120, allow_unicode=True)
    return HEADER + str(body)


def chart_text_of(document: dict[str, Any]) -> str:
    """The same as a chart template: kept on uninstall, left out when `crds.install` is false."""
    kept = document | {
        "metadata": document["metadata"] | {"annotations": {"helm.sh/resource-policy": "keep"}},
    }
    text = text_of(kept)
    if "{{" in text:
        raise ValueError(f"{document['metadata']['name']} holds '{{{{', which Helm would read as a template")
    return CHART_HEAD + text + CHART_TAIL


def files(crds: Path, chart: Path, schema: Path = SCHEMA) -> Iterator[tuple[Path, str]]:
    """Every generated file and its content."""
    yield schema, json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    for kind in KINDS:
        document = crd(kind)
        name = f"{GROUP}_{kind.plural}.yaml"
        yield crds / name, text_of(document)
        yield chart / name, chart_text_of(document)


def main(argv: list[str] | None = None) -> int:
    """Write the files, or with --check say which are stale; returns the exit status."""
    parser = argparse.ArgumentParser(prog="edgeramp-crds", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("crds"))
    parser.add_argument("--chart", type=Path, default=Path("charts/edgeramp/templates/crds"))
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    parser.add_argument("--schema", type=Path, default=SCHEMA, help="of the certification report")
    options = parser.parse_args(argv)
    made = files(options.directory, options.chart, options.schema)
    return settle(made, options.check, "make crds")


if __name__ == "__main__":
    sys.exit(main())
