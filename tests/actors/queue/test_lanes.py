"""Where ready jobs of one kind stand: first in first out however many they are, and out of the collector's way."""

from __future__ import annotations

import gc
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from actors.queue import hall, lanes
from actors.queue.hall import Hall
from actors.queue.jobs import UNTOUCHED, Job, Kind
from actors.queue.lanes import Lane
from actors.queue.resources import Resources
from actors.queue.specs import JobStatus, RetryPolicy

FEW = 3
KIND = ("default", "f", 0, RetryPolicy())


class Bench:
    """A hall with one lane, and what stands in it as a plain list."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.hall = Hall(Resources(), self.jobs)
        self.kind: Kind = self.hall.kind(KIND)
        self.lane: Lane = self.hall.lanes[self.kind]
        self.model: list[Job] = []

    def push(self) -> None:
        number = len(self.jobs)
        job = self.jobs[str(number)] = Job(str(number), self.kind, "", UNTOUCHED, order=number // 2)
        self.hall.push(job)
        self.model.append(job)

    def leave(self, place: int) -> None:
        job = self.model.pop(place % len(self.model))
        job.status = JobStatus.RUNNING
        self.hall.leave(job)

    def line_up(self) -> None:
        """As after a replay, in which nobody stood anywhere."""
        fresh = Bench()
        fresh.jobs.update(self.jobs)
        fresh.hall.lanes, fresh.hall.lines, fresh.hall.last_kind = {}, {}, None
        fresh.hall._kinds = {}
        fresh.hall.begin_past()
        self.kind = fresh.hall.kind(KIND)
        for job in self.jobs.values():
            job.kind = self.kind
        fresh.hall.end_past()
        self.hall, self.jobs, self.lane = fresh.hall, fresh.jobs, fresh.hall.lanes[self.kind]

    def check(self) -> None:
        assert list(self.lane.in_order()) == self.model
        assert self.lane.line.ready_count == len(self.model)
        first = self.model[0] if self.model else None
        assert (self.lane.ready[0] if self.lane.ready else None) is first
        assert bool(self.lane.line.active) is bool(self.model)
        if first is not None:
            run = [job for job in self.model if job.order == first.order]
            found = list(self.lane.first_run())
            assert found
            assert found == run[: len(found)]


@given(st.lists(st.integers(-9, 9), max_size=80))
def test_a_lane_is_a_list_however_many_stand_in_it_and_whoever_leaves(turns: list[int]) -> None:
    with patch.object(lanes, "STRETCH", FEW), patch.object(hall, "STRETCH", FEW):
        bench = Bench()
        for turn in turns:
            if turn == 9:
                bench.line_up()
            elif turn < 0 and bench.model:
                bench.leave(-turn - 1)
            else:
                bench.push()
            bench.check()
        while bench.model:
            bench.leave(0)
            bench.check()


def test_the_collector_looks_at_few_of_many_waiting_jobs() -> None:
    """Else each of its full passes costs a look at each of them, wherever they are in memory."""
    bench = Bench()
    for _ in range(10 * lanes.STRETCH):
        bench.push()
    gc.collect()
    tracked = [part for part in (bench.lane.ready, *bench.lane.behind) if gc.is_tracked(part)]
    assert sum(map(len, tracked)) <= 2 * lanes.STRETCH
    assert not gc.is_tracked(bench.jobs)
