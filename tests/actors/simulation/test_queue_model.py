"""The whole queue against a plain model of it, with crashes, lost commits and restarts in between."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.queue.messages import (
    CancelJob,
    ClearQueue,
    ConfigureQueue,
    DiscardJob,
    DrainQueue,
    EnqueueJobs,
    GetJob,
    GetStats,
    LeaseJob,
    ListJobs,
    MoveJobs,
    PauseQueue,
    PeekQueue,
    ResumeQueue,
    RetryJob,
    RetryJobs,
    SettleLease,
    Unfinished,
)
from actors.queue.specs import FINAL, JobSpec, JobStatus, QueueSettings, RetryPolicy, Terms
from actors.runtime.errors import DuplicateJobError, InputError, QueueDrainingError
from actors.runtime.messages import Letter, TakeSnapshot
from tests.actors.simulation.desk import FIXED, SECOND, SOME, UNIQUE, Desk
from tests.actors.simulation.queue_model import Model, Refused
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

QUEUES = st.sampled_from("ab")
TERMS = st.sampled_from(
    (
        *(Terms(backoff=FIXED),) * 3,
        Terms(key="k", backoff=FIXED),
        *UNIQUE,
    )
)
SETTINGS = st.sampled_from(
    (QueueSettings(), QueueSettings(concurrency=2), QueueSettings(concurrency=3, key_concurrency=1))
)


class QueueMachine(RuleBasedStateMachine):
    """Everything that a queue may be told, said to both."""

    @initialize()
    def begin(self) -> None:
        self.desk = Desk()
        self.model = Model(self.desk.clock.now_us())
        self.leases: list[Any] = []

    # -- commands ------------------------------------------------------------------------------------------

    @rule(
        queue=QUEUES,
        priority=st.integers(-1, 1),
        retries=st.integers(0, 2),
        delay=st.sampled_from((0, 2 * SECOND)),
        later=st.sampled_from((0, 0, 3 * SECOND)),
        terms=TERMS,
        parent=st.none() | SOME,
        fails=st.booleans(),
        lost=st.booleans(),
    )
    def enqueue(  # noqa: PLR0917 -- Hypothesis draws each by its name
        self,
        queue: str,
        priority: int,
        retries: int,
        delay: int,
        later: int,
        terms: Terms,
        parent: int | None,
        fails: bool,
        lost: bool,
    ) -> None:
        after: tuple[str, ...] = ()
        live = [job.job_id for job in self.model.jobs.values() if job.live]
        if parent is not None and live:
            other = live[parent % len(live)]
            if fails:
                terms = Terms(on_failure_of=other, backoff=terms.backoff)
            else:
                after = (other,)
        spec = JobSpec(
            f"j{len(self.model.jobs)}-{self.model.places}",
            queue,
            "job",
            "m:f",
            b"\x92\x90\x80",
            priority,
            RetryPolicy(retries, delay, delay),
            self.model.now_us + later if later else 0,
            after=after,
            terms=terms,
        )
        message = EnqueueJobs(jobs=(spec,))
        if lost:
            self.lose(message)
        self.same(message, lambda: tuple(self.model.enqueue([spec])))
        if spec.job_id in self.model.jobs:
            assert self.desk.ask(message) == (spec.job_id,), "said again, it is the same"

    def lose(self, message: Any) -> None:
        """Nothing comes of it, unless it would have been refused."""
        try:
            self.desk.lose(message)
        except (DuplicateJobError, InputError, QueueDrainingError):
            return
        except pytest.fail.Exception:
            return  # it changed nothing, so there was nothing to commit

    @rule(queue=QUEUES)
    def lease(self, queue: str) -> None:
        key = self.desk.ask(LeaseJob(queue, 4 * SECOND))
        expected = self.model.lease(queue, 4 * SECOND)
        assert (key and (key.job_id, key.attempt)) == (expected and (expected.job_id, expected.attempt))
        if key is not None:
            self.leases.append(key)

    @precondition(lambda self: self.leases)
    @rule(which=SOME, outcome=st.sampled_from(("ok", "ok", "error")))
    def settle(self, which: int, outcome: str) -> None:
        key = self.leases[-1 - which % len(self.leases)]
        job = self.model.jobs[key.job_id]
        stands = job.status is JobStatus.RUNNING and job.attempt == key.attempt
        assert self.desk.ask(SettleLease(key=key, outcome=outcome)) == stands
        if stands:
            self.model.settle(job, outcome)

    @precondition(lambda self: self.model.jobs)
    @rule(which=SOME)
    def cancel(self, which: int) -> None:
        job = self.some(which)
        assert self.desk.ask(CancelJob(job.job_id)) == job.live
        if job.live:
            self.model.end(job, JobStatus.CANCELLED)

    @precondition(lambda self: self.model.jobs)
    @rule(which=SOME)
    def retry(self, which: int) -> None:
        job = self.some(which)
        self.same(RetryJob(job.job_id), lambda: self.model.retry(job))

    @rule(queue=QUEUES)
    def clear(self, queue: str) -> None:
        self.same(ClearQueue(queue), lambda: self.model.clear(queue))

    @rule(queue=QUEUES, pause=st.booleans())
    def pause(self, queue: str, pause: bool) -> None:
        self.desk.ask(PauseQueue(queue) if pause else ResumeQueue(queue))
        (self.model.paused.add if pause else self.model.paused.discard)(queue)
        if not pause:
            self.model.draining.discard(queue)

    @rule(queue=QUEUES)
    def drain(self, queue: str) -> None:
        self.desk.ask(DrainQueue(queue))
        self.model.draining.add(queue)

    @precondition(lambda self: self.model.jobs)
    @rule(which=SOME)
    def discard(self, which: int) -> None:
        job = self.some(which)
        self.same(DiscardJob(job.job_id), lambda: self.model.discard(job))

    @precondition(lambda self: self.model.jobs)
    @rule(which=st.lists(SOME, max_size=4, unique=True))
    def retry_many(self, which: list[int]) -> None:
        jobs = self.several(which)
        self.same(RetryJobs(tuple(jobs)), lambda: self.model.retry_many(jobs.values()))

    @precondition(lambda self: self.model.jobs)
    @rule(which=st.lists(SOME, max_size=4), queue=QUEUES, strict=st.booleans())
    def move(self, which: list[int], queue: str, strict: bool) -> None:
        jobs = self.several(which)
        message = MoveJobs(tuple(jobs), queue, strict)
        self.same(message, lambda: self.model.move(list(jobs.values()), queue, strict=strict))

    @rule(queue=QUEUES, settings=SETTINGS)
    def configure(self, queue: str, settings: QueueSettings) -> None:
        self.desk.ask(ConfigureQueue(queue, settings))
        self.model.settings[queue] = settings

    @rule(seconds=st.integers(1, 5))
    def pass_time(self, seconds: int) -> None:
        self.desk.pass_time(seconds * SECOND)
        self.model.pass_time(seconds * SECOND)

    @rule(snapshot=st.booleans())
    def crash(self, snapshot: bool) -> None:
        if snapshot:
            self.desk.runtime.directory.post("queue", Letter(TakeSnapshot()))
            self.desk.pump()
        self.desk.crash()
        self.model.crash()

    def same(self, message: Any, told: Any) -> None:
        """Both say the same, or both refuse."""
        try:
            expected = told()
        except Refused:
            with pytest.raises((DuplicateJobError, InputError, QueueDrainingError)):
                self.desk.ask(message)
        else:
            assert self.desk.ask(message) == expected

    def some(self, which: int) -> Any:
        jobs = list(self.model.jobs.values())
        return jobs[-1 - which % len(jobs)]

    def several(self, which: list[int]) -> dict[str, Any]:
        return {job.job_id: job for job in map(self.some, which)}

    # -- what must be the same -----------------------------------------------------------------------------

    @invariant()
    def every_job_stands_where_the_model_says(self) -> None:
        for job in self.model.jobs.values():
            view = self.desk.ask(GetJob(job.job_id))
            if job.live:
                assert view.status == job.status, job
                assert view.attempts == job.charged + (job.status is JobStatus.RUNNING)
            else:
                assert view is None
                assert self.desk.durable().jobs[job.job_id].status == job.status

    @invariant()
    def the_queues_count_what_the_model_counts(self) -> None:
        for queue in "ab":
            model = self.model
            stats = self.desk.ask(GetStats(queue))
            counts = {status: len(model.of(queue, status)) for status in JobStatus}
            ready = model.ready(queue)
            assert stats.by_status == {str(status): count for status, count in counts.items()}
            assert (stats.ready, stats.retried) == (len(ready), model.retried[queue])
            assert stats.waiting == counts[JobStatus.SCHEDULED] + counts[JobStatus.RETRYING]
            live = {job.job_id for job in model.jobs.values() if job.live and job.queue == queue}
            assert set(self.desk.ask(ListJobs(queue))) == live
            expected = 0 if queue in model.paused else counts[JobStatus.RETRYING] + len(ready)
            assert self.desk.ask(Unfinished(queue)) == expected
            if not model.settings.get(queue, QueueSettings()).key_concurrency:
                assert self.desk.ask(PeekQueue(queue)) == (ready[0].job_id if ready else None)
        assert all(job.live != (job.status in FINAL) for job in self.model.jobs.values())


QueueMachine.TestCase.settings = settings(
    max_examples=scaled("QUEUE_MODELS", 60),
    stateful_step_count=scaled("QUEUE_MODEL_STEPS", 40),
    deadline=None,
)
TestQueueMachine = QueueMachine.TestCase
