"""What `observe` hands to `plan`: the world at one moment, raw objects as the API server gave them, and the time.

`now` is seconds since the epoch, read once. Objects are plain dicts (JSON as served). Nothing here is edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeramp.values.settings import Settings

Object = Mapping[str, Any]


@dataclass(frozen=True)
class EdgeModelSeen:
    """`jobs` and `pods` are those labelled with this model and role stage or assess; `runs` and `rollouts` are owned by it."""

    now: float
    model: Object
    jobs: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    runs: tuple[Object, ...] = ()
    rollouts: tuple[Object, ...] = ()
    nodes: tuple[Object, ...] = ()
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class RunSeen:
    """`jobs` and `pods` carry the run's label; `leases` are all Leases `edgeramp-measure-*` of the operator's namespace;
    `secret_missing` is true when the namespace has no signing Secret."""

    now: float
    run: Object
    jobs: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    nodes: tuple[Object, ...] = ()
    leases: tuple[Object, ...] = ()
    secret_missing: bool = False
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Admission:
    """What the store says of an artifact: whether its signature verifies and it is certified. `admitted` None: not known
    yet (the store could not be asked; `message` says why). The rest is what the certificate says, empty where it says
    nothing: CPU features, how it is to be executed, and until when it holds (epoch)."""

    admitted: bool | None
    reason: str
    message: str
    certificate: str | None = None
    isa: tuple[str, ...] = ()
    framework: str = ""
    precision: str = ""
    expires_at: float | None = None


@dataclass(frozen=True)
class Scrape:
    """Raw counters of one look at both tracks, keyed by series so that resets can be told.

    `gateway[track][series]` = {"total": …, "failed": …} cumulative requests at the gateway (one series per proxy pod);
    `pods[track][series]` = {"requests": …, "errors": …, "executions": …, "execution_errors": …, "started": epoch,
    "buckets": {upper edge in seconds as text: cumulative count}} (one series per server pod). Missing tracks are absent.
    `problem` says what could not be read; evidence of such a look is not used for that source."""

    at: float
    gateway: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    pods: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    batch_limit: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class Measurement:
    """What a check was answered: the result as JSON types, or the `problem` that there was in asking."""

    at: float
    value: Any = None
    problem: str = ""


@dataclass(frozen=True)
class Freeze:
    """A freeze of all ramps: why, and until when (epoch; None: until it is taken away)."""

    reason: str
    until: float | None = None


@dataclass(frozen=True)
class RolloutSeen:
    """`deployments`, `services`, `pods` carry the rollout's label; `route` is the HTTPRoute of that name in the namespace,
    whoever owns it, `preview` the one of blue-green's preview; `rival` names another Rollout that claims the same host
    name and path; `history` is stable's ring of 5-second counts (read once, when a ramp starts); `admissions` by artifact
    reference; `measurements` by check, of those that were due; `jobs` and `check_pods` are those of its checks."""

    now: float
    rollout: Object
    deployments: tuple[Object, ...] = ()
    services: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    route: Object | None = None
    preview: Object | None = None
    gateway: Object | None = None
    rival: str = ""
    nodes: tuple[Object, ...] = ()
    scrape: Scrape | None = None
    history: tuple[Object, ...] | None = None
    admissions: Mapping[str, Admission] = field(default_factory=dict)
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    jobs: tuple[Object, ...] = ()
    check_pods: tuple[Object, ...] = ()
    freeze: Freeze | None = None
    settings: Settings = field(default_factory=Settings)
