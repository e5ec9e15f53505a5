"""Death at every point of a command's life (F01–F09): what was answered is there, nothing happens twice."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from actors.queue.events import AttemptInterrupted, JobCompleted, JobEnqueued, JobStarted
from actors.queue.specs import FINAL
from actors.runtime.events import EngineClosed, EngineOpened
from actors.workflow.events import RunCompleted, RunCreated
from tests.faults.children import Child, Nursery
from tests.faults.evidence import Evidence, read_lines, tag_of
from tests.faults.failpoints import JOB_ID, RUN_ID
from tests.support.scale import scaled

ANSWERS = {"job": f"answer ({JOB_ID!r},)", "run": f"answer {RUN_ID!r}"}
ENDS = {"job": "end job.completed", "run": "end run.completed"}


class Death(NamedTuple):
    """Where a process dies, and what must be true of the log then."""

    order: str
    place: str
    what: str = "-"
    nth: int = 1
    recorded: bool | None = None
    """Whether `what` is on record then; None: either is right."""

    def __str__(self) -> str:
        return "-".join((FAULTS[self.place.partition("+")[0]], *map(str, self[:4])))


FAULTS = {
    "taken": "F01",
    **dict.fromkeys(("decided", "handing_over", "handed_over", "committing"), "F02"),
    **dict.fromkeys(("put", "inside_commit", "commit"), "F03"),
    **dict.fromkeys(("synced", "committed"), "F04"),
    **dict.fromkeys(("effect_out", "replied", "released", "closing", "closed"), "F05"),
    "submitted": "F06",
    "running": "F07",
    "ended": "F08",
}
"""The number of each death in the catalogue of faults, by its place."""


def live(nursery: Nursery, folder: Path, death: Death) -> Child:
    """Begin a life of the child."""
    store, lines = folder / "store", folder / "lines"
    arguments = (death.order, death.place, death.what, death.nth)
    return Child(nursery, "tests.faults.failpoints", store, lines, *arguments)


def die_at(nursery: Nursery, folder: Path, death: Death) -> list[str]:
    """Let a process die; return what it had said."""
    with live(nursery, folder, death) as child:
        said = child.rest()
        code = child.end()
        assert code in (-signal.SIGKILL, -signal.SIGXFSZ), f"it ended with {code}\n{child.errors}"
    return said


def live_on(nursery: Nursery, folder: Path, order: str) -> None:
    """Live to the end: the same order again, answered as at first, carried out to its end."""
    with live(nursery, folder, Death(order, "nowhere")) as child:
        assert child.rest() == ["begin", "open", ANSWERS[order], ENDS[order], "closed"], child.errors
        assert child.end() == 0


def check_outcome(folder: Path, order: str) -> Evidence:
    """Hold what must be true whenever a process has died: the order is carried out, once, as recorded."""
    evidence = Evidence.of(folder / "store")
    evidence.check_executions(folder / "lines")
    assert all(job.status in FINAL for job in evidence.history.jobs.values())
    assert len(evidence.all(JobEnqueued)) == (1 if order == "job" else 2)
    assert len(evidence.all(JobCompleted)) == len(evidence.all(JobEnqueued))
    assert len(evidence.all(RunCreated)) == len(evidence.all(RunCompleted)) == (order == "run")
    return evidence


def stages(order: str, what: str, nth: int = 1) -> list[Death]:
    """Return the deaths around one event, in the order of its life."""
    return [
        Death(order, "handing_over", what, nth, recorded=False),
        Death(order, "handed_over", what, nth),  # the journal may be faster than the actor that dies
        Death(order, "committing", what, nth, recorded=False),
        Death(order, "put", what, nth, recorded=False),
        Death(order, "inside_commit", what, nth, recorded=False),
        Death(order, "synced", what, nth, recorded=True),
        Death(order, "committed", what, nth, recorded=True),
        Death(order, "released", what, nth, recorded=True),
    ]


DEATHS = [
    Death("job", "taken", "EnqueueJobs"),
    Death("job", "decided", "EnqueueJobs"),
    *stages("job", "job.enqueued"),
    Death("job", "effect_out", "job.enqueued", recorded=True),
    Death("job", "replied", "job.enqueued", recorded=True),
    Death("job", "submitted"),
    Death("job", "running"),
    Death("job", "ended"),
    Death("job", "taken", "AttemptFinished"),
    Death("job", "decided", "AttemptFinished"),
    *stages("job", "job.retrying"),
    Death("job", "submitted", nth=2),
    Death("job", "running", nth=2),
    Death("job", "ended", nth=2),
    Death("job", "taken", "AttemptFinished", 2),
    *stages("job", "job.completed"),
    Death("job", "effect_out", "job.completed", recorded=True),
    Death("job", "closing"),
    Death("job", "closed"),
    Death("run", "taken", "StartRun"),
    Death("run", "decided", "StartRun"),
    *stages("run", "run.created"),
    Death("run", "replied", "run.created", recorded=True),
    Death("run", "taken", "EnqueueJobs"),
    *stages("run", "job.enqueued"),
    Death("run", "running"),
    Death("run", "committing", "job.completed", recorded=False),
    Death("run", "committed", "job.completed", recorded=True),
    Death("run", "taken", "JobEnded"),
    Death("run", "decided", "JobEnded"),
    *stages("run", "step.completed"),
    Death("run", "running", nth=2),
    Death("run", "taken", "JobEnded", 2),
    *stages("run", "run.completed"),
]
"""Every point of the life of a job that fails once, and of a run of two steps."""

TIMED = [
    Death(order, f"commit+{delay_us}", what)
    for order, what in (("job", "job.enqueued"), ("job", "job.completed"), ("run", "step.completed"))
    for delay_us in range(0, 60 * scaled("COMMIT_MOMENTS", 5), 60)
]
"""Moments inside a commit that no Python code can name."""


@pytest.mark.parametrize("death", DEATHS + TIMED, ids=str)
def test_after_a_death_the_same_order_is_answered_as_before_and_carried_out_once(
    death: Death, tmp_path: Path, nursery: Nursery
) -> None:
    said = die_at(nursery, tmp_path, death)
    before = Evidence.of(tmp_path / "store")
    tags = [tag_of(event) for event in before.events]
    if death.recorded is not None:
        assert tags.count(death.what) == death.nth - (not death.recorded)
    answered = [line for line in said if line.startswith("answer")]
    if answered:
        assert answered == [ANSWERS[death.order]]
        assert {"job": "job.enqueued", "run": "run.created"}[death.order] in tags, "answered and lost"
    executed = read_lines(tmp_path / "lines")
    live_on(nursery, tmp_path, death.order)
    evidence = check_outcome(tmp_path, death.order)
    assert read_lines(tmp_path / "lines")[: len(executed)] == executed
    # What had been started and had not ended is one attempt more, numbered on; nothing else is.
    cut_off = {job_id for job_id, job in before.history.jobs.items() if job.open}
    assert {event.job_id for event in evidence.all(AttemptInterrupted)} == cut_off
    for job_id in evidence.history.jobs:
        attempts = [event.attempt for event in evidence.all(JobStarted) if event.job_id == job_id]
        # A job fails in its first attempt; if that one was cut off before it failed, none does any more.
        tries = 2 if death.order == "job" and evidence.of_job(job_id).count("job.retrying") else 1
        assert attempts == list(range(1, tries + (job_id in cut_off) + 1))


def test_f09_a_process_that_dies_ten_times_while_opening_leaves_one_event_for_each_time_at_most(
    tmp_path: Path, nursery: Nursery
) -> None:
    die_at(nursery, tmp_path, Death("run", "running", nth=2))
    before = Evidence.of(tmp_path / "store")
    places = [
        ("before_barrier", 1),
        ("after_barrier", 1),
        ("folding", 2),
        ("folded", 1),
        ("resuming", 1),  # at the second one, the first actor may have said what it owes
    ]
    for number in range(10):
        place, nth = places[number % len(places)]
        head = len(Evidence.of(tmp_path / "store").events)
        die_at(nursery, tmp_path, Death("run", place, nth=nth))
        evidence = Evidence.of(tmp_path / "store")
        assert [type(event) for event in evidence.events[head:]] in ([], [EngineOpened])
        for name, state in before.states.items():
            assert evidence.states[name].dump() == state.dump(), "opening changes nothing"
    live_on(nursery, tmp_path, "run")
    evidence = check_outcome(tmp_path, "run")
    assert len(evidence.all(AttemptInterrupted)) == 1
    assert len(evidence.all(EngineClosed)) == 1


def test_every_opening_raises_the_epoch_however_the_one_before_ended(
    tmp_path: Path, nursery: Nursery
) -> None:
    die_at(nursery, tmp_path, Death("job", "running"))
    die_at(nursery, tmp_path, Death("job", "after_barrier"))
    live_on(nursery, tmp_path, "job")
    epochs = [event.epoch for event in Evidence.of(tmp_path / "store").all(EngineOpened)]
    assert epochs == [1, 2, 3]
