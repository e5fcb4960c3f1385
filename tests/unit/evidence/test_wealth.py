"""Money: what is placed and what is kept always sums to one."""

from __future__ import annotations

import math

import pytest

from edgeramp.decide.evidence import wealth

TWO_HOURS = 7200.0


@pytest.mark.parametrize("paid", [0, 1, 60, 119, 120])
def test_placing_money_never_changes_the_total(paid: int) -> None:
    logs = wealth.place_money(wealth.first_money(10), paid, TWO_HOURS)
    assert wealth.log_wealth(logs, paid, TWO_HOURS) == pytest.approx(0.0, abs=1e-12)


def test_money_of_a_gap_is_what_would_have_been_placed_minute_by_minute() -> None:
    slowly = wealth.first_money(6)
    for _ in range(7):
        slowly = wealth.place_money(slowly, 1, TWO_HOURS)
    assert wealth.place_money(wealth.first_money(6), 7, TWO_HOURS) == pytest.approx(slowly)


@pytest.mark.parametrize(
    ("start", "due"), [(0.0, 0), (59.9, 0), (60.0, 1), (3600.0, 60), (7200.0, 120), (90000.0, 120)]
)
def test_money_is_due_by_the_blocks_time(start: float, due: int) -> None:
    assert wealth.minutes_due(start, TWO_HOURS) == due


def test_a_short_duration_places_its_half_at_once() -> None:
    assert wealth.minutes_in(20.0) == 1


def test_late_money_finds_a_late_start_sooner() -> None:
    """After an hour in which one arm lost, fresh money makes up for it."""
    early = wealth.first_money(1)
    late = wealth.place_money((early[0] - 40.0,), 60, TWO_HOURS)
    assert late[0] > math.log(0.2)


def test_starting_anew_gives_one_and_remembers_which_arm_did_best() -> None:
    logs = wealth.restart((0.0, 12.0, -3.0))
    assert wealth.log_sum_exp(logs) == pytest.approx(0.0, abs=1e-12)
    assert max(range(3), key=lambda i: logs[i]) == 1
    assert min(logs) >= -math.log(6.0) - 1e-12


def test_sums_of_logs_do_not_overflow() -> None:
    assert wealth.log_sum_exp((5000.0, 5000.0)) == pytest.approx(5000.0 + math.log(2.0))
    assert wealth.log_sum_exp(()) == -math.inf
