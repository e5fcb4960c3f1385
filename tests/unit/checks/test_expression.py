"""The conditions of checks: a closed language."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeramp.decide.checks.expression import BadCondition, NoData, holds

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(("condition", "result", "expected"), [
    ("result >= 0.95", 0.95, True), ("result >= 0.95", 0.94, False), ("result >= 0.95", [0.99], True),
    ("result[0] < 2 && result[1] < 2", [1, 1.5], True), ("result[0] > 1 || result[1] > 1", [0, 2], True),
    ("!(result > 1)", 0.5, True), ("!result", False, True), ("result", True, True),
    ("len(result) == 0", [], True), ("len(result) > 0 && result[0] > 1", [], False), ("len(result) == 2", "ab", True),
    ("default(result, 0) <= 0.01", [], True), ("default(result[0], 5) > 4", [NAN], True), ("default(result, 0) == 3", [3], True),
    ("isNaN(result)", [NAN], True), ("isNaN(result)", 1, False), ("isInf(result)", INF, True), ("isNil(result.x)", {}, True),
    ("result.state == 'ok'", {"state": "ok"}, True), ('result.state != "ok"', {"state": "no"}, True),
    ("result.a.b[1].c > 1", {"a": {"b": [0, {"c": 2}]}}, True), ("asFloat(result.p) < 0.2", {"p": "0.15"}, True),
    ("asInt(result) == 2", 2.9, True), ("result - 1 == 1 && result * 2 / 4 == 1 && -result < 0", 2, True),
    ("1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", None, True), ("2 - 1 - 1 == 0", None, True), ("result == nil", None, True),
    ("true == 1", None, False), ("result['p 99'] > 1", {"p 99": 2}, True), ("result > 1e3", 1001, True),
    ("true || result > 1", None, True), ("false && result > 1", None, False), ("!!true", None, True), ("- -1 == 1", None, True),
])  # fmt: skip
def test_it_says_whether_a_condition_holds(condition: str, result: Any, expected: bool) -> None:
    assert holds(condition, result) is expected


@pytest.mark.parametrize(("condition", "result"), [
    ("result > 1", None), ("result > 1", []), ("result >= 0", NAN), ("result < 1", INF), ("result.x < 1", {}),
    ("result[3] < 1", [1, 2]), ("1 / result > 2", 0), ("result + 1 > 2", [NAN]), ("!result", None),
])  # fmt: skip
def test_nothing_nan_and_infinity_are_no_data_where_a_number_is_needed(condition: str, result: Any) -> None:
    with pytest.raises(NoData):
        holds(condition, result)


@pytest.mark.parametrize(("condition", "says"), [
    ("result >", "ends too early"), ("result >= 1 1", "1 is not expected"), ("(result > 1", ") is missing before the end"),
    ("__import__('os')", "__import__ is not known"), ("result.__class__ == 1", "has no"), ("eval(result)", "eval is not known"),
    ("result $ 1", "is not understood"), ("len()", "is not expected"), ("len(1, 2)", "takes 1"), ("default(1)", "takes 2"),
    ("result > 'a'", "a number is needed, not text"), ("result", "not true or false"), ("result && 1 == 1", "true or false"),
    ("len(result)", "len of a number"), ("result + 1", "not true or false"), ("result.5 > 1", "name is missing"),
    ("(" * 40 + "1" + ")" * 40 + " > 0", "nested too deep"),
    ("1 == 1 == 1", "== is not expected"), ("", "ends too early"), ("result > 1 " + " " * 300, "at most 256"),
    ("result[0 > 1", "] is missing"), ("asFloat('x') > 1", "is not a number"), ("result['a'] > 1", "has no"),
])  # fmt: skip
def test_what_is_no_condition_is_refused_with_the_reason(condition: str, says: str) -> None:
    with pytest.raises(BadCondition, match=re.escape(says)):
        holds(condition, 3.0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner, max_size=3),
    max_leaves=6,
)
_WORDS = [
    "result",
    "0",
    "1.5",
    "'a'",
    "len(",
    "default(",
    ")",
    "(",
    "[",
    "]",
    ".",
    "x",
    ",",
    "&&",
    "||",
    "!",
    "==",
    "<",
    "-",
    "/",
    "nil",
]


@given(st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join), _JSON)
def test_any_text_on_any_result_is_true_false_no_data_or_a_bad_condition(condition: str, result: Any) -> None:
    with suppress(BadCondition, NoData):
        assert isinstance(holds(condition, result), bool)
