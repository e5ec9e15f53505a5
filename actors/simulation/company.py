"""Who is done in one call with whom, judged from the log alone (I8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.queue.events import BatchStarted
from actors.queue.specs import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.queue.specs import JobSpec
    from actors.simulation.checks import JobHistory

NOTHING = Terms()


class Company:
    """Those of a batch have just begun, are of one kind, no more than may be, and none of them has failed before."""

    def __init__(self, jobs: Mapping[str, JobHistory]) -> None:
        self._jobs = jobs

    def take(self, event: Any) -> str:
        """Take in one event; return what it breaks, or nothing."""
        if not isinstance(event, BatchStarted):
            return ""
        members = ((event.job_id, event.attempt), *event.others)
        jobs = [self._jobs[job_id] for job_id, _ in members]
        if any(
            not job.open or job.attempt != attempt for job, (_, attempt) in zip(jobs, members, strict=True)
        ):
            return "in a batch without having begun"
        if len(members) > (jobs[0].spec.terms or NOTHING).batch:
            return "a batch larger than it may be"
        if len({_kind(job.spec) for job in jobs}) > 1:
            return "a stranger in a batch"
        if any(job.charged for job in jobs):
            return "one that has failed is not alone"
        return ""


def _kind(spec: JobSpec) -> tuple[object, ...]:
    terms = spec.terms or NOTHING
    return (spec.queue, spec.function, spec.priority, terms.key, terms.group, terms.resources, terms.batch)
