"""What is said to the queue, and what it answers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from actors.queue.specs import Data, JobSpec, JobStatus, Key, QueueSettings
from actors.runtime.effects import AttemptKey
from actors.runtime.messages import Message


class JobView(Data, frozen=True):
    """A job as the queue sees it now."""

    job_id: str
    queue: str
    status: str
    attempts: int
    due_us: int


class QueueStats(Data, frozen=True):
    """Counts of one queue, or of all; each costs the same however many jobs there are."""

    ready: int
    waiting: int
    """Waiting for a time: scheduled and retrying."""
    by_status: dict[str, int]
    retried: int
    """Attempts that were followed by another one."""
    paused: bool = False
    """Whether it starts nothing; of all queues together nothing is said."""
    draining: bool = False
    """Whether it takes no more jobs on."""


Quantiles = tuple[int, int, int]
"""Half, nine tenths and 99 of a hundred were no longer; microseconds, right within a fifth."""


class FunctionMetrics(Data, frozen=True):
    """What jobs of one function came to."""

    function: str
    completed: int
    failed: int
    runs: Quantiles


class QueueMetrics(Data, frozen=True):
    """How long jobs of a queue waited and ran, and how many completed; costs the same whatever there was."""

    waits: Quantiles
    """From when a job was ready until an attempt began."""
    functions: tuple[FunctionMetrics, ...]
    per_minute: tuple[tuple[int, int], ...]
    """Minute since 1970, jobs completed in it; the newest 60 with any."""


# -- commands and queries ------------------------------------------------------------------------------


MOST_JOINED = 256
"""Jobs in one message that was made of several."""


class EnqueueJobs(Message, frozen=True, tag="queue.enqueue_jobs"):
    """Put jobs on their queues, all or none. Answered with their ids. Repeating it is safe.

    `ConflictingIdError` if an id is on record for another job.
    """

    jobs: tuple[JobSpec, ...]
    fresh: bool = False
    """The ids were made just now and never sent before: nothing on record can have them."""
    whole: bool = False
    """`DuplicateJobError`, and none, if another job's id would be returned for one that others of them follow; else
    these are not enqueued either, and have an empty id."""

    def joined(self, later: Message) -> Message | None:
        """Return the jobs of two words of one owner of jobs, which is refused none."""
        if type(later) is not EnqueueJobs or not (self.fresh and later.fresh):
            return None
        if len(self.jobs) + len(later.jobs) > MOST_JOINED:
            return None
        return EnqueueJobs(jobs=self.jobs + later.jobs, fresh=True)


class CancelJob(Message, frozen=True, tag="queue.cancel_job"):
    """Cancel a job that has not ended; answered with whether that was so."""

    job_id: str


class CancelOwned(Message, frozen=True, tag="queue.cancel_owned"):
    """Said by a job's owner: cancel it. Always answered with a `JobEnded`, however often it is said (R8)."""

    job_id: str
    owner: str


class RetryJob(Message, frozen=True, tag="queue.retry_job"):
    """Take up a failed or cancelled job again, with all its tries. `UnknownIdError`, `InputError`."""

    job_id: str


class RetryJobs(Message, frozen=True, tag="queue.retry_jobs"):
    """The same for many, in one commit: whichever cannot be is left as it is. Answered with the ids of the others."""

    job_ids: tuple[str, ...]


class DiscardJob(Message, frozen=True, tag="queue.discard_job"):
    """Give up a job that failed, expired or waits for its function: it counts as cancelled from now on.

    `UnknownIdError`, `InputError`.
    """

    job_id: str


class MoveJobs(Message, frozen=True, tag="queue.move_jobs"):
    """Have jobs that wait stand in another queue, behind those there; answered with the ids of those that do.

    `strict`: all of them, or the refusal of the first that cannot be (`InputError`, `DuplicateJobError`).
    """

    job_ids: tuple[str, ...]
    queue: Key
    strict: bool = False


class LeaseJob(Message, frozen=True, tag="queue.lease_job"):
    """Take the next ready job by hand for `lease_us`; answered with its `AttemptKey` or None."""

    queue: str
    lease_us: Annotated[int, msgspec.Meta(ge=1, le=2**52)]


class SettleLease(Message, frozen=True, tag="queue.settle_lease"):
    """End a job taken by hand; `outcome` is `ok` or `error`. Answered with whether the lease still stood."""

    key: AttemptKey
    outcome: str
    result: bytes = b""
    error: str = ""


class PauseQueue(Message, frozen=True, tag="queue.pause"):
    """Start nothing more from a queue until it is resumed."""

    queue: str


class ResumeQueue(Message, frozen=True, tag="queue.resume"):
    """Start jobs of a paused queue again, and take new ones on."""

    queue: str


class DrainQueue(Message, frozen=True, tag="queue.drain"):
    """Take no more jobs on from callers until the queue is resumed; those that are owned are taken all the same."""

    queue: str


class ClearQueue(Message, frozen=True, tag="queue.clear"):
    """Cancel every job of a queue that has not begun; answered with their number."""

    queue: str


