"""certify: quality once more, on items that no search saw, at the alpha the operator has left."""

from __future__ import annotations

import time
from contextlib import ExitStack

from edgeramp.report.spec import CertifySpec
from edgeramp.report.summary import CertifySummary
from edgeramp_harness import data, probe
from edgeramp_harness.context import Context
from edgeramp_harness.log import say
from edgeramp_harness.quality import Wanted, assess_quality, by_class, save_scores, score_both
from edgeramp_harness.runner_process import RunnerProcess

SEED = 20263


def run(spec: CertifySpec, context: Context) -> CertifySummary:
    """Bounds at confidence 1 - alpha."""
    started = time.monotonic()
    split_dir = context.fetch(spec, spec.data, "data")
    sides = {"reference": spec.reference, "candidate": spec.candidate}
    folders = {side: context.fetch(spec, runner.artifact, side) for side, runner in sides.items()}
    split = data.load(split_dir)
    with ExitStack() as stack:
        runners = {
            side: stack.enter_context(RunnerProcess(f"{side} {runner.id}")) for side, runner in sides.items()
        }
        loaded = {
            side: runners[side].load(runner.framework, runner.precision, folders[side], split_dir)
            for side, runner in sides.items()
        }
        scores = score_both(runners, spec.metric, context.folder("scores"))
    wanted = Wanted(spec.retention, spec.class_retention)
    quality = assess_quality(scores, split, spec.metric, wanted, 1 - spec.alpha, SEED)
    say(f"retention {quality.retention:.4f}, lower bound {quality.lower:.4f} at alpha {spec.alpha}")
    report = {
        "verb": "certify",
        "spec": spec.model_dump(by_alias=True),
        "seed": SEED,
        "quality": quality.model_dump(by_alias=True),
        "alpha": spec.alpha,
        "classes": by_class(scores, split),
        "loaded": loaded,
        "environment": {"node": probe.node_name(), "cpuModel": probe.cpu_model(), "isa": list(probe.isa())},
        "seconds": time.monotonic() - started,
    }
    files = save_scores(context.folder("report") / "scores.npz", scores, split)
    return CertifySummary(quality=quality, alpha=spec.alpha, report=context.push_report(spec, report, files))
