"""assess: facts about the model and the data, read from their files; nothing is executed."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.spec import AssessSpec
from edgeramp.report.summary import Assessment, AssessSummary
from edgeramp_harness import data, model_facts
from edgeramp_harness.context import Context
from edgeramp_harness.data import Split
from edgeramp_harness.errors import JobError, bad_spec
from edgeramp_harness.log import say
from edgeramp_harness.model_facts import ModelFacts


def run(spec: AssessSpec, context: Context) -> AssessSummary:
    """Exit 12 for a corrupt or unsupported model, 17 for unusable data or splits that overlap."""
    if spec.model.format is None:
        raise bad_spec("model.format is missing")
    folder = context.fetch(spec, spec.model, "model")
    facts = model_facts.read(spec.model.format, folder)
    say(f"model: {facts.family}, {facts.parameters:,} parameters, {sum(facts.operators.values())} operators")
    splits = {name: data.load(context.fetch(spec, ref, name)) for name, ref in sorted(spec.data.items())}
    for name, split in splits.items():
        if facts.inputs:  # safetensors do not say what the model takes
            check_inputs(facts, split, name)
    warnings = [*facts.warnings, *_overlap(splits)]
    assessment = Assessment(
        format=spec.model.format,
        size_bytes=_size(folder),
        parameters=facts.parameters,
        architecture=facts.family,
        opset=facts.opset,
        operators=dict(facts.operators.most_common(20)),
        inputs=facts.inputs,
        outputs=facts.outputs,
        quantizable_operators=facts.quantizable,
        model_type=facts.model_type[:64],
        quantization=facts.quantization,
        items={name: split.items for name, split in splits.items()},
        smallest_class={name: _smallest_class(split) for name, split in splits.items()},
        warnings=warnings,
    )
    say("data: " + ", ".join(f"{name} {split.items} items" for name, split in splits.items()))
    return AssessSummary(assessment=assessment)


def _smallest_class(split: Split) -> int:
    return int(np.unique(split.labels, return_counts=True)[1].min())


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def check_inputs(facts: ModelFacts, split: Split, name: str) -> None:
    """Exit 17 where the arrays are not what the model takes, naming both shapes."""
    missing = sorted(set(facts.inputs) - set(split.inputs))
    extra = sorted(set(split.inputs) - set(facts.inputs))
    if missing or extra:
        wants = ", ".join(f"x.{n}" for n in facts.inputs)
        raise data.unusable(
            f"{name}: the model takes {wants}; the data has {', '.join(f'x.{n}' for n in split.inputs)}"
        )
    for port, shape in facts.inputs.items():
        array = split.inputs[port]
        fits = array.ndim == len(shape) and all(
            not isinstance(want, int) or have == want
            for want, have in zip(shape[1:], array.shape[1:], strict=True)
        )
        if not fits:
            raise data.unusable(f"{name}: x.{port} is {list(array.shape)}, the model takes {shape}")
        kind = facts.types.get(port, "unknown")
        if kind != "unknown" and not np.can_cast(array.dtype, kind, "same_kind"):
            raise data.unusable(f"{name}: x.{port} is {array.dtype}, the model takes {kind}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise data.unusable(f"{name}: x.{port} has values that are not finite")


def _overlap(splits: dict[str, Split]) -> list[str]:
    """Exit 17 when two splits share items by id; equal content under two ids is a warning (feature collisions)."""
    shared = {
        (a, b): len(set(splits[a].ids.tolist()) & set(splits[b].ids.tolist()))
        for a, b in combinations(splits, 2)
    }
    found = [f"{a} and {b} share {count} items" for (a, b), count in shared.items() if count]
    if found:
        raise JobError(
            ExitCode.CALIBRATION_UNUSABLE, f"{'; '.join(found)}; the splits must be disjoint", "SplitOverlap"
        )
    contents = {name: data.content_digests(split) for name, split in splits.items()}
    return [
        f"{a} and {b} have {len(contents[a] & contents[b])} items with equal inputs under different ids"
        for a, b in combinations(splits, 2)
        if contents[a] & contents[b]
    ]
