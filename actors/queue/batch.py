"""Jobs that are done in one call: each is told of by itself, as soon as its own outcome is known."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from actors.queue.ending import failed, succeeded
from actors.runtime.effects import AttemptFinished
from actors.runtime.errors import InputError, PoolClosedError
from actors.runtime.values import encode_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actors.runtime.attempt import AttemptContext
    from actors.runtime.effects import StartAttempt, Verdict


class BatchedJob:
    """One job of a batch, as the function that does the batch gets it.

    What it comes to is recorded by itself: at once with `complete` or `fail`, else when the function returns or raises.
    """

    def __init__(
        self,
        start: StartAttempt,
        ctx: AttemptContext,
        call: tuple[Sequence[Any], Mapping[str, Any]],
        *,
        settle: Callable[[AttemptFinished], None],
        judge: Callable[[BaseException], Verdict],
        max_payload: int,
        started_us: int,
    ) -> None:
        self.job_id = start.key.job_id
        self.name = ctx.name
        self.args, self.kwargs = tuple(call[0]), dict(call[1])
        """Its arguments, as they are stored: annotations are the batch's, not theirs."""
        self.ctx = ctx
        """The context of its attempt: number, idempotency key, whether it was cancelled."""
        self._start = start
        self._settle = settle
        self._judge = judge
        self._max_payload = max_payload
        self._begun = (started_us, time.perf_counter_ns())
        self._lock = threading.Lock()
        self._settled = False

    @property
    def settled(self) -> bool:
        """Whether its outcome is known already."""
        return self._settled

    def complete(self, result: object = None) -> None:
        """Record now that this job has succeeded. `InputError` if its outcome is known already.

        `PayloadError` if the result cannot be recorded.
        """
        started_us, begun_ns = self._begun
        data = encode_result(result, limit=self._max_payload)
        self._end(succeeded(self._start, data, started_us, begun_ns))

    def fail(self, error: BaseException | str = "") -> None:
        """Record now that this attempt has failed; it is retried like any other. `InputError` likewise."""
        if not isinstance(error, BaseException):
            error = RuntimeError(error)
        started_us, begun_ns = self._begun
        if isinstance(error, PoolClosedError):  # the engine closes: nobody's fault
            self._end(AttemptFinished(key=self._start.key, outcome="returned"))
            return
        run_us = (time.perf_counter_ns() - begun_ns) // 1000
        self._end(failed(self._start, error, started_us, run_us, self._judge(error)))

    def _end(self, end: AttemptFinished) -> None:
        with self._lock:
            if self._settled:
                msg = f"the outcome of job {self.job_id} is known already"
                raise InputError(msg)
            self._settled = True
        self._settle(end)

    def __repr__(self) -> str:
        return f"BatchedJob({self.name!r}, job_id={self.job_id!r}, args={self.args!r})"


def call_for_all(function: Callable[[list[BatchedJob]], object], jobs: list[BatchedJob]) -> None:
    """Call a function for a batch: then each job of it is settled. Never raises."""
    try:
        _settle_by(function(jobs), jobs)
    except BaseException as error:  # noqa: BLE001 -- user code, which fails those that it had not told of
        for job in jobs:
            if not job.settled:
                with contextlib.suppress(InputError):  # a thread of its own may tell of it at this moment
                    job.fail(error)


def _settle_by(answers: object, jobs: Sequence[BatchedJob]) -> None:
    """Settle what is left by what the function returned: nothing, or for each job its result, or an exception.

    `InputError` for anything else.
    """
    if answers is None:
        answers = [None] * len(jobs)
    if not isinstance(answers, list | tuple) or len(answers) != len(jobs):
        count = f" with {len(answers)}" if isinstance(answers, list | tuple) else ""
        msg = (
            f"a function that does a batch returns None, or a list with an outcome for each of the {len(jobs)} "
            f"jobs that it got; this one returned {type(answers).__name__}{count}"
        )
        raise InputError(msg)
    for job, answer in zip(jobs, answers, strict=True):
        if not job.settled:
            _settle(job, answer)


def _settle(job: BatchedJob, answer: object) -> None:
    if isinstance(answer, BaseException):
        job.fail(answer)
        return
    try:
        job.complete(answer)
    except Exception as error:  # noqa: BLE001 -- a result that cannot be recorded is that job's failure alone
        job.fail(error)
