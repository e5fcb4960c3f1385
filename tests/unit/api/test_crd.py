"""The generated CRDs are fresh, structural, bounded, and speak in our words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeramp.api.crd import INT_OR_STRING, KINDS, OPEN, RULES, Kind, crd
from edgeramp.cli import crds, generated

REPO = Path(__file__).resolve().parents[3]
FORBIDDEN = {
    "$ref",
    "$defs",
    "title",
    "anyOf",
    "oneOf",
    "allOf",
    "uniqueItems",
    "const",
    "nullable",
    "examples",
}


def _schema(kind: Kind) -> dict[str, Any]:
    version = crd(kind)["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def _nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node with its field path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    if "additionalProperties" in schema:
        yield from _nodes(schema["additionalProperties"], f"{path}.*")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")


each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)


def test_the_files_in_the_repository_are_fresh() -> None:
    made = crds.files(REPO / "crds", REPO / "charts/edgeramp/templates/crds", REPO / crds.SCHEMA)
    stale = [str(path.relative_to(REPO)) for path, _ in generated.stale(made)]
    assert not stale, f"run `make crds`: {stale}"


def test_the_command_writes_them_and_then_finds_them_fresh(tmp_path: Path) -> None:
    where = [str(tmp_path / "crds"), "--chart", str(tmp_path / "chart"), "--schema", str(tmp_path / "s.json")]
    assert crds.main([*where, "--check"]) == 1
    assert crds.main(where) == 0
    assert crds.main([*where, "--check"]) == 0


@each_kind
def test_the_schema_is_structural(kind: Kind) -> None:
    for path, node in _nodes(_schema(kind)):
        assert not FORBIDDEN & set(node), path
        assert "type" in node or node.keys() & {OPEN, INT_OR_STRING}, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert node.get("additionalProperties") is not False, path


@each_kind
def test_everything_in_a_spec_is_bounded(kind: Kind) -> None:
    bound = {"array": "maxItems", "string": "maxLength"}
    for path, node in _nodes(_schema(kind)["properties"]["spec"], "spec"):
        if "enum" not in node and node.get("type") in bound:
            assert bound[node["type"]] in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


@each_kind
def test_no_keyword_speaks_before_a_rule(kind: Kind) -> None:
    for path, node in _nodes(_schema(kind)):
        if RULES in node:
            assert not node.keys() & {"pattern", "minLength", "minimum", "maximum", "minItems"}, path
            assert all(rule["message"] for rule in node[RULES]), path
        assert "pattern" not in node or ".status" in path, f"{path} has a pattern without a message"


@each_kind
def test_a_status_has_no_defaults_and_no_rules(kind: Kind) -> None:
    for path, node in _nodes(_schema(kind)["properties"]["status"], "status"):
        assert not node.keys() & {"default", RULES}, path


@each_kind
def test_every_column_shows_a_field_that_exists(kind: Kind) -> None:
    for column in kind.columns:
        node = _schema(kind)
        for part in column.path.strip(".").split("."):
            if part == "metadata":
                break
            node = node["properties"][part]


@each_kind
def test_kubectl_explain_says_something_about_every_field_of_a_spec(kind: Kind) -> None:
    ours = [
        (path, node)
        for path, node in _nodes(_schema(kind)["properties"]["spec"], "spec")
        if not path.endswith(("[]", ".*", "spec"))
        and "candidates[]" not in path  # those are of the Job contract
    ]
    assert not [path for path, node in ours if not node.get("description")]


def test_a_chart_template_keeps_the_crd_on_uninstall() -> None:
    text = crds.chart_text_of(crd(KINDS[0]))
    assert text.startswith("{{- if .Values.crds.install }}\n")
    assert text.endswith("{{- end }}\n")
    assert "helm.sh/resource-policy: keep" in text


def test_what_helm_would_read_as_a_template_is_refused() -> None:
    with pytest.raises(ValueError, match="Helm would read"):
        crds.chart_text_of({"metadata": {"name": "x"}, "spec": "{{ nonsense }}"})


def test_yaml_repeats_instead_of_pointing() -> None:
    assert not [path for path, text in crds.files(Path(), Path()) if "&id" in text or "*id" in text]
