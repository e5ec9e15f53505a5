"""How a run gets on: what the ends of jobs and runs mean to it, which steps begin, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.messages import EnqueueJobs
from actors.queue.specs import NOTE_CACHED, NOTE_SKIP, NOTE_STORED, NOTE_VALUE, JobStatus
from actors.workflow.circles import held_up, lineage
from actors.workflow.endings import ending_of
from actors.workflow.events import (
    CallCached,
    CancelSettled,
    ItemWaiting,
    RunBegun,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunEnding,
    RunFailed,
    RunPaused,
    StepScheduled,
    StepSkipped,
    StepWaiting,
    UndoEnded,
    UndoScheduled,
)
from actors.workflow.jobs import step_job, undo_job
from actors.workflow.lists import Lists
from actors.workflow.owned import tell_owner
from actors.workflow.run import UNDO
from actors.workflow.specs import RunStatus, StepStatus

if TYPE_CHECKING:
    from actors.queue.messages import JobEnded
    from actors.workflow.specs import StepOptions

CANCELLED = "it was cancelled"
"""The error of a cancelled run."""
LONGEST_ID = 480
"""Characters of the id of a run that is a step: those of its jobs are longer, and have to fit into a `Key`."""
BATCH = 1_000
"""Jobs in one message to the queue."""


class Advance(Lists):
    """One decision about a run: it looks ahead of the state, which the decision's events have not changed yet."""

    # -- jobs that end ---------------------------------------------------------------------------------------

    def job_ended(self, step: int, part: str, message: JobEnded) -> None:
        """Take in the end of one of a step's jobs."""
        error = (
            "" if message.status == JobStatus.COMPLETED else message.error or f"its job was {message.status}"
        )
        if part == UNDO:
            self._undone(step, message.attempts, error, message.ended_us)
        elif part:
            self._item_found_out(step, int(part), error, message)
        elif error:
            self.failed(step, message.attempts, error, message.ended_us)
        elif message.note == NOTE_SKIP:
            self._decision.emit(StepSkipped(self._run.run_id, step, step, self._now_us))
            self._end(step, StepStatus.SKIPPED)
        elif message.note.startswith(NOTE_VALUE):
            self._found_out(step, message)
        else:
            cached = message.note.removeprefix(NOTE_CACHED) if message.note.startswith(NOTE_CACHED) else b""
            self.completed(step, message.attempts, message.ended_us, cached.decode())
            self._remember(message)

    def _remember(self, message: JobEnded) -> None:
        """Record that the output of a call may be used again."""
        if message.note.startswith(NOTE_STORED):
            fingerprint = message.note.removeprefix(NOTE_STORED).decode()
            root = f"run:{self._run.run_id}"
            self._decision.emit(CallCached(fingerprint, message.job_id, message.ended_us), root)

    def _found_out(self, step: int, message: JobEnded) -> None:
        """Go on with a step whose job was to find something out."""
        options = self._run.graph.options[step]
        value = message.note.removeprefix(NOTE_VALUE)
        if options.mapped:
            self._spread(step, int(value))
        elif options.child:
            self._begin_child(step, -1, options, value)
        else:
            self._wait(step, options, value.decode())

    def _item_found_out(self, step: int, item: int, error: str, message: JobEnded) -> None:
        """Take in the end of an item's job: its call, or what found out the parameters of its run."""
        if not error and message.note.startswith(NOTE_VALUE):
            params = message.note.removeprefix(NOTE_VALUE)
            self._begin_child(step, item, self._run.graph.options[step], params)
            return
        self._item_ended(step, item, error, message.attempts, message.ended_us)
        if not error:
            self._remember(message)

    # -- steps that begin ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the steps that need nothing, or nothing any more."""
        run = self._run
        self._ready += [
            step
            for step in run.graph.ordinary
            if not run.missing[step] and run.steps[step] is StepStatus.PENDING
        ]
        self.conclude()

    def admit(self) -> None:
        """Begin after having waited for a place of the session."""
        self._decision.emit(RunBegun(self._run.run_id, self._now_us))
        self._held = False
        self.begin()

    def resume(self) -> None:
        """Go on where a pause has kept the run."""
        self._paused = False
        for step, fan in self._run.extras.fans.items():
            if self._run.steps[step] is StepStatus.RUNNING:
                self._refill(step, fan, fan.under_way)
        self.begin()

    def conclude(self) -> None:
        """Begin what is ready, and close the run if nothing is left."""
        self._begin_ready()
        if not self._ending:
            if not self._left:
                status = RunStatus.FAILED if self._error else RunStatus.COMPLETED
                self._close(status, self._error)
        elif not self._left and self._run.extras.undoing < 0:
            self._over()
        self._ask()

    def _ask(self) -> None:
        jobs = self._jobs
        for first in range(0, len(jobs), BATCH):
            batch = tuple(jobs[first : first + BATCH])
            self._decision.tell("queue", EnqueueJobs(jobs=batch, fresh=self._run.has_made_id()))
        self._jobs = []

    def _begin_ready(self) -> None:
        if self._paused or self._held:
            self._ready.clear()
        for step in self._ready:  # grows while steps that need not wait end at once
            options = self._run.graph.options.get(step)
            if options is not None and options.wait is not None and _waits_at_once(options):
                self._wait(step, options, "")
            else:
                self._decision.emit(StepScheduled(self._run.run_id, step, self._now_us))
                self._jobs.append(step_job(self._run, step, self._ahead))
        self._ready = []

    def _wait(self, step: int, options: StepOptions, other: str) -> None:
        """Have a step wait, unless what it waits for has come."""
        wait, run = options.wait, self._run
        assert wait is not None
        due_us = self._now_us + wait.span_us if wait.span_us else 0
        if wait.kind == "run":
            self._wait_for(step, other, due_us)
        elif (wait.kind == "time" and not due_us) or step in run.extras.signals:
            self.completed(step, 0, self._now_us)
        else:
            self._decision.emit(StepWaiting(run.run_id, step, due_us, "", self._now_us))

    def _wait_for(self, step: int, other: str, due_us: int) -> None:
        """Have a step wait for the end of another run."""
        run_id = self._run.run_id
        status = ending_of(self._state, other, self._context)
        why = self._why_in_vain(other, due_us, status)
        if why:
            self.failed(step, 1, why, self._now_us)
            return
        self._decision.emit(StepWaiting(run_id, step, due_us, other, self._now_us))
        self._ahead.others[step] = other
        if status is not None:
            self._other_ended(step, -1, other, status, "")

    def _why_in_vain(self, other: str, due_us: int, status: RunStatus | None) -> str:
        """Return why the run need not wait for another one; empty if that ends some time."""
        if other in lineage(self._state, self._run):
            return "it would wait for its own end"
        if status is None and other not in self._state.runs:
            return f"there is no run {other!r} on record"
        if not due_us and other in held_up(self._state, self._run.run_id):
            return f"run {other!r} waits for the end of this one: neither would ever end"
        return ""

    def run_ended(self, step: int, item: int, status: RunStatus, error: str) -> None:
        """Take in the end of a run that a step, or an item of its list, is, or that a step waits for."""
        run = self._run
        other = run.extras.others[step] if item < 0 else run.job_id(step, str(item))
        self._other_ended(step, item, other, status, error)

    def _other_ended(self, step: int, item: int, other: str, status: RunStatus, error: str) -> None:
        failed = status is not RunStatus.COMPLETED
        self._part_ended(step, item, f"run {other} is {status}{error and f': {error}'}" if failed else "")

    def _part_ended(self, step: int, item: int, error: str) -> None:
        """End a step, or an item of its list, that is no call."""
        if item >= 0:
            self._item_ended(step, item, error, 1, self._now_us)
        elif error:
            self.failed(step, 1, error, self._now_us)
        else:
            self.completed(step, 1, self._now_us)

    def _begin_child(self, step: int, item: int, options: StepOptions, params: bytes) -> None:
        """Begin the run that a step, or an item of its list, is."""
        run, child = self._run, self._run.job_id(step, "" if item < 0 else str(item))
        known = self._context.known
        why = ""
        if child in self._state.runs or child in self._state.retired or f"run:{child}" in known:
            why = f"run id {child!r} is on record for another run"
        elif len(child) > LONGEST_ID:
            why = (
                f"run id {child!r} has more than {LONGEST_ID} characters: too many runs are inside each other"
            )
        if why:
            self._part_ended(step, item, why)
            return
        graph = self._state.graphs[options.child]
        if item < 0:
            self._decision.emit(StepWaiting(run.run_id, step, 0, child, self._now_us))
        else:
            self._decision.emit(ItemWaiting(run.run_id, step, item, self._now_us))
        self._decision.emit(
            RunCreated(
                child,
                graph.plan.workflow,
                options.child,
                params,
                blocking=False,
                epoch=self._context.epoch,
                at_us=self._now_us,
                session_id=run.session_id,
                project=run.project,
                parent=run.run_id,
            )
        )
        if self._paused:  # it goes on when the run does
            self._decision.emit(RunPaused(child, self._now_us))
            return
        began = self._state.new_run(child, graph, params, run.session_id, run.project)
        Advance(self._state, began, self._context, self._decision).begin()

    # -- the end of the run ----------------------------------------------------------------------------------

    def cancel(self, why: str = "") -> None:
        """End everything; what is to be done at the end is still done, unless that is what is cancelled.

        While it is not yet known what that is, saying so again changes nothing.
        """
        if self._in_doubt(self._ending):
            return
        for step in self._open():
            self._cancel(step)
        self._left = 0
        self._paused = self._held = False
        if not self._ending:
            self._close(RunStatus.CANCELLED, f"{CANCELLED}{why and f': {why}'}")
        else:
            if self._run.extras.undoing >= 0:
                self._cancel_jobs([self._run.job_id(self._run.extras.undoing, UNDO)])
            self._ending = RunStatus.CANCELLED
            self._over()
        self._ask()

    def settled(self, step: int, message: JobEnded) -> None:
        """Take in how the job of a cancelled step has ended: one that had succeeded before is undone, too."""
        done = message.status == JobStatus.COMPLETED
        succeeded = done and message.note != NOTE_SKIP and not message.note.startswith(NOTE_VALUE)
        self._decision.emit(CancelSettled(self._run.run_id, step, succeeded=succeeded))
        self._ahead.doubts[step] = False
        if succeeded:
            self._undo.append(step)
        if not self._ending:
            self.conclude()
        elif self._run.extras.undoing < 0 and not self._in_doubt(self._ending):
            self._unwind()
            self._ask()

    def _in_doubt(self, ending: str) -> bool:
        """Whether it is not known yet which steps are to be undone at such an end: the queue owes its word."""
        run, doubts = self._run, self._ahead.doubts
        return ending not in {"", RunStatus.COMPLETED} and any(
            doubts.get(step, run.job_id(step) in self._state.cancelling) for step in run.graph.undoable
        )

    def _close(self, status: RunStatus, error: str) -> None:
        """Begin with what is done whatever happened; if there is nothing, the run is over."""
        run = self._run
        self._error = error
        if status is RunStatus.COMPLETED:
            self._undo = []
        in_doubt = self._in_doubt(status)
        if not self._undo and not run.graph.last and not in_doubt:
            self._ending = status
            self._over()
        elif not self._paused:
            self._decision.emit(RunEnding(run.run_id, status, error, self._now_us))
            self._ending = status
            self._left = len(run.graph.last)
            if not in_doubt:
                self._unwind()

    def _unwind(self) -> None:
        """Compensate the step that succeeded last; when none is left, begin the finally steps."""
        run = self._run
        if self._undo:
            step = self._undo.pop()
            self._decision.emit(UndoScheduled(run.run_id, step, self._now_us))
            self._jobs.append(undo_job(run, step, self._ahead))
            return
        self._ready += [
            step
            for step in run.graph.last
            if not run.graph.missing[step] and run.steps[step] is StepStatus.PENDING
        ]
        self._begin_ready()
        if not self._left:
            self._over()

    def _undone(self, step: int, attempts: int, error: str, at_us: int) -> None:
        self._decision.emit(UndoEnded(self._run.run_id, step, attempts, error, at_us))
        if error:
            self._undo_error = self._undo_error or self._run.undo_failure(step, error)
        self._unwind()
        self._ask()

    def _over(self) -> None:
        run_id, now_us, epoch = self._run.run_id, self._now_us, self._context.epoch
        error = "; ".join(filter(None, (self._error, self._undo_error)))
        status = RunStatus.FAILED if error else RunStatus.COMPLETED
        if self._ending == RunStatus.CANCELLED:
            status = RunStatus.CANCELLED
            why = (
                self._error.removeprefix(f"{CANCELLED}: ") if self._error.startswith(f"{CANCELLED}: ") else ""
            )
            error = "; ".join(filter(None, (why, self._undo_error)))
            self._decision.emit(RunCancelled(run_id, epoch, now_us, error))
        elif error:
            self._decision.emit(RunFailed(run_id, epoch, error, now_us))
        else:
            self._decision.emit(RunCompleted(run_id, epoch, now_us))
        if self._run.extras.owner:
            tell_owner(run_id, status, now_us, self._decision)


def _waits_at_once(options: StepOptions) -> bool:
    """Whether nothing has to be found out before a step waits."""
    return (
        options.wait is not None
        and options.wait.kind != "run"
        and not (options.when or options.when_function)
    )
