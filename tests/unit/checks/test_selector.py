"""Which part of a JSON answer is the result."""

from __future__ import annotations

from typing import Any

import pytest

from edgeramp.decide.checks.selector import BadSelector, selected

DOCUMENT: dict[str, Any] = {
    "data": {"ok": True, "rows": [{"v": 1}, {"v": 2}], "p 99": 3, "*": 7},
    "n-x": [[5, 6]],
}


@pytest.mark.parametrize(("selector", "expected"), [
    ("$", DOCUMENT), ("$.data.ok", True), ("{$.data.rows[1].v}", 2), ("{ $.data.ok }", True), ("$.data.rows[-1].v", 2),
    ("$.data['p 99']", 3), ("$.data.rows[*].v", [1, 2]), ("$.n-x[0][1]", 6), ("$.data.missing", None), ("$.data.rows[9].v", None),
    ("$.data.ok.deeper", None), ("$.missing[*]", []), ("$.data['*']", 7),
])  # fmt: skip
def test_it_finds_the_part(selector: str, expected: Any) -> None:
    assert selected(selector, DOCUMENT) == expected


@pytest.mark.parametrize(
    "selector", ["data.ok", "$..ok", "$.data[?(@.v>1)]", "$.data[", "$data", "", "$.data[a]"]
)
def test_what_it_does_not_understand_is_refused(selector: str) -> None:
    with pytest.raises(BadSelector):
        selected(selector, DOCUMENT)
