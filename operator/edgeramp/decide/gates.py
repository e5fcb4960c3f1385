"""Gates: small total functions from what was measured to a verdict by bounds. No gate relies on another."""

from __future__ import annotations

from collections.abc import Sequence

from edgeramp.api.common import Gates
from edgeramp.api.optimizationrun import GateResult
from edgeramp.report import MeasureSummary, Memory, Quality, Saved, TextQuality
from edgeramp.values.quantities import ratio
from edgeramp.values.verdict import Verdict, worst

BY_ANSWERS = ("accuracyRetention", "agreement", "classRetention")
"""The gates that look at a classifier's answers."""
SUSPECT_RETENTION = 1.05  # a lower bound above this is a broken harness far more often than a better model
SUSPECT = "BaselineSuspect"
_NO_ANSWERS = "answers were not compared"
_SUSPECT_SAID = f"{SUSPECT}: far better than the original, which more likely shows a broken baseline"


def judge(measured: MeasureSummary, gates: Gates) -> tuple[GateResult, ...]:
    """All gates on one candidate, in the order in which people read them; those about answers that are asked for come last."""
    first, *asked = on_quality(measured.quality, gates)
    return (
        first,
        speedup(measured, ratio(gates.speedup)),
        memory_reduction(measured.memory, gates.memory_metric, ratio(gates.memory_reduction)),
        latency_variation(measured, ratio(gates.latency_variation)),
        *asked,
    )


def on_quality(measured: Quality, gates: Gates) -> tuple[GateResult, ...]:
    """The gates that need no times and no memory: they are judged once more at certification. That all of them pass is wrong
    with at most the error probability of one, so they share none."""
    asked = []
    if gates.agreement:
        asked.append(agreement(measured, ratio(gates.agreement)))
    if gates.class_retention:
        asked.append(class_kept(measured, ratio(gates.class_retention)))
    return (quality(measured, gates), *asked)


def overall(results: Sequence[GateResult]) -> Verdict:
    """The worst decides."""
    return worst(r.verdict for r in results)


def longer_may_decide(measured: MeasureSummary, gates: Gates) -> bool:
    """Only time is missing: nothing failed, nothing was disturbed, and speed, variation or memory is undecided.
    Quality does not become clearer by measuring longer; it is computed on all items already."""
    open_gates = {r.gate for r in judge(measured, gates) if r.verdict is not Verdict.PASS}
    undecided = overall(judge(measured, gates)) is Verdict.INCONCLUSIVE
    return (
        undecided
        and measured.latency.valid
        and open_gates <= {"speedup", "latencyVariation", "memoryReduction"}
    )


def may_win(verdict: Verdict | None, gates: Gates) -> bool:
    """Pass, or Inconclusive where the policy allows it."""
    return verdict is Verdict.PASS or (verdict is Verdict.INCONCLUSIVE and gates.on_inconclusive == "Allow")


def quality_kept(metric: str, gates: Gates) -> float:
    """The share of quality that must be kept. A perplexity ratio of at most r keeps at least 1/r."""
    if metric == "perplexity":
        return 1.0 / ratio(gates.perplexity)
    return ratio(gates.retention)


def class_retention(gates: Gates) -> float | None:
    """The share of accuracy that each class must keep; None where nobody asks."""
    return ratio(gates.class_retention) if gates.class_retention else None


def quality(measured: Quality, gates: Gates) -> GateResult:
    """The gate of the metric: accuracy for labels, the perplexity ratio for text."""
    if measured.text is not None:
        return perplexity_ratio(measured, measured.text, ratio(gates.perplexity))
    return accuracy_retention(measured, ratio(gates.retention))


def suspect(quality: Quality) -> bool:
    """The original was not measured rightly: no policy lets such a candidate win, since what it is compared with is unknown."""
    return quality.lower > SUSPECT_RETENTION


