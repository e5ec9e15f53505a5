"""Those who use the simulated engine: they send commands, repeat what was not answered, and believe nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.queue.messages import (
    CancelJob,
    EnqueueJobs,
    GetJob,
    LeaseJob,
    MoveJobs,
    RetryJob,
    RetryJobs,
    SettleLease,
)
from actors.queue.specs import FINAL
from actors.runtime.errors import (
    BusyError,
    ConflictingIdError,
    DuplicateJobError,
    InputError,
    QueueDrainingError,
    UnknownIdError,
)
from actors.simulation.checks import violated
from actors.simulation.talk import Talk
from actors.workflow.messages import SignalRun, StartRun
from eventstore.errors import StoreError

if TYPE_CHECKING:
    from actors.runtime.messages import Message
    from actors.runtime.reply import Reply
    from actors.simulation.checks import JobHistory
    from actors.simulation.world import World

REFUSALS = (ConflictingIdError, DuplicateJobError, InputError, QueueDrainingError, UnknownIdError)
ENDED = frozenset(map(str, FINAL))


class Caller:
    """One who waits for one answer at a time; what was not answered for sure is said again, word for word."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._talk = Talk(world, number)
        self.number = number
        self.reply: Reply | None = None
        self._message: Message | None = None
        self._to = ""
        self._known_when_sent: frozenset[str] = frozenset()
        self.last_message: Message | None = None

    @property
    def waiting(self) -> bool:
        """Whether an answer is due."""
        return self._message is not None

    def lose_connection(self) -> None:
        """The engine's process has died: there will be no answer."""
        if self.reply is not None:
            self.reply = None
            self._grow_stale()

    def step(self) -> None:
        """Take an answer, repeat, or say something new."""
        if self._message is None:
            self._to, self._message = self._talk.anything()
            self.last_message = self._message
        if self.reply is None:
            self._send()
        elif self.reply.done:
            self._take_answer()

    def _send(self) -> None:
        try:
            assert self._message is not None
            self._known_when_sent = frozenset(self._world.durable().jobs)
            self.reply = self._world.runtime.send(self._to, self._message, cause=f"caller:{self.number}")
        except (StoreError, BusyError):
            self.reply = None

    def _take_answer(self) -> None:
        assert self.reply is not None
        reply, self.reply = self.reply, None
        try:
            answer = reply.get(0)
        except StoreError:
            self._grow_stale()
            return
        except REFUSALS as refusal:
            self._check_refusal(refusal)
        else:
            self._check(answer)
        self._message = None

    def _grow_stale(self) -> None:
        """What was sent once may be on record by now."""
        if isinstance(self._message, EnqueueJobs):
            self._message = EnqueueJobs(jobs=self._message.jobs)

    # -- what is believed ----------------------------------------------------------------------------------------

    def _check(self, answer: Any) -> None:
        message = self._message
        if isinstance(message, EnqueueJobs):
            self._check_enqueued(message, answer)
        elif isinstance(message, StartRun):
            self._must_be_the_same(answer, message.run_id)
            self._must_be_durable(message.run_id in self._world.durable().runs)
            self._world.acked_runs.append(message.run_id)
        elif isinstance(message, SignalRun):
            self._must_be_durable(message.run_id in self._world.durable().signalled)
        elif isinstance(message, GetJob):
            self._check_view(message.job_id, answer)
        elif answer:
            self._check_job_command(message, answer)

    def _must_be_durable(self, is_durable: bool) -> None:  # noqa: FBT001 -- the one thing it is told
        if not is_durable:
            raise violated("acked but not durable", self._message)

    @staticmethod
    def _must_be_the_same(answer: object, expected: object) -> None:
        """However often something is said, under one id, it is answered alike (I11)."""
        if answer != expected:
            raise violated("said again, answered otherwise", (answer, expected))

    def _check_enqueued(self, message: EnqueueJobs, answer: Any) -> None:
        self._must_be_the_same(answer, tuple(spec.job_id for spec in message.jobs))
        for spec in message.jobs:
            self._must_be_durable(spec.job_id in self._world.durable().jobs)
            self._world.acked_jobs.append(spec.job_id)
            if message.fresh:
                self._world.jobs.append(spec)

    def _check_job_command(self, message: Any, answer: Any) -> None:
        if isinstance(message, MoveJobs | RetryJobs):
            what = "moved" if isinstance(message, MoveJobs) else "retried"
            self._must_be_durable(all(what in self._durable_job(job_id).told for job_id in answer))
        elif isinstance(message, CancelJob):
            self._must_be_durable("CANCELLED" in self._durable_job(message.job_id).statuses)
        elif isinstance(message, LeaseJob):
            self._must_be_durable(self._durable_job(answer.job_id).attempt >= answer.attempt)
            self._talk.lease = answer
        elif isinstance(message, SettleLease):
            job = self._durable_job(message.key.job_id)
            self._must_be_durable(not job.open or job.attempt != message.key.attempt)

    def _durable_job(self, job_id: str) -> JobHistory:
        job = self._world.durable().jobs.get(job_id)
        if job is None:
            raise violated("query shows state that a crash can take back", self._message)
        return job

    def _check_view(self, job_id: str, view: Any) -> None:
        """Compare with every durable prefix: the answer must be what one of them says."""
        history = self._world.durable().jobs.get(job_id)
        if view is None:
            never_ended = history is not None and not history.statuses & ENDED
            if never_ended and job_id in self._known_when_sent:
                raise violated("query shows state that a crash can take back", f"{job_id} is unknown")
        elif history is None or view.status not in history.statuses:
            raise violated("query shows state that a crash can take back", view)

    def _check_refusal(self, refusal: Exception) -> None:
        """A refusal names a state; it must be a durable one too."""
        message = self._message
        if isinstance(message, EnqueueJobs):
            known = {spec.job_id for spec in message.jobs} <= self._known_when_sent
            if known or isinstance(refusal, ConflictingIdError):
                raise violated("said again, answered otherwise", refusal)
        if (
            isinstance(message, RetryJob)
            and isinstance(refusal, InputError)
            and "is COMPLETED" in str(refusal)
        ):
            if "COMPLETED" not in self._durable_job(message.job_id).statuses:
                raise violated("query shows state that a crash can take back", refusal)
