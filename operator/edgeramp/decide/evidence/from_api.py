"""From the API's analysis (decimal strings, durations) to the evidence's config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeramp.decide.evidence.config import (
    Action,
    ErrorsMetric,
    EvidenceConfig,
    Guards,
    LatencyMetric,
)
from edgeramp.values.quantities import ratio, seconds

if TYPE_CHECKING:
    from edgeramp.api import rollout as api


def config_from_analysis(
    analysis: api.Analysis, weights: Sequence[int], batch_limit: int | None
) -> EvidenceConfig:
    """The config for an API `Analysis`. `batch_limit` is the candidate server's (None: unknown, taken as 8).

    Weights of 0 are left out: nothing is proven for them. Raises ValueError when both shares are 0.
    """
    return EvidenceConfig(
        false_rollback=ratio(analysis.false_rollback),
        false_promotion=ratio(analysis.false_promotion),
        max_duration_s=seconds(analysis.max_duration),
        step_s=seconds(analysis.step_minimum),
        scrape_interval_s=seconds(analysis.scrape_interval),
        weights=tuple(weight for weight in weights if weight > 0),
        metrics=(_errors(analysis.errors), _latency(analysis.latency)),
        guards=Guards(missing_scrapes=analysis.missing_scrapes),
        batch_limit=batch_limit,
    )


def _errors(metric: api.FailureRateMetric) -> ErrorsMetric:
    return ErrorsMetric(
        share=float(metric.share),
        action=Action(metric.action),
        ratio=ratio(metric.tolerate_ratio),
        add=ratio(metric.tolerate_add),
        user_budget=ratio(metric.user_budget) or None,
    )


def _latency(metric: api.LatencyMetric) -> LatencyMetric:
    return LatencyMetric(
        share=float(metric.share),
        action=Action(metric.action),
        slower=ratio(metric.tolerate_slower),
        tail_ratio=ratio(metric.tolerate_tail_ratio),
        tail_add=ratio(metric.tolerate_tail_add),
        promote_slower=ratio(metric.promote_slower) or None,
    )