def perplexity_ratio(quality: Quality, text: TextQuality, allowed: float) -> GateResult:
    """Paired on the same texts: the upper bound of candidate / original must stay within what is allowed."""
    bound, required = f"{text.ratio_lower:.4f} to {text.ratio_upper:.4f}", f"<= {allowed:g}"
    value = f"{text.perplexity_ratio:.4f}"
    if suspect(quality):
        return _result("perplexityRatio", Verdict.ERROR, value, bound, required, _SUSPECT_SAID)
    message = (
        f"KL divergence {text.kl_divergence:.4g}, same first choice {text.same_top:.2%}, {text.tokens} tokens"
    )
    verdict = _between(-text.ratio_upper, -text.ratio_lower, -allowed)
    if verdict is Verdict.INCONCLUSIVE:
        message += f"; {quality.items} texts cannot decide"
    return _result("perplexityRatio", verdict, value, bound, required, message)


def accuracy_retention(quality: Quality, required: float) -> GateResult:
    """Paired on the same items: the bounds of mean(c - R0 x b) decide."""
    if suspect(quality):
        return _result(
            "accuracyRetention", Verdict.ERROR, f"{quality.retention:.4f}", f">= {quality.lower:.4f}",
            f">= {required:g}", _SUSPECT_SAID,
        )  # fmt: skip
    if quality.margin_lower > 0:
        verdict, message = Verdict.PASS, ""
    elif quality.margin_upper < 0:
        verdict, message = Verdict.FAIL, f"{_flips(quality)} of {quality.items} items"
    else:
        needed = f"; about {quality.items_needed} items would decide" if quality.items_needed else ""
        verdict, message = Verdict.INCONCLUSIVE, f"{quality.items} items cannot decide{needed}"
    return _result(
        "accuracyRetention",
        verdict,
        f"{quality.retention:.4f}",
        f">= {quality.lower:.4f}",
        f">= {required:g}",
        message,
    )


def agreement(quality: Quality, required: float) -> GateResult:
    """The share of items with the same answer, right or wrong: who relies on one answer is hurt by another one."""
    seen, wanted = quality.behaviour, f">= {required:g}"
    if seen is None:
        return _result("agreement", Verdict.INCONCLUSIVE, "unknown", "", wanted, _NO_ANSWERS)
    verdict = _between(seen.agreement_lower, seen.agreement_upper, required)
    message = f"{quality.items} items cannot decide" if verdict is Verdict.INCONCLUSIVE else _flips(quality)
    bound = f"{seen.agreement_lower:.4f} to {seen.agreement_upper:.4f}"
    return _result("agreement", verdict, f"{seen.agreement:.4f}", bound, wanted, message)


def class_kept(quality: Quality, required: float) -> GateResult:
    """No class may pay for the others: each by itself keeps its accuracy."""
    seen, wanted = quality.behaviour, f">= {required:g}"
    if seen is None or seen.worst is None:
        return _result("classRetention", Verdict.INCONCLUSIVE, "unknown", "", wanted, _NO_ANSWERS)
    bound = f"{seen.worst.lower:.4f} to {seen.worst.upper:.4f}"
    message = f"worst class {seen.worst.label} of {seen.worst.items} items"
    if seen.classes_below:
        verdict = Verdict.FAIL
        message += f"; {seen.classes_below} of {seen.classes} classes lost more: {', '.join(seen.below)}"
    elif seen.classes_kept == seen.classes:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
        message += (
            f"; {seen.classes - seen.classes_kept} of {seen.classes} classes have too few items to decide"
        )
    return _result("classRetention", verdict, f"{seen.worst.retention:.4f}", bound, wanted, message)


def speedup(measured: MeasureSummary, required: float) -> GateResult:
    """Reference p50 / candidate p50. The lower bound must clear what is demanded."""
    latency = measured.latency
    value, bound = f"{latency.speedup:.2f}x", f"{latency.speedup_lower:.2f}x to {latency.speedup_upper:.2f}x"
    if not latency.valid:
        return _result("speedup", Verdict.INCONCLUSIVE, value, bound, f">= {required:g}x", _void(measured))
    return _result(
        "speedup",
        _between(latency.speedup_lower, latency.speedup_upper, required),
        value,
        bound,
        f">= {required:g}x",
    )


