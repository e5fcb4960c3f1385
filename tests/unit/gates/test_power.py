"""How many items a gate needs, against the figures of the design (optimization.md, Gates)."""

from __future__ import annotations

import pytest

from edgeramp.decide.gates_power import check_data, items_needed


@pytest.mark.parametrize(
    ("retention", "power", "about"),
    [
        (0.95, 0.8, 60), (0.99, 0.8, 1_500), (0.999, 0.8, 152_000),
        (0.95, 0.5, 30), (0.99, 0.5, 670), (0.999, 0.5, 66_000),
    ],
)  # fmt: skip
def test_items_needed_are_those_of_the_design(retention: float, power: float, about: int) -> None:
    need = items_needed(retention, 0.05, power)
    assert need is not None and abs(need - about) / about < 0.05


def test_no_number_of_items_proves_that_nothing_at_all_is_lost() -> None:
    assert items_needed(1.0, 0.05) is None
    assert not check_data({"selection": 10**9, "certification": 10**9}, 1.0, 0.95).enough


def test_certification_needs_more_because_its_alpha_is_halved() -> None:
    need, stricter = items_needed(0.99, 0.05), items_needed(0.99, 0.025)
    assert need and stricter and need < stricter


def test_enough_data_is_told() -> None:
    found = check_data({"selection": 1350, "certification": 1350}, 0.95, 0.95)
    assert found.enough
    assert found.sentence == (
        "the data can decide retention >= 0.95: selection 1350 of about 59, certification 1350 of about 75 items"
        " (at 0.90 accuracy, 2% flips, 80% power)"
    )


def test_one_split_that_is_too_small_is_enough_to_warn() -> None:
    found = check_data({"selection": 1350, "certification": 40}, 0.95, 0.95)
    assert not found.enough and "may not decide" in found.sentence and "certification 40 of" in found.sentence
