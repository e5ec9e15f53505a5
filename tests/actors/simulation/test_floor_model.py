"""Queues with workers against a plain model of them: who starts when, and what becomes of every attempt."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from actors.queue.events import BatchStarted, JobStarted
from actors.queue.messages import (
    AddResource,
    Allocate,
    CancelJob,
    ClearQueue,
    ConfigureQueue,
    DiscardJob,
    EnqueueJobs,
    FunctionsKnown,
    GetJob,
    GetResources,
    GetStats,
    MoveJobs,
    PauseQueue,
    Release,
    ResumeQueue,
    RetryJob,
    Unfinished,
)
from actors.queue.outcome import DEFAULT
from actors.queue.specs import (
    FINAL,
    Backoff,
    JobLife,
    JobSpec,
    JobStatus,
    QueueSettings,
    Rate,
    RetryPolicy,
    Terms,
)
from actors.runtime.effects import GIVE_UP, RETRY, SNOOZE, AttemptKey
from actors.runtime.messages import Letter, TakeSnapshot
from actors.simulation.world import CAPACITY, World
from eventstore.errors import LogisticsError, StoreError
from tests.actors.simulation.desk import FIXED, SECOND, SOME, UNIQUE, Desk
from tests.actors.simulation.floor_model import Call, Floor, Worked
from tests.actors.simulation.queue_model import Refused
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

QUEUES = st.sampled_from("aaab")
MOSTLY_NOT = ("", "", "")
ON_GPUS = ((("gpu", 1.0),), (("gpu", 2.0),))
DELAYS = (
    *(FIXED,) * 3,
    Backoff("linear"),
    Backoff("exponential", jitter=True),
    Backoff("list", delays=(SECOND, 0, 5 * SECOND)),
)
TERMS = st.builds(
    Terms,
    key=st.sampled_from((*MOSTLY_NOT, "k", "k", "l")),
    group=st.sampled_from((*MOSTLY_NOT, "g", "h")),
    resources=st.sampled_from(((), (), (), *ON_GPUS)),
    unique=st.sampled_from(((None,) * 30) + tuple(terms.unique for terms in UNIQUE)),
    backoff=st.sampled_from(DELAYS),
    batch=st.sampled_from((0, 0, 0, 2, 3)),
)
LIVES = st.sampled_from(
    (
        None,
        JobLife(timeout_us=3 * SECOND),
        JobLife(expires_in_us=4 * SECOND),
        JobLife(heartbeat_us=2 * SECOND),
        JobLife(timeout_us=5 * SECOND, expires_in_us=2 * SECOND, heartbeat_us=3 * SECOND),
    )
)
RETRIES = st.sampled_from(
    (RetryPolicy(0), RetryPolicy(1, 0), RetryPolicy(4, 2 * SECOND, 5 * SECOND), RetryPolicy())
)
SETTINGS = st.builds(
    QueueSettings,
    concurrency=st.sampled_from((0, 0, 1, 2)),
    key_concurrency=st.sampled_from((0, 0, 1, 2)),
    function_concurrency=st.sampled_from(((), (), (), (("m:g", 1),))),
    rate=st.sampled_from((None, None, None, None, Rate(2, 3 * SECOND), Rate(1, 2 * SECOND, 2))),
    key_rate=st.sampled_from((None, None, None, None, Rate(1, 2 * SECOND), Rate(1, 2 * SECOND, 2))),
    weights=st.sampled_from(((), (), (("g", 2),), (("h", 3),))),
    ageing_us=st.sampled_from((0, 0, 0, SECOND, 3 * SECOND)),
    retry=st.sampled_from(
        (None, None, None, RetryPolicy(1, SECOND, SECOND), RetryPolicy(3, SECOND, 2 * SECOND))
    ),
    retry_rate=st.sampled_from((None, None, None, Rate(1, 2 * SECOND), Rate(3, 5 * SECOND))),
)
OF_FOCUS = st.integers(0, 1)
JOBS = st.lists(
    st.tuples(
        QUEUES,
        st.sampled_from(("m:f", "m:g")),
        st.integers(-1, 1),
        RETRIES,
        st.sampled_from((0, 0, 0, 3)),
        st.sampled_from((1, 1, 0, 2)),
        st.sampled_from((0, 1, 1)),
    ),
    min_size=1,
    max_size=3,
)
OUTCOMES = st.sampled_from(("ok", "ok", "error", "error", "returned", "unresolved", SNOOZE, RETRY, GIVE_UP))


class FloorDesk(Desk):
    """A simulated engine in hand whose workers serve all queues; an attempt ends when it is told to."""

    def __init__(self) -> None:
        self._read = 0
        super().__init__()

    def _boot(self) -> None:
        World._boot(self)

    def new_calls(self) -> list[Call]:
        """Return the calls that were begun since it was asked last, by the attempts that are made in them."""
        calls: dict[tuple[str, int], Call] = {}
        for frame in self.medium.frames(after=self._read, upto=self.medium.synced):
            for event in self.codec.decode_frame(frame):
                if isinstance(event, JobStarted):
                    calls[event.job_id, event.attempt] = [(event.job_id, event.attempt)]
                elif isinstance(event, BatchStarted):
                    calls[event.job_id, event.attempt] += event.others
                    for other in event.others:
                        del calls[other]
        self._read = self.medium.synced
        return list(calls.values())

    def finish(self, key: AttemptKey, outcome: str, *, twice: bool = False) -> None:
        """End an attempt, slowly enough that nothing is started ahead of free workers; perhaps tell it twice."""
        self.end(key, outcome, run_us=10 * SECOND)
        end = self.executor.finished[key]
        self.pump()
        if twice:
            self.executor.report(end)
            self.pump()

    def finish_behind_a_failed_commit(self, key: AttemptKey, outcome: str) -> None:
        """End an attempt of which nothing can be recorded at first."""
        with self.failing():
            self.end(key, outcome, run_us=10 * SECOND)
            self.pump()


class Focus(NamedTuple):
    """What a world is about."""

    plan: QueueSettings = QueueSettings()
    terms: Terms = Terms(backoff=FIXED)
    other: Terms = Terms(backoff=FIXED)
    life: JobLife | None = None


class FloorMachine(RuleBasedStateMachine):
    """Everything that a queue with workers may be told, and that may befall it, said to both."""

    desk_type: ClassVar[type[FloorDesk]] = FloorDesk
    focus: ClassVar[Focus | None] = None
    """What all worlds are about; else each draws it."""

    @initialize(terms=TERMS, other=TERMS, life=LIVES, plan=SETTINGS)
    def begin(self, terms: Terms, other: Terms, life: JobLife | None, plan: QueueSettings) -> None:
        """Begin a world that is about a few things, so that they meet."""
        focus = self.focus or Focus(plan, terms, other, life)
        self.terms = (Terms(backoff=FIXED), focus.terms, focus.other)
        self.lives = (None, focus.life)
        self.plans = (focus.plan, QueueSettings())
        self.desk = self.desk_type()
        self.model = Floor(self.desk.clock.now_us(), workers=CAPACITY)
        self.desk.ask(AddResource("gpu", "card", 2.0))
        self.configure_queue("a", focus.plan)
        self.made = 0
        self.calls: list[Call] = []
        self.amounts: dict[int, float] = {}

    # -- commands ------------------------------------------------------------------------------------------

    @rule(jobs=JOBS, parent=st.none() | SOME, fails=st.booleans(), lost=st.booleans(), again=st.booleans())
    def enqueue(self, jobs: list[Any], parent: int | None, fails: bool, lost: bool, again: bool) -> None:
        specs = [self.spec(*each) for each in jobs]
        live = [job.job_id for job in self.model.all if job.live]
        if parent is not None and live:
            other = live[parent % len(live)]
            terms = specs[0].terms
            assert terms is not None
            specs[0] = (
                JobSpec(**fields(specs[0]) | {"terms": Terms(**fields(terms) | {"on_failure_of": other})})
                if fails
                else JobSpec(**fields(specs[0]) | {"after": (other,)})
            )
        message = EnqueueJobs(jobs=tuple(specs))
        if lost and self.lose(message):
            self.rebuilt()
        self.same(message, lambda: tuple(self.model.enqueue(specs)))
        if again and all(spec.job_id in self.model.jobs for spec in specs):
            assert self.desk.ask(message) == tuple(spec.job_id for spec in specs), (
                "said again, it is the same"
            )

    def spec(  # noqa: PLR0917 -- drawn in this order
        self,
        queue: str,
        function: str,
        priority: int,
        retry: RetryPolicy,
        later: int,
        terms: int,
        life: int,
    ) -> JobSpec:
        self.made += 1
        due_us = self.model.now_us + later * SECOND if later else 0
        job_id = f"j{self.made}"
        payload = b"\x92\x90\x80"
        given = self.terms[terms]
        if retry == DEFAULT:
            given = replace(given, backoff=None)  # it says nothing: its queue may
        return JobSpec(
            job_id,
            queue,
            "job",
            function,
            payload,
            priority,
            retry,
            due_us,
            terms=given,
            life=self.lives[life],
        )

    def lose(self, message: Any) -> bool:
        """Whether its commit was tried, and failed; else it was refused, or there was nothing to commit."""
        with self.desk.failing():
            try:
                self.desk.ask(message)
            except StoreError:
                return True
            except LogisticsError:
                return False
        return False

    def rebuilt(self) -> None:
        self.model.look_once_more()
        self.start_all()

    def start_all(self) -> None:
        self.calls += self.desk.new_calls()
        self.model.start_all(self.calls)

    @precondition(lambda self: self.model.jobs)
    @rule(which=SOME)
    def cancel(self, which: int) -> None:
        job = self.some(which)
        live = job.live
        if live:
            self.model.cancel(job)
        assert self.desk.ask(CancelJob(job.job_id)) == live

    @precondition(lambda self: self.model.jobs)
    @rule(which=SOME)
    def retry(self, which: int) -> None:
        job_id = self.some(which).job_id
        self.same(RetryJob(job_id), lambda: self.model.retry_job(self.model.jobs[job_id]))  # type: ignore[arg-type]

    @precondition(lambda self: self.model.jobs)
    @rule(which=SOME)
    def discard(self, which: int) -> None:
        job_id = self.some(which).job_id
        self.same(DiscardJob(job_id), lambda: self.model.discard(self.model.jobs[job_id]))

    @precondition(lambda self: self.model.jobs)
    @rule(which=st.lists(SOME, min_size=1, max_size=3), queue=QUEUES, strict=st.booleans())
    def move(self, which: list[int], queue: str, strict: bool) -> None:
        job_ids = tuple(dict.fromkeys(self.some(each).job_id for each in which))
        self.same(
            MoveJobs(job_ids, queue, strict),
            lambda: self.model.move([self.model.jobs[each] for each in job_ids], queue, strict=strict),
        )

    @rule(which=st.integers(1, 4), amount=st.sampled_from((1.0, 2.0)), wait=st.booleans())
    def allocate(self, which: int, amount: float, wait: bool) -> None:
        """Take some of the resource by hand; the amount of an allocation is always the same."""
        amount = self.amounts.setdefault(which, amount)
        message = Allocate(f"by hand {which}", "somebody", (("gpu", amount),), wait)
        self.same(message, lambda: self.model.allocate(f"by hand {which}", amount, wait=wait))

    @rule(which=st.integers(1, 4))
    def release(self, which: int) -> None:
        self.same(Release(f"by hand {which}"), lambda: self.model.release(f"by hand {which}"))
        self.amounts.pop(which, None)

    @rule(queue=QUEUES)
    def clear(self, queue: str) -> None:
        self.same(ClearQueue(queue), lambda: self.model.clear(queue))

    @rule(queue=QUEUES, pause=st.booleans())
    def pause(self, queue: str, pause: bool) -> None:
        (self.model.paused.add if pause else self.model.paused.discard)(queue)
        self.desk.ask(PauseQueue(queue) if pause else ResumeQueue(queue))

    @rule(queue=QUEUES, which=OF_FOCUS)
    def configure(self, queue: str, which: int) -> None:
        self.configure_queue(queue, self.plans[which])

    def configure_queue(self, queue: str, plan: QueueSettings) -> None:
        self.model.configure(queue, plan)
        self.desk.ask(ConfigureQueue(queue, plan))

    @rule(capacity=st.sampled_from((1.0, 2.0, 3.0)))
    def resize(self, capacity: float) -> None:
        self.same(AddResource("gpu", "card", capacity), lambda: self.model.resize(capacity))

    @rule()
    def functions_known(self) -> None:
        functions = ("m:f", "m:g")
        self.model.look_once_more(functions)
        self.desk.ask(FunctionsKnown(functions))

    # -- what befalls it -----------------------------------------------------------------------------------

    @precondition(lambda self: self.model.running)
    @rule(which=SOME, outcome=OUTCOMES, twice=st.booleans(), lost=st.booleans())
    def finish(self, which: int, outcome: str, twice: bool, lost: bool) -> None:
        job = self.model.running[which % len(self.model.running)]
        key = self.key_of(job.job_id, job.attempt)
        if lost:
            self.desk.finish_behind_a_failed_commit(key, outcome)
            self.rebuilt()
        else:
            self.desk.finish(key, outcome, twice=twice)
        self.model.finish(job, outcome)

    @precondition(lambda self: self.model.zombies)
    @rule(which=SOME, outcome=OUTCOMES, twice=st.booleans())
    def finish_late(self, which: int, outcome: str, twice: bool) -> None:
        zombie = self.model.zombies.pop(which % len(self.model.zombies))
        self.desk.finish(self.key_of(zombie.job_id, zombie.attempt), outcome, twice=twice)

    @precondition(lambda self: self.model.running)
    @rule(which=SOME)
    def beat(self, which: int) -> None:
        job = self.model.running[which % len(self.model.running)]
        job.pulse_us = self.model.now_us
        self.desk.runtime.signals.beat(self.key_of(job.job_id, job.attempt), self.model.now_us)

    @rule(seconds=st.integers(1, 4))
    def pass_time(self, seconds: int) -> None:
        self.model.pass_time(seconds * SECOND)
        self.desk.pass_time(seconds * SECOND)

    @rule(snapshot=st.booleans())
    def crash(self, snapshot: bool) -> None:
        if snapshot:
            self.desk.runtime.directory.post("queue", Letter(TakeSnapshot()))
            self.desk.pump()
        self.model.crash()
        self.desk.crash()

    # -- both ----------------------------------------------------------------------------------------------

    def key_of(self, job_id: str, attempt: int) -> AttemptKey:
        return next(
            key for key in self.desk.executor.running if (key.job_id, key.attempt) == (job_id, attempt)
        )

    def same(self, message: Any, told: Callable[[], object]) -> None:
        """Both say the same, or both refuse, and a refusal changes nothing."""
        before = copy.deepcopy(self.model)
        try:
            expected = told()
        except Refused:
            self.model = before
            with pytest.raises(LogisticsError):
                self.desk.ask(message)
        else:
            assert self.desk.ask(message) == expected

    def some(self, which: int) -> Worked:
        return self.model.all[-1 - which % len(self.model.all)]

    # -- what must be the same -----------------------------------------------------------------------------

    @invariant()
    def all_attempts_at_work_are_the_same(self) -> None:
        self.start_all()
        assert not self.calls, "a job was begun though another one is before it"
        assert not self.model.could_start() or len(self.model.at_work) >= self.model.workers
        executor = self.desk.executor
        at_work = {(key.job_id, key.attempt) for key in executor.running if key not in executor.abandoned}
        assert at_work == {(job.job_id, job.attempt) for job in self.model.running}
        assert {(key.job_id, key.attempt) for key in executor.abandoned} == {
            (zombie.job_id, zombie.attempt) for zombie in self.model.zombies
        }
        (gpu,) = self.desk.ask(GetResources())
        assert (gpu.capacity, gpu.used) == (self.model.capacity, self.model.used)
        assert [name for name, _, _ in gpu.line] == list(self.model.line)
        assert {name for name, _, _ in gpu.holders if not name.startswith("job:")} == set(self.model.held)

    @invariant()
    def every_job_stands_where_the_model_says(self) -> None:
        for job in self.model.all:
            view = self.desk.ask(GetJob(job.job_id))
            if job.live:
                assert view is not None, job
                assert view.status == job.status, job
                assert view.attempts == job.charged + (job.status is JobStatus.RUNNING)
                if job.status in (JobStatus.SCHEDULED, JobStatus.RETRYING):
                    assert view.due_us == job.due_us, job
            else:
                assert view is None
                assert self.desk.durable().jobs[job.job_id].status == job.status

    @invariant()
    def the_queues_count_what_the_model_counts(self) -> None:
        model = self.model
        for queue in "ab":
            stats = self.desk.ask(GetStats(queue))
            counts = {status: len(model.of(queue, status)) for status in JobStatus}
            ready = model.ready(queue)
            assert stats.by_status == {str(status): count for status, count in counts.items()}
            assert (stats.ready, stats.retried) == (len(ready), model.retried[queue])
            unfinished = 0 if queue in model.paused else counts[JobStatus.RETRYING] + len(ready)
            assert self.desk.ask(Unfinished(queue)) == unfinished + counts[JobStatus.RUNNING]
        assert all(job.live != (job.status in FINAL) for job in model.all)


def fields(struct: Any) -> dict[str, Any]:
    """Return a struct's fields by name."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


FloorMachine.TestCase.settings = settings(
    max_examples=scaled("FLOOR_MODELS", 60),
    stateful_step_count=scaled("FLOOR_MODEL_STEPS", 40),
    deadline=None,
)
TestFloorMachine = FloorMachine.TestCase
