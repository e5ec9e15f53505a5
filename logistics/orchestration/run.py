"""One run of a workflow: where it stands, waiting for its end, cancelling it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from actors.queue.events import JobEnqueued
from actors.queue.inputs import Inputs
from actors.queue.messages import GetJob
from actors.queue.specs import JobStatus
from actors.runtime.attempt import blocking, own_job
from actors.runtime.errors import InputError
from actors.runtime.later import Later
from actors.runtime.loop import refuse_on_loop
from actors.runtime.patience import patiently
from actors.runtime.seals import key_in
from actors.runtime.values import encode_result
from actors.workflow.events import CancelSettled, RunAdopted, RunCompleted, RunCreated
from actors.workflow.messages import CancelRun, GetRun, PauseRun, ResumeRun, SignalRun
from actors.workflow.specs import RunStatus
from eventstore.errors import CorruptStoreError, ReopenNeededError
from logistics.errors import RunNotFoundError, WouldDeadlockError
from logistics.inputs import as_datetime, check_name, timeout_s
from logistics.orchestration.awaiting import until_ended, wait_until_ended
from logistics.orchestration.forking import fork
from logistics.orchestration.reading import first, history, last, numbered
from logistics.orchestration.result import RunRecord, StepResult, WorkflowResult, forgotten, status_after
from logistics.orchestration.schema import check_value
from logistics.orchestration.timeline import entry_of, timeline_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime

    from actors.queue.messages import JobView
    from actors.runtime.messages import Event, Message
    from actors.workflow.messages import RunView
    from logistics.inputs import Duration
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.timeline import RunEntry, StepTimeline
else:
    asyncio = Later("asyncio")


class WorkflowRun:
    """A run on record. Everything but its id, its name and when it began is looked up at each use."""

    def __init__(self, engine: OrchestrationEngine, run_id: str, name: str, *, adopted: bool = False) -> None:
        self._engine = engine
        self._run_id = run_id
        self._name = name
        self.adopted = adopted
        """Whether an earlier process began it, and the call that returned this took it over."""

    def __repr__(self) -> str:
        return f"WorkflowRun({self.run_id!r}, name={self.name!r})"

    @property
    def run_id(self) -> str:
        """Its id; ids of later runs are greater."""
        return self._run_id

    @property
    def name(self) -> str:
        """The name of its workflow."""
        return self._name

    @property
    def started_at(self) -> datetime:
        """When it began."""
        return as_datetime(self._created.at_us)

    @property
    def status(self) -> RunStatus:
        """Where it stands, as far as that is durable."""
        while (end := self._end()) is None:
            view = self._engine.query("supervisor", GetRun(run_id=self.run_id))
            if view is not None:
                return standing(view, partial(self._engine.query, "queue"))
        return status_after(end)

    @property
    def parent(self) -> str | None:
        """The id of the run one of whose steps it is; None if it was begun by itself."""
        return self._created.parent or None

    @property
    def session_id(self) -> str | None:
        """The session that it is of; None for none."""
        return self._created.session_id or None

    @property
    def project(self) -> str | None:
        """The project that it is on record under; None for none."""
        return self._created.project or None

    @property
    def origin(self) -> str | None:
        """The id of the run that it is a fork of; None if it is none."""
        return self._created.origin or None

    @property
    def schedule(self) -> str | None:
        """The name of the schedule that began it; None if none did."""
        return self._created.owner.removeprefix("schedule:") or None

    @property
    def steps(self) -> dict[str, StepResult]:
        """Every step as it stands, by name, in the workflow's order."""
        return RunRecord(self._engine, self.run_id).steps()

    def timeline(self) -> list[StepTimeline]:
        """Return every step with when its turn came, when it began and ended, and each of its tries."""
        record = RunRecord(self._engine, self.run_id)
        return timeline_of(record.plan, record.events, record.jobs)

    def history(self, *, jobs: bool = True) -> list[RunEntry]:
        """Return everything that is on record of it, oldest first; with `jobs`, of its steps' jobs and signals, too."""
        record = RunRecord(self._engine, self.run_id)
        entities = [f"run:{self.run_id}", *(record.parts() if jobs else ())]
        found = [each for entity in entities for each in numbered(self._engine, entity)]
        return [entry_of(record.plan, *each) for each in sorted(found, key=itemgetter(0))]

    def result(self, timeout: Duration | None = None) -> WorkflowResult:
        """Wait for the end, `timeout` seconds at most, and return how it ended, whichever way that was.

        `TimeoutError` if it has not ended by then, `WouldDeadlockError` inside a job or step if no worker
        would be left to do the work, or if the run itself waits for that step. After five seconds in which a
        step stands in a queue that nobody serves, a warning is logged.
        """
        self._await_end(timeout)
        return self.read()

    def output(self, timeout: Duration | None = None) -> Any:
        """Wait for the end as `result` does and return the output alone, which is read sooner than a whole result.

        `RunFailedError` if the run did not succeed.
        """
        end = self._await_end(timeout)
        if not isinstance(end, RunCompleted):
            self.read().raise_for_status()
        return patiently(partial(Inputs(self._engine.store.runtime, marks=True).run_output, self.run_id, end))

    def __await__(self) -> Generator[Any, None, WorkflowResult]:
        """Wait for the end in asyncio; like `result()`."""
        return self._ended().__await__()

    async def _ended(self) -> WorkflowResult:
        if own_job(self._engine.store.runtime):
            await asyncio.to_thread(self._refuse_own_end)
        await until_ended(self._engine, f"run:{self.run_id}", self._has_ended, self._named)
        return await asyncio.to_thread(self.read)

    def cancel(self) -> bool:
        """Cancel it if it has not ended; whether that was so. A function that already runs is not stopped."""
        return bool(self._engine.ask("supervisor", CancelRun(run_id=self.run_id)))

    def pause(self) -> None:
        """Begin no more steps of it, nor of runs that its steps are; what runs goes on to its end.

        `RunNotFoundError` if it has ended, `InputError` if only compensations and finally steps are left.
        """
        self._tell(PauseRun(run_id=self.run_id))

    def resume(self) -> None:
        """Go on after a pause. `RunNotFoundError` if it has ended."""
        self._tell(ResumeRun(run_id=self.run_id))

    def retry(self) -> WorkflowRun:
        """Begin a new run that does again what did not succeed in this one, which has ended; return it.

        Steps that have succeeded are not executed again, unless something that they depend on is, or they
        were compensated. `InputError` if it has not ended, or has succeeded.
        """
        return WorkflowRun(self._engine, fork(self._engine, self.run_id, None), self._name)

    def restart(self, step: str) -> WorkflowRun:
        """Begin a new run that does again `step` and all that depends on it; return it.

        The rest is as for `retry`. `UnknownIdError` if there is no such step.
        """
        return WorkflowRun(
            self._engine, fork(self._engine, self.run_id, check_name("step", step)), self._name
        )

    def signal(self, name: str, payload: Any = None) -> None:
        """Send a value to the step `name`, which waits for one, or will; its output is the payload.

        Sending the same again changes nothing. `InputError` for a payload that does not fit the step's
        schema, or another one than it was sent before; `RunNotFoundError` if the run has ended,
        `UnknownIdError` if it has no such step.
        """
        check_name("name", name)
        step = next(
            (each for each in RunRecord(self._engine, self.run_id).plan.steps if each.name == name), None
        )
        wait = None if step is None or step.options is None else step.options.wait
        fitting = check_value(None if wait is None or wait.schema is None else dict(wait.schema), payload)
        value = encode_result(fitting, limit=self._engine.max_payload)
        if key := key_in(self._created.params):
            value = self._engine.store.runtime.vault.seal(value, key)
        self._tell(SignalRun(run_id=self.run_id, step=name, value=value))

    def _tell(self, command: Message) -> None:
        """Send a command that means a live run."""
        if self._has_ended():
            msg = f"run {self.run_id} has ended: it is {self.status}"
            raise RunNotFoundError(msg)
        self._engine.ask("supervisor", command)

    def _await_end(self, timeout: Duration | None) -> Event | None:
        limit_s = timeout_s("timeout", timeout)
        if (end := self._end_so_far()) is None:
            self._refuse_own_end()
            with waiting(self._engine):
                self.wait(limit_s)
            end = patiently(self._end)
        return end

    @property
    def _created(self) -> RunCreated:
        created = first(self._engine, f"run:{self.run_id}")
        if created is None:
            raise forgotten(self.run_id)
        if not isinstance(created, RunCreated):
            msg = f"run {self.run_id} is not in the log from its beginning"
            raise CorruptStoreError(msg)
        return created

    # -- what the manager uses -------------------------------------------------------------------------------

    def wait(self, limit_s: float | None) -> None:
        """Wait for the end on the durable log; `TimeoutError`."""
        wait_until_ended(self._engine, f"run:{self.run_id}", self._has_ended, self._named, limit_s)

    def _refuse_own_end(self) -> None:
        """Refuse to have a step wait for the end of a run that it is of, or that awaits it: `WouldDeadlockError`."""
        job_id = own_job(self._engine.store.runtime)
        job = first(self._engine, f"job:{job_id}") if job_id else None
        owner = job.spec.owner if isinstance(job, JobEnqueued) else ""
        while owner.startswith("run:"):
            if owner == f"run:{self.run_id}" and not self._has_ended():
                msg = (
                    f"step {job_id} would wait for the end of {self._named}, which waits for that of the step"
                )
                raise WouldDeadlockError(msg)
            created = first(self._engine, owner)
            owner = f"run:{created.parent}" if isinstance(created, RunCreated) and created.parent else ""

    @property
    def _named(self) -> str:
        return f"run {self.run_id} of workflow {self.name!r}"

    def _has_ended(self) -> bool:
        return self._end_so_far() is not None

    def _end_so_far(self) -> Event | None:
        try:
            return self._end()
        except ReopenNeededError:
            return None  # the store cannot be written for a while: the engine comes back by itself

    def read(self) -> WorkflowResult:
        """Return how it ended."""
        return RunRecord(self._engine, self.run_id).result(adopted=self.adopted)

    def _end(self) -> Event | None:
        """Return the event that ended it, if it is durable. `RunNotFoundError` if it was forgotten since."""
        entity = f"run:{self.run_id}"
        event = last(self._engine, entity)
        if event is None:
            raise forgotten(self.run_id)
        if event.final:
            return event
        if not isinstance(event, RunAdopted | CancelSettled):
            return None
        # These two may come after the end.
        return next((each for each in history(self._engine, entity) if each.final), None)


def run_status(status: str) -> RunStatus:
    """Return the status of this name; `InputError`."""
    try:
        return RunStatus(status)
    except ValueError:
        msg = f"status: expected one of {', '.join(RunStatus)}, got {status!r}"
        raise InputError(msg) from None


def standing(view: RunView, ask: Callable[[GetJob], JobView | None]) -> RunStatus:
    """Return where a live run stands; PARKED: all that it could go on with waits for functions that are not found."""
    if view.status == RunStatus.RUNNING and view.owed:
        jobs = (ask(GetJob(job_id=job_id)) for job_id in view.owed)
        if all(job is not None and job.status == JobStatus.UNRESOLVED for job in jobs):
            return RunStatus.PARKED
    return RunStatus(view.status)


@contextmanager
def waiting(engine: OrchestrationEngine) -> Iterator[None]:
    """Mark a wait for other work; `WouldDeadlockError` if no worker would be left to do it, or there is none at all."""
    runtime = engine.store.runtime
    if not runtime.executor.capacity:
        msg = "this engine has no workers (workers=0), so what is to be waited for would never be done"
        raise WouldDeadlockError(msg)
    refuse_on_loop()
    with blocking(runtime):
        yield
