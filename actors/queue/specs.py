"""What a job, and what a queue lets through, is said to be: values inside commands and events."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

STEPS = "@steps"
"""The engine's own queue for steps of workflows that name none; served as long as the engine is open."""
FIRINGS = "@schedules"
"""The engine's own queue for firings of schedules that name none; served while a scheduler is started."""
SHARE = "@session:"
"""What the name of the resource begins with that the calls of a session share."""

THREAD, PROCESS = "thread", "process"
"""Where functions may run."""


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

    @property
    def needs_free_worker(self) -> bool:
        """Whether an attempt starts only for a worker that is free: its time counts, or a process has to take it."""
        return bool(self.timeout_us or self.heartbeat_us or self.executor)


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
    ids begin with; `done`, of those of them that have completed; `run`, the output of the run `source`; `runs`, those
    of runs, `source` as for `list`; `signal`, what was sent to the step `source`.
    `item-…`: the item of that list which the job is about; `ref-item-…`: what `{{item}}` means, no `parameter`."""
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
