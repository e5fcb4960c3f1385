"""The reference pages are fresh, every reason in the code is documented, and no remedy names a field that is not there."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgeramp.api.crd import KINDS, crd
from edgeramp.cli import generated, reference
from edgeramp.decide.evidence.judgement import EvidenceReason
from edgeramp.report.exit_codes import ExitCode
from edgeramp.values.names import GROUP, VERB_ANNOTATIONS
from edgeramp.values.reasons import REASONS, reason

REPO = Path(__file__).resolve().parents[3]
ROOTS = ("operator/edgeramp/decide", "operator/edgeramp/effects", "operator/edgeramp/entry", "images/harness")
CAMEL = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)*")
# Functions and classes whose CamelCase arguments are a reason, among types and levels of events.
GIVES_A_REASON = {
    "condition", "make", "_make", "told", "Hold", "abort", "Event", "Situation", "Admission", "_stalled", "Summary",
    "JobError", "bad_spec", "unsupported", "transient",
}  # fmt: skip
CONDITIONS = {"Admitted", "Available", "Paused", "Progressing", "Promoted", "Ready", "Reconciling", "Stalled"}
NOT_A_REASON = {
    "Normal", "Warning", "True", "False", "Unknown",  # levels and states
    "Ready", "Stalled", "Progressing", "Reconciling", "SourceReady", "GatesPassed", "Available", "Degraded",  # types
    "Waiting", "Reconcile", "Stage", "Place", "Prepare", "Measure", "Gates", "Certification", "Finish", "Start",
    "Certify", "Answer",  # phases of a run, actions of an event
    "Refused", "Recorded",
}  # fmt: skip


def _literals(node: ast.AST) -> Iterator[str]:
    """CamelCase strings of an argument, also on the branches of a conditional expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and CAMEL.fullmatch(node.value):
        yield node.value
    if isinstance(node, ast.IfExp):
        yield from _literals(node.body)
        yield from _literals(node.orelse)
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _literals(value)


def _given() -> dict[str, str]:
    """Every reason that the code gives, with the file and line where."""
    found: dict[str, str] = {}
    for path in (p for root in ROOTS for p in sorted((REPO / root).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for value in _reasons_of(node):
                found.setdefault(value, f"{path.relative_to(REPO)}:{getattr(node, 'lineno', 0)}")
    found |= {value.value: "EvidenceReason" for value in EvidenceReason}
    return found | {code.reason: "ExitCode" for code in ExitCode}


def _reasons_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        arguments = [*node.args, *(k.value for k in node.keywords)] if called in GIVES_A_REASON else []
        arguments += [k.value for k in node.keywords if k.arg in ("reason", "abort_reason", "infeasible")]
        yield from (value for a in arguments for value in _literals(a) if value not in NOT_A_REASON)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in ("reason", "infeasible"):
                yield from _literals(value)
    if isinstance(node, ast.Tuple) and len(node.elts) == 4 and set(_literals(node.elts[0])) & CONDITIONS:
        yield from (value for value in _literals(node.elts[2]) if value not in NOT_A_REASON)


def _mentioned() -> set[str]:
    """Every CamelCase string in the code, wherever it stands."""
    nodes = (
        node
        for root in (*ROOTS, "operator/edgeramp/report")
        for path in (REPO / root).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    return {value for node in nodes for value in _literals(node)}


def _documented() -> set[str]:
    return {name for group in REASONS.values() for name in group}


def test_every_reason_in_the_code_is_documented() -> None:
    missing = {name: where for name, where in _given().items() if name not in _documented()}
    assert not missing, f"write what it means and what to do in values/reasons.py: {missing}"


def test_no_reason_is_documented_that_the_code_does_not_give() -> None:
    assert _documented() - _mentioned() == set()


def test_the_search_finds_a_new_reason() -> None:
    tree = ast.parse('told(course, "Warning", "BrandNew" if x else "Other", note)\nf(reason="AlsoNew")')
    assert [r for node in ast.walk(tree) for r in _reasons_of(node)] == ["BrandNew", "Other", "AlsoNew"]


def test_a_reason_is_in_one_group() -> None:
    names = [name for group in REASONS.values() for name in group]
    assert len(names) == len(set(names))


def _fields() -> set[str]:
    """Every path of a spec, of the chart's values, and every verb."""

    def paths(node: dict[str, Any], at: str) -> Iterator[str]:
        for name, child in node.get("properties", {}).items():
            yield f"{at}{name}"
            yield from paths(child.get("items", child), f"{at}{name}.")

    def values(node: Any, at: str) -> Iterator[str]:
        for name, child in node.items() if isinstance(node, dict) else ():
            yield f"{at}{name}"
            yield from values(child, f"{at}{name}.")

    schemas = [
        crd(k)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] for k in KINDS
    ]
    chart = yaml.safe_load((REPO / "charts/edgeramp/values.yaml").read_text(encoding="utf-8"))
    known = {path for schema in schemas for path in paths(schema, "")} | set(values(chart, ""))
    known |= {part for path in known for part in [path.rpartition(".")[2]]}
    return known | {verb.removeprefix(f"{GROUP}/") for verb in VERB_ANNOTATIONS}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for group in REASONS.values()
        for name, entry in group.items()
        for field in re.findall(r"`([^`]+)`", entry.meaning + entry.remedy)
        if not field.startswith(("edgeramp ", "promotion: ", "onFail: "))
    ],
)
def test_what_is_named_in_a_remedy_exists(name: str, field: str) -> None:
    assert field.removeprefix("spec.") in _fields(), f"{name} names {field}"


