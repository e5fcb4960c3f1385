"""Each gate decides by a bound: a point estimate on the right side is not enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.optimize.bench import Bench, Figures, digest

from edgeramp.api.common import Gates
from edgeramp.decide import gates
from edgeramp.report import MeasureSummary, Quality, Saved
from edgeramp.report.summary import Behaviour, WorstClass
from edgeramp.values.verdict import Verdict

PASS, FAIL, INCONCLUSIVE, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR


def measured(**changes: Any) -> MeasureSummary:
    """A candidate at 2.5x, 0.998 of the accuracy, 74 % less memory, changed as told by dotted names."""
    from edgeramp.report.spec import ArtifactRef, MeasureSpec, Runner, RunRef, Store

    figures = {"ref": Figures(1.0), "new": Figures(0.4, 0.998, bytes=260_000)}
    artifact = ArtifactRef(digest=digest("a"), format="onnx")
    runners = {n: Runner(id=n, framework="onnxruntime", precision="int8", artifact=artifact) for n in figures}
    spec = MeasureSpec(
        run=RunRef(kind="OptimizationRun", namespace="n", name="r", uid="u", generation=1),
        store=Store(host="s", repository="r"),
        reference=runners["ref"],
        candidate=runners["new"],
        data=artifact,
    )
    _, summary, _ = Bench(figures=figures)(spec, 1, "box")
    assert isinstance(summary, MeasureSummary)
    for path, value in changes.items():
        part, _, name = path.partition("__")
        summary = summary.model_copy(update={part: getattr(summary, part).model_copy(update={name: value})})
    return summary


@pytest.mark.parametrize(
    ("says", "changes", "gate", "verdict"),
    [
        ("retention whose lower margin is above 0 passes", {"quality__margin_lower": 1e-9}, 0, PASS),
        ("retention whose lower margin is exactly 0 is inconclusive", {"quality__margin_lower": 0.0}, 0, INCONCLUSIVE),
        ("retention whose upper margin is below 0 fails",
         {"quality__margin_lower": -0.2, "quality__margin_upper": -1e-9}, 0, FAIL),
        ("retention astride the demand is inconclusive",
         {"quality__margin_lower": -0.01, "quality__margin_upper": 0.01}, 0, INCONCLUSIVE),
        ("retention far above 1 is a suspect baseline", {"quality__retention": 1.4, "quality__lower": 1.3}, 0, ERROR),
        ("a speed whose lower bound clears 2x passes", {"latency__speedup_lower": 2.0}, 1, PASS),
        ("a speed of 2.5x with a lower bound of 1.99x is inconclusive", {"latency__speedup_lower": 1.99}, 1, INCONCLUSIVE),
        ("a speed whose upper bound misses 2x fails", {"latency__speedup_lower": 1.7, "latency__speedup_upper": 1.99}, 1, FAIL),
        ("a disturbed measurement decides nothing about speed", {"latency__valid": False}, 1, INCONCLUSIVE),
        ("an artifact of exactly half the size passes", {"memory__artifact": 500_000}, 2, PASS),
        ("an artifact one byte above half the size fails", {"memory__artifact": 500_001}, 2, FAIL),
        ("a variation whose upper bound is 10 % passes", {"consistency__upper": 0.10}, 3, PASS),
        ("a variation whose upper bound is above 10 % is inconclusive", {"consistency__upper": 0.11}, 3, INCONCLUSIVE),
        ("a variation whose lower bound is above 10 % fails", {"consistency__lower": 0.11, "consistency__upper": 0.2}, 3, FAIL),
        ("a disturbed measurement decides nothing about consistency", {"latency__valid": False}, 3, INCONCLUSIVE),
    ],
)  # fmt: skip
def test_a_gate_decides_by_its_bound(says: str, changes: dict[str, Any], gate: int, verdict: Verdict) -> None:
    assert gates.judge(measured(**changes), Gates())[gate].verdict is verdict, says


def test_a_memory_metric_that_was_not_measured_is_inconclusive() -> None:
    result = gates.judge(measured(), Gates(memory_metric="incrementalRss"))[2]
    assert (result.verdict, result.message) == (INCONCLUSIVE, "incrementalRss was not measured")


def test_the_memory_of_one_process_decides_nothing() -> None:
    seen = measured(memory__private_dirty=30, memory__private_dirty_reference=100)
    result = gates.judge(seen, Gates(memory_metric="privateDirty"))[2]
    assert (result.verdict, result.value) == (INCONCLUSIVE, "0.700") and "one process" in result.message


@pytest.mark.parametrize(
    ("lower", "upper", "verdict"), [(0.5, 0.7, PASS), (0.49, 0.7, INCONCLUSIVE), (0.3, 0.49, FAIL)]
)
def test_the_memory_gate_looks_at_the_bounds_of_the_metric_it_names(
    lower: float, upper: float, verdict: Verdict
) -> None:
    bounds = Saved(share=0.6, lower=lower, upper=upper, processes=5)
    seen = measured(
        memory__private_dirty=90,
        memory__private_dirty_reference=100,
        memory__private_dirty_saved=bounds,
    )
    result = gates.judge(seen, Gates(memory_metric="privateDirty"))[2]
    assert (result.verdict, result.value) == (verdict, "0.600")
    assert result.message == "privateDirty, 5 processes of each"
    assert gates.longer_may_decide(seen, Gates(memory_metric="privateDirty")) is (verdict is INCONCLUSIVE)


def test_the_worst_gate_decides() -> None:
    assert gates.overall(gates.judge(measured(), Gates())) is PASS
    one_open = measured(latency__speedup_lower=1.9)
    assert gates.overall(gates.judge(one_open, Gates())) is INCONCLUSIVE
    one_missed = measured(latency__speedup_lower=1.9, memory__artifact=900_000)
    assert gates.overall(gates.judge(one_missed, Gates())) is FAIL


@pytest.mark.parametrize(
    ("verdict", "policy", "may"),
    [
        (PASS, "Block", True),
        (INCONCLUSIVE, "Block", False),
        (INCONCLUSIVE, "Allow", True),
        (FAIL, "Allow", False),
        (Verdict.ERROR, "Allow", False),
        (None, "Allow", False),
    ],
)
def test_inconclusive_wins_only_where_the_policy_allows_it(
    verdict: Verdict | None, policy: Any, may: bool
) -> None:
    assert gates.may_win(verdict, Gates(on_inconclusive=policy)) is may


def test_a_missed_retention_tells_how_many_answers_flipped() -> None:
    seen = measured(
        quality__margin_lower=-0.2,
        quality__margin_upper=-0.1,
        quality__only_reference=93,
        quality__only_candidate=4,
    )
    result = gates.accuracy_retention(seen.quality, 0.95)
    assert result.message == "93 right answers became wrong and 4 wrong ones right of 1000 items"


def test_an_undecided_retention_tells_how_many_items_would_decide() -> None:
    seen = measured(quality__margin_lower=-0.1, quality__items_needed=1500)
    assert "about 1500 items would decide" in gates.accuracy_retention(seen.quality, 0.95).message


def test_figures_are_not_rounded_over_the_line() -> None:
    seen = replace(Figures(), p50=0.5)
    assert seen.p50 == 0.5
    close = measured(latency__speedup=1.9999, latency__speedup_lower=1.9998, latency__speedup_upper=1.99995)
    assert gates.speedup(close, 2.0).verdict is FAIL


# answers


def behaved(**changes: Any) -> Quality:
    """All ten classes kept, 98 to 99.5 % of the answers the same."""
    worst = WorstClass(label="7", items=130, retention=0.98, lower=0.96, upper=0.999)
    seen = Behaviour(
        agreement=0.99, agreement_lower=0.98, agreement_upper=0.995, classes=10, classes_kept=10, classes_below=0, worst=worst
    )  # fmt: skip
    return measured().quality.model_copy(update={"behaviour": seen.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("says", "changes", "verdict"),
    [
        ("a lower bound at the demand passes", {"agreement_lower": 0.97}, PASS),
        ("bounds astride the demand are inconclusive", {"agreement_lower": 0.96}, INCONCLUSIVE),
        ("an upper bound below the demand fails", {"agreement_lower": 0.9, "agreement_upper": 0.96}, FAIL),
    ],
)
def test_agreement(says: str, changes: dict[str, float], verdict: Verdict) -> None:
    assert gates.agreement(behaved(**changes), 0.97).verdict is verdict, says


@pytest.mark.parametrize(
    ("says", "changes", "verdict", "said"),
    [
        ("every class above its bound passes", {}, PASS, "worst class 7 of 130 items"),
        ("a class that cannot be decided is inconclusive", {"classes_kept": 8}, INCONCLUSIVE, "2 of 10 classes have too few"),
        ("a class shown to be below fails, and is named", {"classes_kept": 8, "classes_below": 1, "below": ["7"]}, FAIL,
         "1 of 10 classes lost more: 7"),
        ("no class to lose decides nothing", {"worst": None, "classes": 0, "classes_kept": 0}, INCONCLUSIVE, "not compared"),
    ],
)  # fmt: skip
def test_the_worst_class(says: str, changes: dict[str, Any], verdict: Verdict, said: str) -> None:
    found = gates.class_kept(behaved(**changes), 0.95)
    assert found.verdict is verdict and said in found.message, (says, found)


def test_gates_about_answers_are_judged_only_where_they_are_asked_for() -> None:
    told = measured().model_copy(update={"quality": behaved(agreement_upper=0.96, agreement_lower=0.9)})
    assert [g.gate for g in gates.judge(told, Gates())][-1] == "latencyVariation"
    assert gates.overall(gates.judge(told, Gates())) is PASS
    asked = gates.judge(told, Gates(agreement="0.97", class_retention="0.95"))
    assert [(g.gate, g.verdict) for g in asked[-2:]] == [("agreement", FAIL), ("classRetention", PASS)]
    assert gates.overall(asked) is FAIL


def test_answers_that_were_not_compared_prove_nothing() -> None:
    unseen = measured().quality.model_copy(update={"behaviour": None})
    found = gates.on_quality(unseen, Gates(agreement="0.97", class_retention="0.95"))
    assert [g.verdict for g in found] == [PASS, INCONCLUSIVE, INCONCLUSIVE]


# presets


@pytest.mark.parametrize(
    ("asked", "retention", "perplexity"),
    [
        (Gates(), "0.95", "1.05"),
        (Gates(preset="97"), "0.97", "1.03"),
        (Gates(preset="99"), "0.99", "1.01"),
        (Gates(preset="99.9"), "0.999", "1.001"),
        (Gates(accuracy_retention="0.9"), "0.9", "1.05"),
        (Gates(perplexity_ratio="1.2"), "0.95", "1.2"),
    ],
)
def test_a_preset_stands_for_two_figures(asked: Gates, retention: str, perplexity: str) -> None:
    assert (asked.retention, asked.perplexity) == (retention, perplexity)
    figures = asked.explicit()
    assert figures.preset is None and figures.accuracy_retention == retention
    assert (figures.retention, figures.perplexity) == (retention, perplexity)
    assert figures.explicit() == figures


def test_a_stored_object_with_the_old_default_keeps_its_revision() -> None:
    """accuracyRetention had a default of 0.95 in the schema, which the API server wrote into objects."""
    stored, fresh = Gates(accuracy_retention="0.95"), Gates()
    assert stored.explicit().wire() == fresh.explicit().wire() == stored.wire()
