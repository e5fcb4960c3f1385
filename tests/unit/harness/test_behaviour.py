"""What candidates answer, beside what is right: agreement, and no class that pays for the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeramp_harness import scoring, statistics
from edgeramp_harness.data import Split
from edgeramp_harness.quality import Scores, assess_behaviour

Figures = dict[int, tuple[int, int, int]]
"""Per class: right with both, only with the original, only with the candidate; the latter two answer 99 otherwise."""


def told(figures: Figures) -> tuple[Scores, Split]:
    labels, before, after = [], [], []
    for label, (both, only_reference, only_candidate) in figures.items():
        labels += [label] * (both + only_reference + only_candidate)
        before += [label] * (both + only_reference) + [99] * only_candidate
        after += [label] * both + [99] * only_reference + [label] * only_candidate
    y, b, c = (np.array(v, np.int64) for v in (labels, before, after))
    split = Split(y, np.arange(len(y)).astype(np.str_), {})
    return Scores((b == y).astype(float), (c == y).astype(float), Path(), (b, c)), split


def test_agreement_counts_equal_answers_and_is_bounded() -> None:
    found = assess_behaviour(*told({0: (470, 10, 20)}), 0.95, 0.95, 1)
    assert found is not None
    assert found.agreement == pytest.approx(0.94)
    assert 0.91 < found.agreement_lower < 0.94 < found.agreement_upper < 0.96


def test_answers_that_are_wrong_in_the_same_way_agree() -> None:
    scores, split = told({0: (50, 0, 0), 1: (50, 0, 0)})
    wrong = Scores(np.zeros(100), np.zeros(100), Path(), (np.full(100, 7), np.full(100, 7)))
    found = assess_behaviour(wrong, split, 0.95, 0.95, 1)
    assert found is not None and found.agreement == 1.0
    assert (found.classes, found.worst) == (0, None), "no class has anything to keep"
    assert assess_behaviour(scores, split, 0.95, 0.95, 1).agreement == 1.0  # type: ignore[union-attr]


def test_one_class_pays_for_the_others() -> None:
    """Overall 97 % are kept; class 3 keeps 70 %."""
    figures: Figures = dict.fromkeys(range(10), (300, 0, 0))
    figures[3] = (210, 90, 0)
    found = assess_behaviour(*told(figures), 0.9, 0.95, 1)
    assert found is not None and found.worst is not None
    assert (found.classes, found.classes_kept, found.classes_below, found.below) == (10, 9, 1, ["3"])
    assert found.worst.label == "3" and found.worst.items == 300
    assert found.worst.retention == pytest.approx(0.7)
    assert found.worst.lower < 0.7 < found.worst.upper < 0.8


def test_a_rare_class_is_neither_kept_nor_below() -> None:
    found = assess_behaviour(*told({0: (500, 0, 0), 1: (8, 0, 0)}), 0.95, 0.95, 1)
    assert found is not None and (found.classes, found.classes_kept, found.classes_below) == (2, 1, 0)


def test_without_answers_there_is_no_behaviour() -> None:
    scores, split = told({0: (50, 0, 0)})
    bare = Scores(scores.reference, scores.candidate, Path())
    assert assess_behaviour(bare, split, 0.95, 0.95, 1) is None


def test_hundred_classes_at_the_gate_are_seldom_accused() -> None:
    """Holm: any wrong accusation in at most 5 % of measurements; here in each of them some class would be at 5 % by itself."""
    rng, accused = np.random.default_rng(3), 0
    for _ in range(40):
        lost = rng.binomial(60, 0.1, 100)
        figures = {label: (60 - int(n), int(n), 0) for label, n in enumerate(lost)}
        found = assess_behaviour(*told(figures), 0.9, 0.95, 1)
        accused += bool(found and found.classes_below)
    assert accused <= 6, "the 99.9 % point of 40 at 5 %"


def test_holm_refuses_step_by_step() -> None:
    assert statistics.holm([0.03, 0.01, 0.2], 0.05) == [False, True, False], "0.03 exceeds 0.05 / 2"
    assert statistics.holm([0.024, 0.01, 0.2], 0.05) == [True, True, False]
    assert statistics.holm([0.02, 0.9], 0.05) == [True, False]
    assert statistics.holm([], 0.05) == []


def test_the_p_value_and_the_upper_bound_say_the_same() -> None:
    b, c = np.ones(200), np.repeat([1.0, 0.0], (165, 35))
    p = statistics.paired_quality(b, c, 0.9, 0.95, 1).p_below
    assert 0 < p < 0.05
    for confidence, below in ((1 - p - 0.002, True), (1 - p + 0.002, False)):
        assert (statistics.paired_quality(b, c, 0.9, confidence, 1).margin.upper < 0) is below


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])], [1, 0]),
        ([np.array([4, 9])], [4, 9]),
        ([np.array([4, 9]), np.array([[0.1, 0.9], [0.9, 0.1]])], [1, 0]),
    ],
)
def test_an_answer_is_the_class_with_the_largest_score(outputs: list[np.ndarray], said: list[int]) -> None:
    assert scoring.answers(outputs, 2).tolist() == said
