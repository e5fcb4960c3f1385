"""A small world for Rollouts: objects, pods that become ready, a gateway that splits seeded traffic, a clock.

`edgeramp simulate` plays strategies in it, our own tests play whole rollouts in it: the planner is the real one."""

from edgeramp.cli.simulation.fleet import Behaviour, Fleet, Pod, Track
from edgeramp.cli.simulation.world import SETTINGS, START, World, artifact

__all__ = ["SETTINGS", "START", "Behaviour", "Fleet", "Pod", "Track", "World", "artifact"]
