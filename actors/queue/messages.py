"""What is said to the queue, what it records, and what it answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec

from actors.runtime.effects import AttemptKey
from actors.runtime.messages import Event, Message

STEPS = "@steps"
"""The engine's own queue for steps of workflows that name none; served as long as the engine is open."""
FIRINGS = "@schedules"
"""The engine's own queue for firings of schedules that name none; served while a scheduler is started."""
SHARE = "@session:"
"""What the name of the resource begins with that the calls of a session share."""


class JobStatus(StrEnum):
    """Where a job stands. COMPLETED, FAILED, CANCELLED and EXPIRED are final."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    UNRESOLVED = "UNRESOLVED"


Key = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
"""What something is known by. The façade is stricter; a step's job has its run's id and more."""
Priority = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)]
Retries = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Span = Annotated[int, msgspec.Meta(ge=0, le=2**52)]
"""Microseconds, at most 142 years: an instant and a span always make an instant."""
Instant = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""Microseconds since 1970 UTC."""


FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED})


class Data(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value inside commands and events."""


class RetryPolicy(Data, frozen=True):
    """How often and when a failed attempt is tried again."""

    max_retries: Retries = 3
    """Attempts after the first one."""
    base_us: Span = 1_000_000
    """Bound of the first delay; 0: at once."""
    cap_us: Span = 300_000_000
    """Bound of any delay."""


class JobLife(Data, frozen=True):
    """How long a job may wait and run, and what ends it. A spec has it only if something of it is used."""

    timeout_us: Span = 0
    """An attempt that has not ended after this long is abandoned; 0: never."""
    expires_us: Instant = 0
    """No attempt begins from this instant on; 0: none given."""
    expires_in_us: Span = 0
    """The same, counted from the enqueueing; 0: none given."""
    heartbeat_us: Span = 0
    """An attempt that gives no sign of life for so long is abandoned; 0: it need not give any."""
    retry_on: tuple[str, ...] = ()
    """Exceptions after which there is another try; none: after all of them (see `actors.runtime.verdict`)."""
    give_up_on: tuple[str, ...] = ()
    """Exceptions after which there is none."""
    executor: str = ""
    """Where it runs: `thread` or `process`; empty: where the engine says."""
    result_ttl_us: Span = 0
    """How long its result may be asked for once it has completed; 0: for ever."""

    def expiry_us(self, enqueued_us: int) -> int:
        """Return the instant from which on no attempt begins; 0: there is none."""
        return self.expires_us or (self.expires_in_us and enqueued_us + self.expires_in_us)

    @property
    def shared(self) -> JobLife | None:
        """What it has in common with other jobs: all but the expiry; None if that is nothing."""
        life = msgspec.structs.replace(self, expires_us=0, expires_in_us=0)
        return None if life == NO_LIFE else life


NO_LIFE = JobLife()


class Scope(StrEnum):
    """How long a job has its unique key."""

    PENDING = "while_pending"
    """Until its first attempt starts."""
    LIVE = "until_finished"
    """Until it has ended."""
    PERIOD = "period"
    """For a time, whatever becomes of it."""


class Conflict(StrEnum):
    """What happens to a job whose unique key another one has."""

    REJECT = "reject"
    RETURN = "return_existing"
    """The other one's id is returned, nothing is enqueued."""
    REPLACE = "replace"
    """The other one is cancelled, unless it has begun: then as `REJECT`."""


class Unique(Data, frozen=True):
    """A key that one job of a queue has at a time."""

    key: Key
    scope: Scope = Scope.LIVE
    conflict: Conflict = Conflict.REJECT
    period_us: Span = 0


class Backoff(Data, frozen=True):
    """Delays before the next try that are not exponential with full jitter."""

    shape: str
    """`fixed`: the base; `linear`: the base times the failures, up to the cap; `exponential`: doubled; `list`."""
    jitter: bool = False
    """Any time between 0 and that."""
    delays: tuple[Span, ...] = ()
    """The list; the last one holds for all that follow."""


class Terms(Data, frozen=True):
    """What is special about when a job may be enqueued, start, and be tried again. Most jobs have none."""

    key: str = ""
    """Jobs of one key share the queue's limits per key; empty: no such limit applies."""
    group: str = ""
    """Groups of a queue are served in turn."""
    resources: tuple[tuple[str, float], ...] = ()
    """Held from the start of an attempt to its end; granted all together or not at all."""
    unique: Unique | None = None
    backoff: Backoff | None = None
    on_failure_of: str = ""
    """The job that must have failed before this one starts; if that completes, this one is cancelled."""
    batch: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    """Up to so many of its kind are done in one call, whose function gets a list; 0: each in a call of its own."""
    project: str = ""
    """The project that it is recorded under; empty for none."""


Count = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Rate(Data, frozen=True):
    """At most `count` starts in any span of `per_us`; with `burst`, a token bucket."""

    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    per_us: Annotated[int, msgspec.Meta(ge=1, le=2**45)]
    burst: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Starts at once after a pause; `count` per `per_us` in the long run, evenly. 0: a sliding window."""


class QueueSettings(Data, frozen=True):
    """What a queue lets through. Zero, None, empty: no such rule."""

    concurrency: Count = 0
    """Jobs that run at one time."""
    key_concurrency: Count = 0
    """Jobs of one key that run at one time."""
    function_concurrency: tuple[tuple[str, Count], ...] = ()
    """Jobs of a function that run at one time."""
    rate: Rate | None = None
    key_rate: Rate | None = None
    """For the jobs of one key."""
    weights: tuple[tuple[str, Annotated[int, msgspec.Meta(ge=1, le=1_000)]], ...] = ()
    """Shares of groups; a group that is not named has 1."""
    ageing_us: Span = 0
    """Waiting this long is worth one step of priority."""
    retry: RetryPolicy | None = None
    """For jobs that keep the default policy."""
    retry_rate: Rate | None = None
    """How many retries may fall due in a span of time; its spans are counted from 1970, `burst` says nothing."""


class Input(Data, frozen=True):
    """Where a parameter of a step's function comes from."""

    parameter: str
    kind: str
    """`step`: the result of the job `source`; `param`: the run's parameter `source`; `ctx`: the attempt's
    context; `ref-step` and `ref-param`: named in a `{{…}}` reference as `parameter`, not passed themselves;
    `ref`: nothing is named, but the arguments have doubled braces to undo. In place of `step`: `none`, the step
    has no output, so it is None; `list`, the results of jobs, `source` is their number, a slash and what their
    ids begin with; `run`, the output of the run `source`; `signal`, what was sent to the step `source`.
    `item-…`: the item of that list which the job is about."""
    source: str
    positional: bool = False
    """Passed by position, behind the constants."""


WORKFLOW = "workflow:"
"""What the function of a job begins with that is no call: it plans a run of the workflow named behind it."""
NOTE_SKIP = b"-"
"""A worker's note to the owner of a step: its condition does not hold."""
NOTE_STORED = b"#"
"""A worker's note to the owner of a step: the fingerprint of the call, whose output may be used again."""
NOTE_CACHED = b"@"
"""A worker's note to the owner of a step: the job of an identical call, whose output was used."""
NOTE_VALUE = b"="
"""A worker's note to the owner of a step begins so if it is what the step `gives`."""


class StepWork(Data, frozen=True):
    """What a worker does for a step beside calling its function."""

    when: str = ""
    """An expression (`actors.workflow.condition`): unless it is true, the function is not called."""
    when_function: str = ""
    """A function instead of an expression."""
    when_inputs: tuple[Input, ...] = ()
    """What the expression refers to, or what the function gets."""
    gives: str = ""
    """Empty: the function is called. Else it is not, and the owner gets a note: `count`, how many items the only
    input has; `params`, the keyword arguments as the parameters of a run; `text`, the only argument; `nothing`;
    `run`, of a schedule's firing: the `StartRun` of the run that it is."""
    item: int = -1
    """Which item of a list the job is about; -1: there is no list."""
    cache_us: Span = 0
    """How old the output of an identical call may be that is used instead of a call; 0: none is."""
    cache_key: str = ""
    """Calls with another one are not identical."""
    key: str = ""
    """What the function says is sealed with this key (`actors.runtime.seals`); empty: it is not."""


class JobSpec(Data, frozen=True):
    """A job as its caller defines it. Written once, with the job's first event."""

    job_id: Key
    queue: Key
    name: str
    function: str
    payload: bytes
    """Arguments as bytes (`actors.runtime.values.encode_call`)."""
    priority: Priority = 0
    retry: RetryPolicy = RetryPolicy()
    due_us: Instant = 0
    """Not before this instant, µs UTC; 0: at once."""
    owner: str = ""
    """Whose work this is (`run:…`, `schedule:…`): that actor is told of the end; empty for nobody's."""
    inputs: tuple[Input, ...] = ()
    after: tuple[str, ...] = ()
    """Jobs that must have completed before this one starts."""
    work: StepWork | None = None
    """What is out of the ordinary about a step; None for nothing."""
    terms: Terms | None = None
    life: JobLife | None = None
    """How long it may wait and run, if anything is said of that."""


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
    """Functions that can be found from now on: jobs that waited for them become ready."""

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
    """Answered with how many jobs of a queue are pending, running or waiting for a retry."""

    queue: str


class ListJobs(Message, frozen=True, tag="queue.list_jobs"):
    """Answered with the ids of a queue's jobs that have not ended, in the order of their enqueueing."""

    queue: str


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


# -- events --------------------------------------------------------------------------------------------


class JobEvent(Event, frozen=True):
    """A fact about one job."""

    job_id: str

    @property
    def entity(self) -> str:
        """The job."""
        return f"job:{self.job_id}"


class JobEnqueued(Event, frozen=True, tag="job.enqueued"):
    """A job was accepted."""

    spec: JobSpec
    digest: bytes
    """Fingerprint of the spec: another body under the same id is a conflict."""
    at_us: int
    missing: int = 0
    """How many of the jobs named in `spec.after` had not completed yet."""

    @property
    def entity(self) -> str:
        """The job."""
        return f"job:{self.spec.job_id}"


class JobReady(JobEvent, frozen=True, tag="job.ready"):
    """A job that waited may start: its time came, what it waited for completed, its function was found."""

    at_us: int
    reason: str


class JobUnblocked(JobEvent, frozen=True, tag="job.unblocked"):
    """One of the jobs that this one waits for has completed, others have not."""

    by: str


class JobStarted(JobEvent, frozen=True, tag="job.started"):
    """An attempt was given to the executor. Durable before the function begins."""

    attempt: int
    epoch: int
    at_us: int
    behind: int = 0
    """Attempts that were ahead of it when no worker was free; 0: a worker takes it at once."""


class BatchStarted(JobEvent, frozen=True, tag="batch.started"):
    """Attempts that have just started, of this job and of others, are made in one call, on one worker."""

    attempt: int
    others: tuple[tuple[str, int], ...]
    """The other jobs and the numbers of their attempts."""
    epoch: int
    at_us: int


class JobLeased(JobEvent, frozen=True, tag="job.leased"):
    """An attempt was taken by hand until `until_us`."""

    attempt: int
    epoch: int
    at_us: int
    until_us: int


class JobCompleted(JobEvent, frozen=True, tag="job.completed"):
    """The job has succeeded."""

    final: ClassVar[bool] = True

    attempt: int
    result: bytes
    at_us: int
    run_us: int
    note: bytes = b""
    """For the job's owner: what it has to know of the result without reading it."""


class JobRetrying(JobEvent, frozen=True, tag="job.retrying"):
    """An attempt failed; the next one is not before `due_us`."""

    attempt: int
    error: str
    traceback: str
    at_us: int
    due_us: int


class JobFailed(JobEvent, frozen=True, tag="job.failed"):
    """The last attempt failed, or what the job waited for did. It stays until somebody retries it."""

    final: ClassVar[bool] = True

    attempt: int
    error: str
    traceback: str
    at_us: int


class AttemptInterrupted(JobEvent, frozen=True, tag="attempt.interrupted"):
    """The end of its process, or of its lease, cut an attempt short. The job is ready again."""

    attempt: int
    at_us: int
    charged: bool
    """Whether it counts: a start that may never have reached a worker, and one cut by `close`, do not."""
    reason: str


class AttemptRefused(JobEvent, frozen=True, tag="attempt.refused"):
    """A result came from an attempt that another one has superseded; it was not used."""

    attempt: int
    outcome: str
    at_us: int


class AttemptPrinted(JobEvent, frozen=True, tag="attempt.printed"):
    """What an attempt in a process has printed, of which the end is kept; what it came to is the next event."""

    attempt: int
    output: str
    at_us: int


class AttemptTimedOut(JobEvent, frozen=True, tag="attempt.timed_out"):
    """An attempt took too long and was abandoned; its failure is the next event. What it still does is refused."""

    attempt: int
    at_us: int
    limit_us: int
    silent: bool = False
    """It gave no sign of life for so long."""


class JobSnoozed(JobEvent, frozen=True, tag="job.snoozed"):
    """The function asked to be called again from `due_us` on; this was no attempt."""

    attempt: int
    at_us: int
    due_us: int
    reason: str


class JobExpired(JobEvent, frozen=True, tag="job.expired"):
    """The job was not started in time, and never will be by itself."""

    final: ClassVar[bool] = True

    attempt: int
    at_us: int


class JobCancelled(JobEvent, frozen=True, tag="job.cancelled"):
    """The job was cancelled."""

    final: ClassVar[bool] = True

    attempt: int
    at_us: int
    reason: str


class JobUnresolved(JobEvent, frozen=True, tag="job.unresolved"):
    """The function could not be found: the job waits, uncharged, until it can."""

    attempt: int
    error: str
    at_us: int


class JobRetried(Event, frozen=True, tag="job.retried"):
    """A failed or cancelled job was taken up again by hand."""

    spec: JobSpec
    """As it was enqueued, without the payload, which the first event has."""
    digest: bytes
    attempts: int
    """Attempts so far; the next one has the next number."""
    was: str
    at_us: int

    @property
    def entity(self) -> str:
        """The job."""
        return f"job:{self.spec.job_id}"


class JobDiscarded(JobEvent, frozen=True, tag="job.discarded"):
    """A job that did not succeed was given up; it is cancelled, and can be taken up again like any other."""

    final: ClassVar[bool] = True

    attempt: int
    queue: str
    was: str
    at_us: int
    reason: str


class JobMoved(JobEvent, frozen=True, tag="job.moved"):
    """A job that waits stands in another queue."""

    queue: str
    at_us: int


class QueuePaused(Event, frozen=True, tag="queue.paused"):
    """The queue starts nothing."""

    queue: str
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class QueueResumed(Event, frozen=True, tag="queue.resumed"):
    """The queue starts jobs again, and takes new ones on."""

    queue: str
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class QueueDraining(Event, frozen=True, tag="queue.draining"):
    """The queue takes no more jobs on."""

    queue: str
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class QueueConfigured(Event, frozen=True, tag="queue.configured"):
    """The queue has other settings."""

    queue: str
    settings: QueueSettings
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class ResourceAdded(Event, frozen=True, tag="resource.added"):
    """A resource was defined or its capacity changed."""

    name: str
    kind: str
    capacity: float
    at_us: int

    @property
    def entity(self) -> str:
        """The resource."""
        return f"resource:{self.name}"


class ResourceEnding(Event, frozen=True, tag="resource.ending"):
    """No new job of nobody's may need the resource."""

    name: str
    last: bool
    """No job at all: it is removed as soon as nothing holds it."""
    at_us: int

    @property
    def entity(self) -> str:
        """The resource."""
        return f"resource:{self.name}"


class ResourceRemoved(Event, frozen=True, tag="resource.removed"):
    """The resource is there no more."""

    name: str
    at_us: int

    @property
    def entity(self) -> str:
        """The resource."""
        return f"resource:{self.name}"


class ResourceEvent(Event, frozen=True):
    """A fact about one allocation."""

    allocation_id: str

    @property
    def entity(self) -> str:
        """The allocation."""
        return f"allocation:{self.allocation_id}"


class ResourceRequested(ResourceEvent, frozen=True, tag="resource.requested"):
    """Somebody waits in line for amounts of resources."""

    requester: str
    amounts: tuple[tuple[str, float], ...]
    epoch: int
    at_us: int


class ResourceGranted(ResourceEvent, frozen=True, tag="resource.granted"):
    """The amounts are held from now on."""

    final: ClassVar[bool] = True

    requester: str
    amounts: tuple[tuple[str, float], ...]
    epoch: int
    at_us: int


class ResourceReleased(ResourceEvent, frozen=True, tag="resource.released"):
    """What was held, or waited for, is so no more."""

    final: ClassVar[bool] = True

    at_us: int
    reason: str


QUEUE_EVENTS: tuple[type[Event], ...] = (
    JobEnqueued,
    JobReady,
    JobUnblocked,
    JobStarted,
    BatchStarted,
    JobLeased,
    JobCompleted,
    JobRetrying,
    JobFailed,
    AttemptInterrupted,
    AttemptRefused,
    AttemptPrinted,
    AttemptTimedOut,
    JobSnoozed,
    JobExpired,
    JobCancelled,
    JobUnresolved,
    JobRetried,
    JobDiscarded,
    JobMoved,
    QueuePaused,
    QueueResumed,
    QueueDraining,
    QueueConfigured,
    ResourceAdded,
    ResourceRequested,
    ResourceGranted,
    ResourceReleased,
    ResourceEnding,
    ResourceRemoved,
)