def test_the_pages_in_the_repository_are_fresh(tmp_path: Path) -> None:
    stale = [str(path) for path, _ in generated.stale(reference.files(REPO / "docs/reference").items())]
    assert not stale, f"run `make reference`: {stale}"
    assert reference.main([str(tmp_path), "--check"]) == 1
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main([str(tmp_path), "--check"]) == 0


def test_every_field_of_every_kind_is_on_the_page() -> None:
    page = reference.api()
    for field in ("spec.strategy.steps[]", "spec.evaluation.data.calibration", "status.candidates[]"):
        assert f"`{field}`" in page
    rows = [line for line in page.splitlines() if line.startswith(("| `", "| **`"))]
    assert all(line.count(" | ") >= 3 for line in rows)
    spec = page[page.index("### EdgeModel `spec`") : page.index("### EdgeModel `status`")]
    silent = [
        line for line in spec.splitlines() if line.startswith(("| `", "| **`")) and line.endswith("|  |")
    ]
    assert not silent, f"fields of the spec without a docstring: {silent}"


def test_every_value_of_the_chart_is_on_the_page_with_its_default(tmp_path: Path) -> None:
    chart = REPO / "charts/edgeramp"
    page = reference.values(chart)
    assert (
        '| `operator.log.format` | `json` or `text` | `"json"` | `json` for log collectors, `text` for people. |'
        in page
    )
    schema, defaults = (chart / name for name in ("values.schema.json", "values.yaml"))
    leaves = list(
        reference.leaves(
            "", json.loads(schema.read_text()), yaml.safe_load(defaults.read_text()) | {"global": 0}
        )
    )
    assert len(leaves) > 60
    assert [path for path, _, _ in leaves if f"| `{path}` |" not in page] == ["global"]
    (tmp_path / schema.name).write_text(schema.read_text())
    (tmp_path / defaults.name).write_text(defaults.read_text().replace("format: json", "format: text"))
    assert reference.values(tmp_path) != page  # so that a page of yesterday is stale


def test_explain_names_the_next_step_of_a_stalled_object() -> None:
    from edgeramp.cli.explain import to_do

    conditions = [
        {"type": "Ready", "status": "False", "reason": "RollingOut"},
        {"type": "Stalled", "status": "True", "reason": "NoMatchingNode"},
    ]
    found = reason("NoMatchingNode")
    assert found and to_do(conditions) == found.remedy
    assert to_do([{"type": "Ready", "status": "True", "reason": "Healthy"}]) == ""
