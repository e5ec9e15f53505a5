"""Forgetting, among commits, crashes and everything else: nothing that goes on is lost, and no state changes."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.simulation.checks import Violation
from actors.simulation.forgetting import ForgettingWorld
from tests.actors.simulation.planted_forgetting import PLANTED_FORGETTING
from tests.support.scale import scaled

WORLDS = scaled("FORGETTING_WORLDS", 120)
PLANTED_WORLDS = scaled("PLANTED_WORLDS", 400)


@pytest.mark.no_cover
def test_worlds_that_forget_lose_nothing_that_goes_on() -> None:
    counts: Counter[str] = Counter()
    for seed in range(WORLDS):
        world = ForgettingWorld(seed)
        world.run()
        counts.update(world.counts)
    assert counts["compacted"] > WORLDS / 3
    assert counts["compaction failed"]


def test_a_seed_gives_the_same_world_to_the_byte() -> None:
    worlds = [ForgettingWorld(7), ForgettingWorld(7)]
    for world in worlds:
        world.run()
    assert worlds[0].fingerprint == worlds[1].fingerprint
    assert worlds[0].counts == worlds[1].counts


@pytest.mark.no_cover
@pytest.mark.parametrize("bug", PLANTED_FORGETTING)
def test_a_planted_bug_is_found(bug: str) -> None:
    for seed in range(PLANTED_WORLDS):
        try:
            PLANTED_FORGETTING[bug](seed, steps=600).run()
        except Violation:
            return
        except Exception:  # noqa: BLE001 -- a check stumbled over what is missing: found, too
            return
    pytest.fail(f"{PLANTED_WORLDS} worlds did not find: {bug}")
