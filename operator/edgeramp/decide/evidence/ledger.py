"""The looks that the evidence is made of, kept so that anybody can make it again from the counts.

A ledger is the state at some moment and every look since, each as one line of JSON. When it is full, the older half
of its looks is folded into the state, so that what is left always leads to the present state. An ordinary ramp
fits whole. When somebody edits the analysis during a ramp, a new ledger begins: older looks were judged otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgeramp.decide.evidence.blocks import Block, Look, TrackCounts
from edgeramp.decide.evidence.codec import from_json, read_run, run, to_json
from edgeramp.decide.evidence.config import EvidenceConfig
from edgeramp.decide.evidence.state import EvidenceState
from edgeramp.decide.evidence.stepping import follow
from edgeramp.values.names import short_hash

MOST_LOOKS = 120
MOST_BYTES = 40_000


@dataclass(frozen=True, slots=True)
class Ledger:
    """`base` is the state before the first of `looks` as JSON, with a hash of the config; "" is no ledger yet."""

    base: str = ""
    looks: tuple[str, ...] = ()


def noted(config: EvidenceConfig, ledger: Ledger, before: EvidenceState, look: Look) -> Ledger:
    """With one more look, `before` being the state so far; the older half is folded when there is no room."""
    if not current(config, ledger):
        ledger = _opened(config, before)
    looks = (*ledger.looks, written(look))
    if len(looks) <= MOST_LOOKS and sum(map(len, looks)) <= MOST_BYTES:
        return replace(ledger, looks=looks)
    half = (len(looks) + 1) // 2
    state = started(config, ledger)
    for text in looks[:half]:
        state = follow(config, state, read(config, text))
    return replace(_opened(config, state), looks=looks[half:])


def current(config: EvidenceConfig, ledger: Ledger) -> bool:
    """Whether there is a ledger, and its looks were judged by this config."""
    return bool(ledger.base) and json.loads(ledger.base).get("config") == short_hash(repr(config))


def started(config: EvidenceConfig, ledger: Ledger) -> EvidenceState:
    """The state that the ledger begins with. ValueError when it does not fit the config."""
    return from_json(config, json.loads(ledger.base))


def replayed(config: EvidenceConfig, ledger: Ledger) -> Iterator[tuple[Look, EvidenceState]]:
    """Each look, and the state after it, made anew from the counts."""
    state = started(config, ledger)
    for text in ledger.looks:
        look = read(config, text)
        state = follow(config, state, look)
        yield look, state


def written(look: Look) -> str:
    """`[at, weight]`, or `[at, weight, since, seen, stable, candidate]`: `seen` is 1 for requests plus 2 for latency,
    a track is its requests, its bad ones, and its histogram as `codec.run` writes it."""
    block = look.block
    if block is None:
        return _dumped([look.at_s, look.weight])
    seen = block.requests_seen + 2 * block.latency_seen
    tracks = [[t.requests, t.bad, *run(t.latency)] for t in (block.stable, block.candidate)]
    return _dumped([look.at_s, look.weight, block.start_s, seen, *tracks])


def read(config: EvidenceConfig, text: str) -> Look:
    """The inverse of `written`. ValueError when it is none."""
    try:
        row = json.loads(text)
        if len(row) == 2:
            return Look(row[0], row[1])
        at_s, weight, since, seen, stable, candidate = row
        size = len(config.latency_edges) + 1
        block = Block(
            start_s=since,
            end_s=at_s,
            weight=weight,
            stable=_track(stable, size),
            candidate=_track(candidate, size),
            requests_seen=bool(seen & 1),
            latency_seen=bool(seen & 2),
        )
    except (ValueError, TypeError, IndexError) as problem:
        raise ValueError(f"a look in status cannot be read: {text}") from problem
    return Look(at_s, weight, block)


def agree(one: EvidenceState, other: EvidenceState) -> bool:
    """Whether two states say the same: counts are equal, logs to nine digits (another machine rounds otherwise)."""
    return _alike(*(to_json(replace(state, counters=None)) for state in (one, other)))


def _opened(config: EvidenceConfig, state: EvidenceState) -> Ledger:
    return Ledger(_dumped({**to_json(replace(state, counters=None)), "config": short_hash(repr(config))}))


def _track(row: Sequence[int], size: int) -> TrackCounts:
    return TrackCounts(row[0], row[1], read_run(list(row[2:]), size))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))
    return bool(one == other)


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
