"""How many items a gate needs; that they give the power they claim is in tests/unit/harness/test_statistics.py."""

from __future__ import annotations

import pytest

from edgeramp.api.common import Gates
from edgeramp.decide.gates_power import agreement_items, check_data, retention_items
from edgeramp.report import Assessment


def assessed(selection: int, certification: int, rarest: int = 0) -> Assessment:
    return Assessment(
        format="onnx", size_bytes=1, parameters=1, architecture="cnn",
        items={"selection": selection, "certification": certification},
        smallest_class=dict.fromkeys(("selection", "certification"), rarest) if rarest else {},
    )  # fmt: skip


@pytest.mark.parametrize(("retention", "normal"), [(0.95, 60), (0.99, 1_500), (0.999, 152_000)])
def test_more_items_are_asked_for_than_the_normal_approximation_says(retention: float, normal: int) -> None:
    """The design's figures leave out that few losses are skewed; from many items on the two agree."""
    need = retention_items(retention, 0.05)
    assert need is not None and need > normal
    assert retention_items(0.999, 0.05) == pytest.approx(152_000, rel=0.05)


def test_no_number_of_items_proves_that_nothing_at_all_is_lost() -> None:
    assert retention_items(1.0, 0.05) is None
    assert not check_data(assessed(10**9, 10**9), Gates(accuracy_retention="1.0")).enough


def test_certification_needs_more_because_its_alpha_is_halved() -> None:
    need, stricter = retention_items(0.99, 0.05), retention_items(0.99, 0.025)
    assert need and stricter and need < stricter


def test_enough_data_is_told() -> None:
    found = check_data(assessed(1350, 1350), Gates())
    assert found.enough
    assert found.sentence == (
        "the data can decide retention >= 0.95: selection 1350 of about 135, certification 1350 of about 157 items"
        " (at 0.90 accuracy, 2% flips, 80% power)"
    )


def test_one_split_that_is_too_small_is_enough_to_warn() -> None:
    found = check_data(assessed(1350, 40), Gates(preset="95"))
    assert not found.enough and "may not decide" in found.sentence and "certification 40 of" in found.sentence


def test_more_agreement_than_can_be_expected_is_not_decidable() -> None:
    assert agreement_items(0.98, 0.05) is None, "with 2 % flips"
    loose, tight = agreement_items(0.90, 0.05), agreement_items(0.97, 0.05)
    assert loose and tight and loose < tight


def test_the_rarest_class_must_be_large_enough_for_its_gate() -> None:
    asked = Gates(class_retention="0.95", agreement="0.95")
    few, many = (check_data(assessed(5000, 5000, rarest), asked) for rarest in (40, 500))
    assert not few.enough and many.enough
    assert "may not decide retention of each class >= 0.95: selection 40 of about 135" in few.sentence
    assert "can decide agreement >= 0.95" in few.sentence
