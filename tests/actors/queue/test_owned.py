"""Jobs that belong to a run or a schedule: their ids mean the same for ever."""

from __future__ import annotations

import msgspec

from actors.queue.admission import digest_of
from actors.queue.decider import QueueRules
from actors.queue.messages import EnqueueJobs, JobEnded
from actors.queue.specs import JobSpec
from actors.queue.state import QueueState
from actors.runtime.messages import Context

OWNED = JobSpec("r1.0", "@steps", "w.s", "m:f", b"\x92\x90\x80", owner="run:r1")
CONTEXT = Context(1_000, 1, 4, None, scheduling=True, known={})


def test_an_owned_job_stays_the_same_whatever_its_spec_has_become() -> None:
    changed = msgspec.structs.replace(OWNED, name="renamed", payload=b"\x92\x91\x01\x80")
    assert digest_of(changed) == digest_of(OWNED)


def test_an_owner_whose_id_is_taken_is_told_that_its_job_failed() -> None:
    rules, state = QueueRules(), QueueState()
    taken = msgspec.structs.replace(OWNED, owner="")
    for event, _ in rules.decide(state, EnqueueJobs(jobs=(taken,)), CONTEXT).events:
        state.evolve(event)
    decision = rules.decide(state, EnqueueJobs(jobs=(OWNED,)), CONTEXT)
    assert not decision.events
    [(peer, told)] = decision.tells
    assert peer == "supervisor"
    assert isinstance(told, JobEnded)
    assert (told.status, told.error) == ("FAILED", "job id 'r1.0' is on record for another job")
