"""The vectors of the design, to all digits, and what each factor says about plain cases."""

from __future__ import annotations

import math

import pytest

from edgeramp.decide.evidence import factors
from edgeramp.decide.evidence.factors import Tolerance


def test_count_of_the_first_vector() -> None:
    log = factors.count_log(5, 95, 2, 1, 10.0, Tolerance(1.0, 0.0), 1.0)
    assert f"{math.exp(log):.5f}" == "32.80167"


def test_count_of_the_second_vector() -> None:
    log = factors.count_log(50, 450, 6, 9, 3.0, Tolerance(1.1, 0.0005), 1.0)
    assert math.exp(log) == pytest.approx(36.56643, abs=1e-5)  # 36.566437; the design cut the last digit


def test_betting_of_the_third_vector() -> None:
    bet = factors.rate_bet(50, 450, 0.01, 0.0575, Tolerance(1.1, 0.0005))
    assert f"{bet.centre_stable:.7f}" == "0.0144301"
    assert f"{bet.centre_candidate:.7f}" == "0.0163731"
    assert f"{bet.stake:.6f}" == "2.553666"
    log = factors.betting_log(((1.0, 6), (0.0, 44)), ((1.0, 9), (0.0, 441)), bet, 1.1 * 50 / 450, 1.0)
    assert f"{math.exp(log):.5f}" == "76.01015"


def test_phi_two_is_the_square_root_of_phi_one() -> None:
    one = factors.count_log(50, 450, 6, 9, 3.0, Tolerance(1.1, 0.0005), 1.0)
    two = factors.count_log(50, 450, 6, 9, 3.0, Tolerance(1.1, 0.0005), 2.0)
    assert math.exp(two) == pytest.approx(math.sqrt(math.exp(one)), rel=1e-12)


@pytest.mark.parametrize("arm", factors.COUNT_ARMS)
def test_swapping_tracks_at_equal_weight_and_no_tolerance_mirrors_the_count(arm: float) -> None:
    equal = Tolerance(1.0, 0.0)
    there = factors.count_log(80, 80, 7, 3, arm, equal, 1.25)
    back = factors.count_log(80, 80, 3, 7, 1.0 / arm, equal, 1.25)
    assert there == pytest.approx(back, rel=1e-9)


def test_swapping_tracks_mirrors_the_shift() -> None:
    there = factors.shift_z(20, 12.0, 30, 14.0, 0.0)
    assert factors.shift_z(30, 14.0, 20, 12.0, 0.0) == pytest.approx(-there)


def test_a_candidate_exactly_at_its_tolerance_moves_the_shift_nowhere() -> None:
    assert factors.shift_z(20, 10.4, 100, 50.0, 0.02) == pytest.approx(0.0, abs=1e-12)
    assert factors.shift_log(0.0, 1.0, 6.0) == 0.0


def test_the_shift_stays_finite_however_far_the_candidate_is_ahead() -> None:
    assert math.isfinite(factors.shift_log(-1e6, 1.0, 6.0))
    assert factors.shift_log(1e6, 1.0, 6.0) == pytest.approx(math.log(2.0))


@pytest.mark.parametrize("arm", factors.MEAN_ARMS)
def test_the_mean_of_harmless_shares_is_no_evidence(arm: float) -> None:
    assert factors.mean_log(0.03, 0.03, arm) == pytest.approx(0.0, abs=1e-12)
    assert factors.mean_log(0.2, 0.03, arm) > 0 > factors.mean_log(0.0, 0.03, arm)


def test_a_bet_on_non_inferiority_turns_the_sign() -> None:
    bet = factors.rate_bet(50, 450, 0.001, 0.0005, Tolerance(1.0, 0.02))
    assert bet.stake < 0
    clean = factors.betting_log(((0.0, 50),), ((0.0, 450),), bet, 50 / 450, 1.0)
    failing = factors.betting_log(((1.0, 5), (0.0, 45)), ((0.0, 450),), bet, 50 / 450, 1.0)
    assert clean > 0 > failing


def test_an_impossible_margin_is_not_bet_on() -> None:
    bet = factors.rate_bet(50, 450, 0.99, 0.99, Tolerance(1.0, 0.04))
    assert bet.stake == 0.0 or bet.centre_candidate < 1.0
