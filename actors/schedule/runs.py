"""Firings that are runs of a workflow: their jobs say what the run is made of, the supervisor sees to the rest.

The job of such a firing is planned on a worker, by the workflow's definition of that time, and its note is a
`StartRun`. The run has the id of the job. Nothing else is kept: whoever asks the queue again gets the note again,
whoever asks the supervisor again for a run that was begun is told of its end, so a firing is one run at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.queue.specs import NOTE_VALUE, JobStatus
from actors.schedule.firings import owner_of
from actors.schedule.messages import ScheduleClosed
from actors.workflow.messages import CancelOwnedRun, RunEnded, StartRun
from eventstore.decoding import msgpack_decoder

if TYPE_CHECKING:
    from actors.queue.messages import JobEnded
    from actors.runtime.messages import Context, Decision
    from actors.schedule.state import OpenFiring, SchedulerState

DECODE = msgpack_decoder(StartRun)


def begin_run(firing: OpenFiring, message: JobEnded, decision: Decision) -> None:
    """Have the run begun that a firing's job has planned; or cancelled, if nobody wants it any more."""
    run_id, owner = firing.job_id, owner_of(firing.name)
    if firing.unwanted:
        decision.tell("supervisor", CancelOwnedRun(run_id=run_id, owner=owner))
        return
    try:
        planned = DECODE(message.note.removeprefix(NOTE_VALUE))
    except msgspec.MsgspecError as error:
        refusal = f"what its job has planned cannot be read: {error}"
        decision.emit(ScheduleClosed(firing.name, run_id, JobStatus.FAILED, message.ended_us, refusal))
        return
    decision.tell("supervisor", msgspec.structs.replace(planned, run_id=run_id, owner=owner))


def run_ended(state: SchedulerState, message: RunEnded, _context: Context, decision: Decision) -> None:
    """Record the end of a firing's run, once; the supervisor says it as often as it is asked."""
    firing = state.firings.get(message.run_id)
    if firing is not None and firing.target.workflow:
        decision.emit(
            ScheduleClosed(firing.name, message.run_id, message.status, message.ended_us, message.refusal)
        )