class ConfigureQueue(Message, frozen=True, tag="queue.configure"):
    """Give a queue other settings; they hold at once, for jobs that wait already too."""

    queue: str
    settings: QueueSettings


class GetQueueSettings(Message, frozen=True, tag="queue.get_settings"):
    """Answered with the `QueueSettings` of a queue."""

    queue: str


class FunctionsKnown(Message, frozen=True, tag="queue.functions_known"):
    """Functions that can be found from now on: jobs that waited for them become ready.

    `workflow:` alone stands for those of all workflows: any of them may be inside another.
    """

    functions: tuple[str, ...]


class GetJob(Message, frozen=True, tag="queue.get_job"):
    """Answered with the `JobView` of a live job, or None: ended or unknown, the log will tell."""

    job_id: str


class ExplainJob(Message, frozen=True, tag="queue.explain_job"):
    """Answered with a tuple of what keeps a live job from starting; empty if it is the next one to start.

    None: it has ended or is unknown, the log will tell.
    """

    job_id: str


class Obstacle(Data, frozen=True):
    """One thing that keeps a job from starting, or a run from its end."""

    code: str
    """What it is; `docs/guide/why.md` lists all of them."""
    name: str = ""
    """Of which queue, key, function, resource or step."""
    by: tuple[str, ...] = ()
    """Whose fault it is: entities (`job:…`, `run:…`), the first few of them."""
    until_us: int = 0
    """When it will be over by itself; 0: not by itself, or nobody knows."""
    used: float = 0.0
    """Of a limit: how much is taken."""
    limit: float = 0.0
    wanted: float = 0.0
    """Of a limit: how much it would take."""


class GetStats(Message, frozen=True, tag="queue.get_stats"):
    """Answered with `QueueStats`; an empty name means all queues together."""

    queue: str


class GetMetrics(Message, frozen=True, tag="queue.get_metrics"):
    """Answered with the `QueueMetrics` of a queue."""

    queue: str


class PeekQueue(Message, frozen=True, tag="queue.peek"):
    """Answered with the id of the job that would start next, or None."""

    queue: str


class Unfinished(Message, frozen=True, tag="queue.unfinished"):
    """Answered with how many jobs of a queue are pending, running or waiting for a retry; 0: nothing is due.

    If all there is was scheduled, and is about to be made ready, that counts as one.
    """

    queue: str


class ListJobs(Message, frozen=True, tag="queue.list_jobs"):
    """Answered with the ids of a queue's jobs that have not ended, in the order of their enqueueing.

    With `statuses`, only those that stand so, in no order: that costs what these cost, and not what all do.
    """

    queue: str
    statuses: tuple[JobStatus, ...] = ()


class ListQueues(Message, frozen=True, tag="queue.list"):
    """Answered with the names of all queues that ever had a job."""


class AddResource(Message, frozen=True, tag="resource.add"):
    """Define a resource, or change its capacity."""

    name: str
    kind: str
    capacity: float


class Allocate(Message, frozen=True, tag="resource.allocate"):
    """Take amounts of resources, all or nothing; answered with whether they were granted at once.

    With `wait` it queues up, first come first served, and `ResourceGranted` tells when its turn came.
    """

    allocation_id: str
    requester: str
    amounts: tuple[tuple[str, float], ...]
    wait: bool = False


class Release(Message, frozen=True, tag="resource.release"):
    """Give back an allocation, or give up waiting for it; answered with whether there was one."""

    allocation_id: str


class ReleaseAll(Message, frozen=True, tag="resource.release_all"):
    """Give back everything that a requester holds, and all it waits for; answered with their number."""

    requester: str


class EndShare(Message, frozen=True, tag="resource.end_share"):
    """Said by the supervisor, who defined it: no new job of nobody's may need this resource.

    Those that have not begun are cancelled. With `last` no run needs it either: it is forgotten as soon as nothing
    holds it, which is answered with a `ShareEnded`, however often this is said.
    """

    name: str
    running: bool = False
    """Those that have begun are cancelled, too."""
    last: bool = False


class GetResources(Message, frozen=True, tag="resource.get"):
    """Answered with a tuple of `ResourceView`s."""


class ResourceView(Data, frozen=True):
    """A resource as it is now."""

    name: str
    kind: str
    capacity: float
    used: float
    holders: tuple[tuple[str, str, float], ...]
    """Allocation id, requester, amount."""
    waiting: int
    line: tuple[tuple[str, str, float], ...] = ()
    """The same of those who wait for some of it, in their order."""


# -- words to peers ------------------------------------------------------------------------------------


class JobEnded(Message, frozen=True, tag="job.ended"):
    """Told to the owner of a job: it has ended."""

    job_id: str
    status: str
    error: str
    attempts: int
    ended_us: int
    note: bytes = b""
    """What the worker tells the owner beside the result; empty for nothing."""


class ShareEnded(Message, frozen=True, tag="resource.share_ended"):
    """Told to the supervisor: a resource of its own is forgotten."""

    name: str
