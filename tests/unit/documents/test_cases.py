"""Every behaviour that is promised has a test of its number, and no test a number that is not promised."""

from __future__ import annotations

from tests import cases


def test_every_case_but_those_of_later_has_a_test() -> None:
    assert sorted(set(cases.CASES) - set(cases.found())) == list(cases.LATER)
    assert set(cases.found()) <= set(cases.CASES)


def test_the_page_is_that_of_the_tests() -> None:
    assert cases.PAGE.read_text() == cases.page()
