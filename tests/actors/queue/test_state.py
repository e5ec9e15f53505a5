"""The queue's state: the fold of its events, however it is cut, saved or begun anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.queue import hall
from actors.queue.events import JobStarted
from actors.queue.messages import CancelJob, LeaseJob, MoveJobs, SettleLease
from actors.queue.specs import JobLife, JobStatus, Terms
from actors.queue.state import QueueState
from actors.runtime.messages import Context, Event
from actors.simulation.checks import History
from tests.actors.queue.bench import RULES, SECOND, START, Bench, folded, spec, through_image
from tests.actors.queue.lives import STEPS, Life
from tests.support.scale import scaled

LIVES = scaled("queue_lives", 150)
FEW = 16


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have kinds and gates kept unasked that are no more than `FEW`."""
    monkeypatch.setattr(hall, "FEW", FEW)


@pytest.mark.no_cover
@settings(max_examples=LIVES)
@given(STEPS)
def test_the_log_gives_the_live_state_and_so_does_a_snapshot_whatever_happens(
    steps: list[tuple[str, int, int]],
) -> None:
    life = Life()
    for what, a, b in steps:
        life.step(what, a, b)
        life.check()


@pytest.mark.no_cover
@settings(max_examples=LIVES)
@given(STEPS)
def test_every_log_tells_of_lives_that_make_sense_and_every_job_ends_once_all_goes_well(
    steps: list[tuple[str, int, int]],
) -> None:
    life = Life()
    for what, a, b in steps:
        life.step(what, a, b)
    life.heal()
    life.check()
    History().take_all(life.bench.log)
    for line in life.bench.state.lines.values():
        unfinished = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.SCHEDULED, JobStatus.RETRYING)
        assert not any(line.counts.get(status) for status in (*unfinished, JobStatus.UNRESOLVED))


