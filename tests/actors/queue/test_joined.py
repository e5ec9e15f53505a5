"""Words of a peer that are said as one: only such as are never refused, and only so many."""

from __future__ import annotations

import pytest

from actors.queue.messages import MOST_JOINED, EnqueueJobs
from actors.queue.specs import JobSpec
from actors.runtime.messages import Message, Nudge


def jobs(*ids: str) -> tuple[JobSpec, ...]:
    return tuple(
        JobSpec(job_id=each, queue="steps", name="j", function="m:f", payload=b"", owner="run:1")
        for each in ids
    )


def test_new_jobs_of_owners_are_said_as_one_in_their_order() -> None:
    first, second = EnqueueJobs(jobs=jobs("a", "b"), fresh=True), EnqueueJobs(jobs=jobs("c"), fresh=True)
    assert first.joined(second) == EnqueueJobs(jobs=jobs("a", "b", "c"), fresh=True)


@pytest.mark.parametrize(
    "later",
    [Nudge(), EnqueueJobs(jobs=jobs("b")), EnqueueJobs(jobs=jobs(*map(str, range(MOST_JOINED))), fresh=True)],
    ids=["another kind", "jobs that may be on record", "too many"],
)
def test_what_may_be_refused_or_is_too_much_stays_a_word_of_its_own(later: Message) -> None:
    assert EnqueueJobs(jobs=jobs("a"), fresh=True).joined(later) is None
    assert EnqueueJobs(jobs=jobs("a")).joined(EnqueueJobs(jobs=jobs("b"), fresh=True)) is None
