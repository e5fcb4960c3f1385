"""What a recipe is told and what it answers. A recipe is data: it makes candidates and imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgeramp.report import Assessment, Candidate

INT8_DOT = frozenset({"AVX512VNNI", "AVXVNNI", "AVXVNNIINT8", "AMXINT8", "ASIMDDP", "I8MM"})
BF16_DOT = frozenset({"AVX512BF16", "AMXBF16", "BF16"})
TRANSFORMER_OPERATORS = frozenset(
    {"Attention", "LayerNormalization", "SkipLayerNormalization", "Gelu", "Erf"}
)


@dataclass(frozen=True)
class Situation:
    """A model and the class of hardware it shall run on. `features`: what all nodes of the target promise."""

    assessment: Assessment
    features: frozenset[str]
    task: str = "other"

    @property
    def int8_hardware(self) -> str:
        """The INT8 instructions of the target in words; empty where it has none."""
        return ", ".join(sorted(self.features & INT8_DOT))

    @property
    def bf16_hardware(self) -> str:
        return ", ".join(sorted(self.features & BF16_DOT))


@dataclass(frozen=True)
class Choice:
    """A candidate worth trying, and why. `escalation_of`: tried only when that one missed the accuracy gate."""

    candidate: Candidate
    why: str
    escalation_of: str = ""


@dataclass(frozen=True)
class Exclusion:
    """Something that is not tried, and why."""

    what: str
    why: str


Option = Choice | Exclusion
Recipe = Callable[[Situation], Iterable[Option]]


def int8_note(situation: Situation) -> str:
    """A clause on what INT8 gains on this hardware."""
    if situation.int8_hardware:
        return f"the target has {situation.int8_hardware}"
    return "the target promises no INT8 instructions, so the gain may be small"
