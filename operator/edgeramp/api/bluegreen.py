"""Blue-green: the candidate beside stable without requests, then all requests at once, and stable kept for the way back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgeramp.api.common import ApiPart, Cel, Hostname, percent_rule


class BlueGreen(ApiPart):
    """Names are Argo's where the meaning is. Nothing is proven by weights here: there are none on the way."""

    preview_hostnames: Annotated[list[Hostname], Field(max_length=4)] = Field(default_factory=list)
    """Host names at which the candidate alone answers before the switch, by the same Gateway and path."""
    preview_replica_count: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Replicas of the candidate before the switch; as many as stable has when left out. All of them at the switch."""
    mirror: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            json_schema_extra=percent_rule(
                "mirror is the percentage of requests that are copied to the candidate; write a whole number from 0 to 100",
            ),
        ),
    ] = 0
    """Percent of the requests that are copied to the candidate before the switch; nobody sees its answers."""
    auto_promotion_seconds: Annotated[int, Field(ge=0, le=604800)] | None = None
    """Switch after so long with all replicas ready and none lost; without it somebody promotes."""
    scale_down_delay_seconds: Annotated[int, Field(ge=10, le=604800)] = 30
    """How long the former stable keeps its pods after the switch; within it the way back is one write."""


PREVIEW_APART = Cel(
    "!has(self.strategy.blueGreen) || !has(self.strategy.blueGreen.previewHostnames)"
    " || self.strategy.blueGreen.previewHostnames.all(p, !self.route.hostnames.exists(h, h == p))",
    "a preview host name must not be one of spec.route.hostnames; write another one",
    ".strategy.blueGreen.previewHostnames",
)
