"""Whether the data can decide a gate: told before anything is measured, so that nobody waits in vain. The assumptions are
those of a typical quantized classifier and are named in the sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgeramp.api.common import Gates
from edgeramp.report import Assessment
from edgeramp.values.power import POWER, Margin, items_needed
from edgeramp.values.quantities import ratio

ACCURACY = 0.90  # of the original
FLIPS = 0.02  # answers that change, half of them each way: no true loss
MIN_ITEMS = 30


@dataclass(frozen=True)
class DataCheck:
    """`enough` False: the gate will more likely end Inconclusive than Pass even for a candidate without any loss."""

    enough: bool
    sentence: str


def assumed_margin(retention: float) -> Margin:
    """c - R0 x b of an original with ACCURACY and a candidate that is as good, with FLIPS."""
    values = {1.0 - retention: ACCURACY - FLIPS / 2, -retention: FLIPS / 2, 1.0: FLIPS / 2}
    first, second, third = (sum(share * z**k for z, share in values.items()) for k in (1, 2, 3))
    return Margin(first, second, third)


def retention_items(retention: float, alpha: float, power: float = POWER) -> int | None:
    """Items for the gate "retention >= R0" at `alpha`; None where no number decides (R0 of 1 or more)."""
    if retention >= 1.0:
        return None
    return items_needed(assumed_margin(retention), -retention, alpha, power)


def agreement_items(agreement: float, alpha: float, power: float = POWER) -> int | None:
    """Items for the gate "agreement >= A" at `alpha`, with FLIPS; None where no number decides."""
    same, other = 1.0 - agreement, -agreement
    moments = Margin(*(same**k * (1 - FLIPS) + other**k * FLIPS for k in (1, 2, 3)))
    return items_needed(moments, other, alpha, power)


def check_data(assessed: Assessment, gates: Gates) -> DataCheck:
    """Selection decides at the declared confidence; certification at half the alpha (its first try)."""
    retention = ratio(gates.retention)
    found = [_check("retention", retention, "items", assessed.items, retention_items, gates)]
    if gates.agreement:
        found.append(
            _check("agreement", ratio(gates.agreement), "items", assessed.items, agreement_items, gates)
        )
    if gates.class_retention and assessed.smallest_class:
        each, rarest = ratio(gates.class_retention), assessed.smallest_class
        found.append(
            _check("retention of each class", each, "items of the rarest", rarest, retention_items, gates)
        )
    assumed = f"at {ACCURACY:.2f} accuracy, {FLIPS:.0%} flips, {POWER:.0%} power"
    sentence = f"{'; '.join(f.sentence for f in found)} ({assumed})"
    return DataCheck(all(f.enough for f in found), f"the data {sentence}")


def _check(
    what: str,
    wanted: float,
    unit: str,
    have: Mapping[str, int],
    needed: Callable[[float, float], int | None],
    gates: Gates,
) -> DataCheck:
    alpha = 1.0 - ratio(gates.confidence)
    clauses, enough = [], True
    for split, level in (("selection", alpha), ("certification", alpha / 2)):
        need = needed(wanted, level)
        enough = enough and need is not None and have.get(split, 0) >= need
        many = "unboundedly many" if need is None else f"about {need}"
        clauses.append(f"{split} {have.get(split, 0)} of {many}")
    verb = "can" if enough else "may not"
    return DataCheck(enough, f"{verb} decide {what} >= {wanted:g}: {', '.join(clauses)} {unit}")


def check_texts(items: Mapping[str, int]) -> DataCheck:
    """For perplexity no spread can be assumed beforehand: only a bound on next to no texts is ruled out."""
    counts = {split: items.get(split, 0) for split in ("selection", "certification")}
    enough = min(counts.values()) >= MIN_ITEMS
    said = ", ".join(f"{split} {count}" for split, count in counts.items())
    return DataCheck(enough, f"perplexity is compared text by text: {said} texts of at least {MIN_ITEMS}")