@settings(max_examples=LIVES)
@given(STEPS, st.data())
def test_a_fold_in_pieces_through_snapshots_is_the_fold_at_once(
    steps: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    life = Life()
    for what, a, b in steps:
        life.step(what, a, b)
    log = life.bench.log
    cut = data.draw(st.integers(0, len(log)))
    state = folded(log[cut:], through_image(folded(log[:cut])))
    assert state.dump() == folded(log).dump()


@settings(max_examples=LIVES)
@given(STEPS, st.data())
def test_who_is_next_is_the_same_whether_it_was_told_as_it_happened_or_long_after(
    steps: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    life = Life()
    for what, a, b in steps:
        life.step(what, a, b)
    bench = life.bench
    cut = data.draw(st.integers(0, len(bench.log)))
    living = RULES.initial()
    for event in bench.log:
        living.evolve(event)
    context = bench.context()._replace(capacity=100)
    assert _starts(folded(bench.log[cut:], through_image(folded(bench.log[:cut]))), context) == _starts(
        living, context
    )


@settings(max_examples=LIVES)
@given(STEPS)
def test_no_more_attempts_are_given_to_workers_than_there_are_and_a_few_short_ones(
    steps: list[tuple[str, int, int]],
) -> None:
    life = Life()
    for what, a, b in steps:
        before = set(life.bench.log)
        life.step(what, a, b)
        bench = life.bench
        for event in bench.log[len(before) :]:
            if isinstance(event, JobStarted) and not event.behind:
                assert bench.capacity
        at_once = sum(job.course.counted for job in bench.state.running.values())
        assert at_once <= 3


def _starts(state: QueueState, context: Context) -> list[Event]:
    """What a queue starts when everybody is served."""
    started = []
    for decision in RULES.settle(state, context):
        for event, _ in decision.events:
            state.evolve(event)
            started.append(event)
    return started


def test_what_ended_is_kept_until_it_is_durable_and_then_forgotten() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.finish("a")
    assert list(bench.state.retired) == ["a"]
    ended = bench.state.take_retired()
    assert [name for name, _ in ended] == ["a", "a"], "its fingerprint, and its end"
    assert bench.state.take_retired() == []
    bench.state.forget(ended)
    assert not bench.state.retired
    assert not bench.state.recent
    assert not bench.state.jobs


def test_jobs_that_were_cancelled_while_they_waited_do_not_stay_in_memory_for_ever() -> None:
    bench = Bench(served=frozenset())
    for n in range(100):
        job_id = f"j{n}"
        bench.enqueue(spec(job_id, due_us=START + SECOND if n % 2 else 0, priority=n % 5))
        bench.when(CancelJob(job_id))
    line = bench.state.lines["q"]
    assert line.next_due_us() is None
    assert list(line.in_order()) == []
    assert bench.state.dump()["jobs"]["ids"] == []


def test_a_queue_of_many_shares_what_its_jobs_have_in_common() -> None:
    bench = Bench(served=frozenset()).enqueued(spec("a"), spec("b"))
    a, b = bench.state.jobs.values()
    assert a.kind is b.kind
    assert a.order is b.order
    assert a.course is b.course


def test_a_restored_queue_starts_its_jobs_in_the_order_of_the_living_one() -> None:
    bench = Bench()
    bench.enqueue(spec("first"))
    bench.enqueue(spec("waits", after=("first",)))
    for name in ("next", "other"):
        bench.enqueue(spec(name))
    bench.finish("first")
    living = [job.job_id for line in bench.state.lines.values() for job in line.in_order()]
    restored = QueueState.restore(bench.state.dump())
    assert [job.job_id for line in restored.lines.values() for job in line.in_order()] == living


def test_a_fold_takes_no_job_for_a_plain_one_that_began_in_time_or_was_done_by_hand() -> None:
    bench = Bench()
    bench.enqueue(spec("in time", life=JobLife(expires_in_us=SECOND)))
    bench.check()
    bench.finish("in time")
    bench.check()
    bench.served = frozenset()
    bench.enqueue(spec("by hand"))
    key = bench.when(LeaseJob("q", SECOND)).reply
    bench.when(SettleLease(key, "ok"))
    bench.check()
    assert not bench.state.jobs


def test_jobs_that_come_one_behind_the_other_share_a_place_and_keep_their_order() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(*(spec(f"a{n}") for n in range(3)), spec("b", priority=1), spec("a3"))
    orders = [job.order for job in bench.state.jobs.values()]
    assert orders == [START, START, START, START + 1, START + 2]
    bench.check()


@pytest.mark.usefixtures("few")
def test_kinds_of_jobs_that_are_gone_are_forgotten() -> None:
    bench = Bench()
    for n in range(3 * FEW):
        bench.enqueue(spec(f"j{n}", priority=n))
        bench.finish(f"j{n}")
    assert len(bench.state.hall.lanes) <= FEW
    bench.check()


@pytest.mark.usefixtures("few")
def test_groups_that_are_gone_are_forgotten() -> None:
    bench = Bench()
    for n in range(3 * FEW):
        for job_id in (f"one of {n}", f"two of {n}"):
            bench.enqueue(spec(job_id, terms=Terms(group=f"customer {n}")))
            bench.finish(job_id)
    line = bench.state.lines["q"]
    assert max(len(line.groups), len(line.turns)) <= FEW
    bench.check()


@pytest.mark.usefixtures("few")
def test_groups_of_one_job_each_leave_nothing_behind_while_nobody_waits() -> None:
    bench = Bench()
    for n in range(3 * FEW):
        bench.enqueue(spec(f"j{n}", terms=Terms(group=f"customer {n}")))
        bench.finish(f"j{n}")
    line = bench.state.lines["q"]
    assert len(line.groups) <= FEW
    assert list(line.turns) == [f"customer {3 * FEW - 1}"]
    bench.check()


def test_a_group_at_work_while_nobody_waits_gives_way_to_those_who_come_then() -> None:
    bench = Bench()
    bench.enqueue(spec("a1", terms=Terms(group="a")))
    bench.enqueue(*(spec(f"{group}{n}", terms=Terms(group=group)) for group in "ab" for n in (2, 3)))
    bench.state = through_image(bench.state)
    for job_id in ("a1", "b2", "a2", "b3", "a3"):
        bench.finish(job_id)
    assert bench.started() == ["a1", "b2", "a2", "b3", "a3"], "a has had one when b comes"


@pytest.mark.usefixtures("few")
def test_a_snapshot_may_have_more_kinds_of_jobs_than_are_kept_unasked() -> None:
    bench = Bench(capacity=0)
    bench.enqueue(*(spec(f"j{n}", terms=Terms(key=f"customer {n}")) for n in range(3 * FEW)))
    bench.check()


def test_a_job_that_is_moved_stands_behind_those_who_came_there_just_before_in_a_snapshot_too() -> None:
    bench = Bench(capacity=0)
    bench.enqueue(spec("early"))
    bench.enqueue(spec("there", queue="p"))
    bench.when(MoveJobs(("early",), "p"))
    assert {job.order for job in bench.state.jobs.values()} == {bench.state.jobs["there"].order}
    bench.check()
    bench.capacity = 1
    assert bench.settle().of(JobStarted)[0].job_id == "there"


def test_what_a_turn_costs_does_not_grow_with_the_queues_that_are_not_served() -> None:
    """Counted in lines that are looked at, not in seconds."""
    bench = Bench(served=frozenset({"mine"}))
    bench.enqueue(*(spec(f"j{n}", queue=f"q{n}") for n in range(50)))
    bench.enqueue(spec("a", queue="mine"), spec("b", queue="mine"))
    looked_at = []

    class Lines(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            looked_at.append(name)
            return super().__getitem__(name)

        def values(self) -> Any:
            raise AssertionError("all of them were looked at")

    bench.state.lines = bench.state.hall.lines = Lines(bench.state.lines)
    assert next(iter(RULES.settle(bench.state, bench.context())), None) is None
    assert set(looked_at) <= {"mine", "@steps"}


def test_jobs_of_all_queues_whose_time_has_come_are_ready_in_the_order_of_these_times() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(
        spec("first", due_us=START + 1 * SECOND),
        spec("second", queue="other", due_us=START + 2 * SECOND),
        spec("third", due_us=START + 3 * SECOND),
        spec("fourth", queue="other", due_us=START + 3 * SECOND),
    )
    bench.pass_time(5 * SECOND)
    ready = sorted(bench.state.jobs.values(), key=lambda job: job.order)
    assert [job.job_id for job in ready] == ["first", "second", "third", "fourth"]
    bench.check()
