"""The ledger leads to the very state that the operator has, however often it was folded."""

from __future__ import annotations

import numpy as np
import pytest
from bench.decisions.worlds import World

from edgeramp.decide.evidence import Block, EvidenceConfig, Ledger, Look, TrackCounts, follow, initial_state
from edgeramp.decide.evidence.ledger import MOST_LOOKS, agree, current, noted, read, replayed, written

CONFIG = EvidenceConfig(batch_limit=1, warmup_s=0.0)


@pytest.mark.parametrize("look", [
    Look(5.125, 5), Look(10.0, 5, Block(5.0, 10.0, 5, TrackCounts(3, 1), TrackCounts(2, 0), False, True)),
    Look(10.0, 5, Block(5.0, 10.0, 5, TrackCounts(3, 1, (0,) * 142), TrackCounts(2, 0, (0, 2, 0, 1, *(0,) * 138)))),
])  # fmt: skip
def test_a_look_survives_its_line(look: Look) -> None:
    assert read(CONFIG, written(look)) == look


@pytest.mark.parametrize("text", ["[1]", "[1,2,3,4,5,6]", "[1,2,3,3,[1],[2]]", "7"])
def test_a_broken_line_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="look"):
        read(CONFIG, text)


@pytest.mark.parametrize("looks", [3, MOST_LOOKS, 3 * MOST_LOOKS])
def test_the_replay_ends_in_the_present_state(looks: int) -> None:
    rng = np.random.default_rng(7)
    state, kept = initial_state(CONFIG), Ledger()
    for block in World(100).blocks(CONFIG, looks, rng):
        look = Look(block.end_s, block.weight, None if block.weight != state.weight else block)
        kept = noted(CONFIG, kept, state, look)
        state = follow(CONFIG, state, look)
    assert len(kept.looks) <= MOST_LOOKS
    assert [s for _, s in replayed(CONFIG, kept)][-1] == state


def test_another_config_begins_a_new_ledger() -> None:
    kept = noted(CONFIG, Ledger(), initial_state(CONFIG), Look(5.0, 5))
    other = EvidenceConfig(batch_limit=1, false_rollback=0.02)
    assert current(CONFIG, kept) and not current(other, kept)
    assert noted(other, kept, initial_state(other), Look(10.0, 25)).looks == ("[10.0,25]",)


def test_states_agree_to_nine_digits_and_no_count_may_differ() -> None:
    one = initial_state(CONFIG)
    assert agree(one, one)
    assert not agree(one, follow(CONFIG, one, Look(5.0, 5)))
