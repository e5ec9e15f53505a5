"""Kill -9 at random moments, again and again, on one store: nothing is lost, nothing is done again."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import pytest

from actors.queue.specs import FINAL
from tests.faults.campaign import failures, job_ids, run_ids
from tests.faults.children import Child, Nursery
from tests.faults.evidence import Evidence, read_lines
from tests.support.scale import scaled

JOBS = 200
RUNS = 20
LINES_IN_ALL = 2 * JOBS + 5 * RUNS
"""About how much there is to hear of: orders acknowledged, and executions."""


class Campaign:
    """One store, many lives."""

    def __init__(self, nursery: Nursery, folder: Path, seed: int) -> None:
        self.nursery = nursery
        self.store = folder / "store"
        self.lines = folder / "lines"
        self.random = Random(seed)
        self.acknowledged: set[str] = set()
        self.moments: list[str] = []

    def live(self) -> Child:
        """Begin a life."""
        return Child(self.nursery, "tests.faults.campaign", self.store, self.lines, JOBS, RUNS)

    @property
    def heard(self) -> int:
        """How far the work is, in lines that are new in all lives."""
        return len(self.acknowledged) + len(read_lines(self.lines))

    def live_and_die(self, *, lives_left: int) -> None:
        """Live until a random moment: while opening, after so many lines, or while closing.

        The moments between two lines are reached by a wait of some drawn fractions of a millisecond, here in
        the parent: that is the random moment itself, nothing is waited *for*.
        """
        moment = self.random.choices(("opening", "working", "closing"), (3, 14, 3))[0]
        heard = self.heard
        share = max(1, 2 * (LINES_IN_ALL - heard) // lives_left)
        lines = self.random.randrange(share)
        with self.live() as child:
            child.expect("begin")
            if moment == "opening":
                _let_pass(self.random.uniform(0, 0.05))
            else:
                child.expect("open")
                self._listen(child, new=lines)
                if moment == "closing":
                    child.say("close")
                    _let_pass(self.random.uniform(0, 0.02))
                else:
                    _let_pass(self.random.uniform(0, 0.002))
            for line in child.kill():
                self._take(line)
        self.moments.append(moment)

    def _listen(self, child: Child, *, new: int) -> None:
        """Hear so many lines that are news."""
        while new > 0:
            line = child.line()
            assert line is not None, child.explain()
            if line == "idle":
                return
            new -= self._take(line)

    def _take(self, line: str) -> bool:
        kind, _, name = line.partition(" ")
        if kind not in ("job", "run"):
            return kind == "ran"
        is_new = name not in self.acknowledged
        self.acknowledged.add(name)
        return is_new

    def check(self) -> Evidence:
        """Hold the log against what was said and what was done."""
        evidence = Evidence.of(self.store)
        known = {*evidence.history.jobs, *evidence.history.runs}
        assert self.acknowledged <= known, f"acknowledged and lost: {self.acknowledged - known}"
        evidence.check_executions(self.lines)
        return evidence

    def finish(self) -> None:
        """Live one life to its end."""
        with self.live() as child:
            for line in child.expect("idle"):
                self._take(line)
            child.say("close")
            assert child.end() == 0, child.errors


def _let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(1, 1 + scaled("KILL_SEEDS", 3)))
def test_a_process_killed_at_random_moments_loses_nothing_and_repeats_nothing(
    seed: int, nursery: Nursery, tmp_path: Path
) -> None:
    campaign = Campaign(nursery, tmp_path, seed)
    kills = scaled("KILLS", 25)
    unfinished = 0
    for number in range(kills):
        campaign.live_and_die(lives_left=kills - number + 1)
        if campaign.store.joinpath("STORE").exists():
            evidence = campaign.check()
            unfinished += any(job.status not in FINAL for job in evidence.history.jobs.values())
    campaign.finish()
    evidence = campaign.check()
    assert evidence.history.jobs.keys() >= set(job_ids(JOBS))
    assert evidence.history.runs.keys() == set(run_ids(RUNS))
    assert [job_id for job_id, job in evidence.history.jobs.items() if job.status not in FINAL] == []
    assert [run_id for run_id, ended in evidence.history.runs.items() if ended == "open"] == []
    planned = {f"job-{index}" for index in range(JOBS) if failures(index) > 10}
    unplanned = {job_id: error for job_id, error in evidence.failed().items() if job_id not in planned}
    assert all(error.startswith("Interrupted") for error in unplanned.values()), unplanned
    assert planned <= evidence.failed().keys()
    assert unfinished > kills / 2, "most kills must hit a process that has work under way"
