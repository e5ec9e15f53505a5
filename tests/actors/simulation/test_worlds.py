"""Worlds in which everything goes wrong that can, and nothing that must not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from actors.simulation.world import ListWorld, ScheduledRunWorld, ScheduleWorld, WorkflowWorld, World
from tests.support.scale import scaled

SEEDS = scaled("SIMULATION_SEEDS", 2000)
STEPS = scaled("SIMULATION_STEPS", 300)
WORKFLOW_SEEDS = scaled("WORKFLOW_SEEDS", 2000)
WORKFLOW_STEPS = scaled("WORKFLOW_STEPS", 150)
"""As many worlds as of jobs; each costs more, so they are shorter."""
BLOCKS = 10
ONCE_FAILED = (26, 93, 257, 676, 5055, 8196, 8728)
"""Seeds that have found a bug before."""
ONCE_FAILED_LATE = ((7_005_646, 800), (7_005_800, 800), (7_011_741, 800), (7_102_468, 900))
"""Seeds that have found one in a longer life, and how long it was."""


@pytest.mark.no_cover
@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_world_violates_anything(block: int) -> None:
    for seed in range(block, SEEDS, BLOCKS):
        World(seed, steps=STEPS).run()


@pytest.mark.no_cover
@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_world_of_workflows_violates_anything(block: int) -> None:
    for seed in range(block, WORKFLOW_SEEDS, BLOCKS):
        WorkflowWorld(seed, steps=WORKFLOW_STEPS).run()


@pytest.mark.no_cover
@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_world_of_schedules_violates_anything(block: int) -> None:
    for seed in range(block, SEEDS, BLOCKS):
        ScheduleWorld(seed, steps=STEPS // 2).run()


@pytest.mark.no_cover
@pytest.mark.parametrize("block", range(2))
def test_no_world_of_scheduled_runs_violates_anything(block: int) -> None:
    statuses: Counter[str] = Counter()
    for seed in range(block, SEEDS // 8, 2):
        world = ScheduledRunWorld(seed, steps=STEPS * 4 // 3)
        world.run()
        statuses.update(world.durable().runs.values())
    assert min(statuses["RunCompleted"], statuses["RunFailed"]) >= SEEDS // 80, statuses


@pytest.mark.no_cover
def test_no_world_of_lists_of_runs_violates_anything() -> None:
    statuses: Counter[str] = Counter()
    for seed in range(WORKFLOW_SEEDS // 200):
        world = ListWorld(seed, steps=WORKFLOW_STEPS * 4)
        world.run()
        runs = world.durable().runs
        statuses.update(status for run_id, status in runs.items() if ":" in run_id)
    assert min(statuses[end] for end in ("RunCompleted", "RunFailed", "RunCancelled")) >= 3, statuses


def test_worlds_make_no_classes_of_their_own() -> None:
    actors, others = World(1).runtime.actors, World(2).runtime.actors
    assert list(map(type, actors)) == list(map(type, others))


@pytest.mark.parametrize("seed", ONCE_FAILED)
def test_seeds_that_once_found_a_bug_find_it_no_more(seed: int) -> None:
    World(seed).run()


@pytest.mark.parametrize(("seed", "steps"), ONCE_FAILED_LATE)
def test_seeds_that_once_found_a_bug_late_find_it_no_more(seed: int, steps: int) -> None:
    World(seed, steps=steps).run()


@pytest.mark.no_cover
def test_everything_that_the_simulation_is_about_does_happen() -> None:
    counts: Counter[str] = Counter()
    for seed in range(150):
        world = World(seed)
        world.run()
        counts.update(world.counts)
    for what in (
        "kill",
        "power failure",
        "rebuild",
        "commit failed",
        "boot failed",
        "clock jump",
        "pool broken",
    ):
        assert counts[what] >= 5, f"{what} happened {counts[what]} times only"
    runs: Counter[str] = Counter()
    for seed in range(240):
        world = WorkflowWorld(seed)
        world.run()
        durable = world.durable()
        runs.update(durable.runs.values())
        for what in ("signalled", "items", "undone", "paused"):
            runs[what] += len(getattr(durable, what))
        runs["forks"] += len(durable.forked)
        runs["kept"] += len(durable.kept)
        runs["tasks"] += sum(job_id.startswith("t") for job_id in durable.jobs)
        runs["held"] += durable.sessions.held_ever
        runs["runs of items"] += sum(":" in run_id for run_id in durable.runs)
        runs["children"] += sum(bool(parent) for parent in durable.parents.values())
    for what in (
        "RunCompleted",
        "RunFailed",
        "RunCancelled",
        "signalled",
        "items",
        "undone",
        "children",
        "runs of items",
        "forks",
        "tasks",
        "held",
    ):
        assert runs[what] >= 5, f"{what}: {runs[what]} only"
    assert runs["kept"] >= 2, "the rarest: a fork of a run that has ended, some of whose steps may be kept"
    for what in ("start", "ok", "error", "returned", "reported again"):
        assert counts[what] >= 20, f"{what} happened {counts[what]} times only"


def test_clocks_are_set_and_schedules_fire_defer_and_skip() -> None:
    counts: Counter[str] = Counter()
    for seed in range(60):
        world = ScheduleWorld(seed, steps=STEPS // 2)
        world.run()
        counts.update(world.counts)
        for frame in world.medium.frames(after=0, upto=world.medium.synced):
            counts.update(type(event).__name__ for event in world.codec.decode_frame(frame))
    for what in ("clock jump", "kill", "ClockJumped", "ScheduleFired", "ScheduleSkipped", "ScheduleDeferred"):
        assert counts[what] >= 20, f"{what} happened {counts[what]} times only"


@pytest.mark.no_cover
def test_the_same_seed_gives_the_same_bytes() -> None:
    for seed in range(20):
        one, other = World(seed), World(seed)
        one.run()
        other.run()
        assert one.medium.head == other.medium.head


@pytest.mark.no_cover
def test_f67_the_bytes_do_not_depend_on_the_order_of_hashes() -> None:
    script = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from actors.simulation.world import World\n"
        "for seed in range(8):\n"
        "    world = World(seed); world.run(); print(world.fingerprint.hex())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout
        for hash_seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