def memory_reduction(memory: Memory, metric: str, required: float) -> GateResult:
    """Share saved by the named metric. Sizes of artifacts are exact; what processes use varies, and needs several of them."""
    saved, wanted = saved_memory(memory, metric), f">= {required:g}"
    if saved is None:
        said = f"{metric} was not measured"
        return _result("memoryReduction", Verdict.INCONCLUSIVE, "unknown", "", wanted, said)
    if metric == "artifact":
        verdict = Verdict.PASS if saved >= required else Verdict.FAIL
        return _result("memoryReduction", verdict, f"{saved:.3f}", "", wanted, metric)
    seen = _seen_saved(memory, metric)
    if seen is None:
        said = f"{metric} has no bound from one process, or from one that did not grow"
        return _result("memoryReduction", Verdict.INCONCLUSIVE, f"{saved:.3f}", "", wanted, said)
    verdict = _between(seen.lower, seen.upper, required)
    bound = f"{seen.lower:.3f} to {seen.upper:.3f}"
    said = f"{metric}, {seen.processes} processes of each"
    return _result("memoryReduction", verdict, f"{saved:.3f}", bound, wanted, said)


def latency_variation(measured: MeasureSummary, allowed: float) -> GateResult:
    """Coefficient of variation of the candidate's block medians: its upper bound must stay below what is allowed."""
    seen = measured.consistency
    value, bound = f"{seen.variation:.3f}", f"{seen.lower:.3f} to {seen.upper:.3f}"
    if not measured.latency.valid:
        return _result(
            "latencyVariation", Verdict.INCONCLUSIVE, value, bound, f"<= {allowed:g}", _void(measured)
        )
    return _result(
        "latencyVariation", _between(-seen.upper, -seen.lower, -allowed), value, bound, f"<= {allowed:g}"
    )


def saved_memory(memory: Memory, metric: str) -> float | None:
    """The share of memory saved by `metric`; None where it was not measured."""
    seen = _seen_saved(memory, metric)
    if seen is not None:
        return seen.share
    candidate, reference = _memory(memory, metric)
    return None if candidate is None or not reference else (reference - candidate) / reference


def _seen_saved(memory: Memory, metric: str) -> Saved | None:
    return {"incrementalRss": memory.incremental_rss_saved, "privateDirty": memory.private_dirty_saved}.get(
        metric
    )


def _memory(memory: Memory, metric: str) -> tuple[int | None, int | None]:
    match metric:
        case "incrementalRss":
            return memory.incremental_rss, memory.incremental_rss_reference
        case "privateDirty":
            return memory.private_dirty, memory.private_dirty_reference
        case _:
            return memory.artifact, memory.artifact_reference


def _between(lower: float, upper: float, required: float) -> Verdict:
    if lower >= required:
        return Verdict.PASS
    return Verdict.FAIL if upper < required else Verdict.INCONCLUSIVE


def _flips(quality: Quality) -> str:
    if quality.only_reference is None or quality.only_candidate is None:
        return f"{quality.reference:.4f} became {quality.candidate:.4f} on the mean"
    return (
        f"{quality.only_reference} right answers became wrong and {quality.only_candidate} wrong ones right"
    )


def _void(measured: MeasureSummary) -> str:
    return f"the measurement was disturbed: {measured.latency.void_reason or 'no reason given'}"


def _result(
    gate: str, verdict: Verdict, value: str, bound: str, required: str, message: str = ""
) -> GateResult:
    return GateResult.model_validate(
        {
            "gate": gate,
            "verdict": verdict,
            "value": value,
            "bound": bound,
            "required": required,
            "message": message,
        }
    )
