"""The test of the simulation: each rule of the journal, broken on purpose, is found to be broken."""

from __future__ import annotations

import pytest

from actors.simulation.checks import Violation
from tests.actors.simulation.planted import PLANTED
from tests.actors.simulation.planted_queue import QUEUE_PLANTED
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

WORLDS = scaled("PLANTED_WORLDS", 400)
"""Worlds that a bug may survive. Most are found within ten."""
STEPS = 900
"""Of each world. What needs a failed commit at a certain moment is rare in shorter ones."""
FOUND = {
    "a failure on an actor's thread is not reported": (63,),
    "children not cancelled": (19,),
    "no generation at hand-over": (57,),
    "no generation in mailbox": (62,),
    "the end of a schedule's run told once": (99,),
}
"""Where the rarest were found, to be looked at first. Where rules change, they may be found elsewhere."""


ALL = PLANTED | QUEUE_PLANTED


@pytest.mark.parametrize("bug", ALL)
def test_a_planted_bug_is_found(bug: str) -> None:
    world = ALL[bug]
    for seed in (*FOUND.get(bug, ()), *range(WORLDS)):
        try:
            world(seed, steps=STEPS).run()
        except Violation:  # anything else is a fault of the plant or of a check, and fails the test
            return
    pytest.fail(f"{WORLDS} worlds did not find: {bug}")
