"""What is said to the scheduler, what it records, and what it answers."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from actors.queue.specs import Data, JobLife, RetryPolicy, Terms
from actors.runtime.messages import Event, Message
from actors.schedule.spec import ScheduleSpec

CatchUp: TypeAlias = Literal["none", "latest", "all"]
Overlap: TypeAlias = Literal["skip", "allow", "queue", "queue_all", "cancel_previous"]

CATCH_UPS: tuple[CatchUp, ...] = ("none", "latest", "all")
OVERLAPS: tuple[Overlap, ...] = ("skip", "allow", "queue", "queue_all", "cancel_previous")
MAX_JITTER_US = 86_400_000_000
MAX_BACKFILL = 1_000
"""Past instants that can be made up at a time."""
DROPPED = "dropped"
"""Why an instant that waited is passed over: the order that the event names."""
MAX_LIMIT = 10_000
"""Firings that one schedule may catch up with at a time, or keep waiting, at most."""


class JobTemplate(Data, frozen=True):
    """The job that a firing enqueues: what the schedule calls, or what plans a run of a workflow."""

    function: str
    payload: bytes
    """Arguments as bytes (`actors.runtime.values.encode_call`): of a workflow, the schedule's zone and by name the
    parameters of its runs."""
    queue: str = ""
    """Empty: the engine's own queue for firings."""
    priority: int = 0
    retry: RetryPolicy = RetryPolicy()
    workflow: str = ""
    """The workflow of which a firing is a run; the job then only plans that. Empty: the job is all there is."""
    terms: Terms | None = None
    life: JobLife | None = None
    """As of any job (`JobSpec`)."""


class Policies(Data, frozen=True):
    """What a schedule does about what it missed, about what still runs, and when it begins and ends.

    The scheduler serves an instant as soon as it is due. If several are due at once, or one is late, it was
    not there: down, stopped, asleep, or the clock was set forward. Then `catch_up` decides:

    - `none`: of the due instants only the newest counts, and only if it is at most a minute late;
    - `latest`: the newest fires, for all of them, however late it is;
    - `all`: each fires by itself, oldest first, but only the newest `limit` of them.

    With `window_us`, nothing older than that is caught up. What is passed over is counted in the next event.

    `overlap` decides about an instant that is due while a job of the same incarnation has not ended: it is
    passed over (`skip`), it fires all the same (`allow`), it waits (`queue`: one; `queue_all`: up to
    `limit`), or it fires and the jobs before it are cancelled (`cancel_previous`).
    """

    catch_up: CatchUp = "latest"
    overlap: Overlap = "skip"
    limit: int = 100
    window_us: int | None = None
    start_us: int | None = None
    """Nothing before this instant fires."""
    end_us: int | None = None
    """Nothing after this instant fires: the schedule is completed."""
    max_runs: int | None = None
    """How often it fires, at most; triggers do not count."""
    jitter_us: int = 0
    """An instant is due up to so much later than it says: always the same for one instant and name."""


# -- commands and queries ----------------------------------------------------------------------------


class PutSchedule(Message, frozen=True, tag="schedule.put_schedule"):
    """Give a name this schedule, which begins now. Answered with the id of the incarnation in force.

    The very same definition again changes nothing; any other replaces what the name had: what was due and
    not served is passed over, jobs that were fired go on. A paused name stays paused.

    `ConflictingIdError` if the id belongs to another definition; `CronError`, `ScheduleError`,
    `TimezoneError` or `InputError` for a definition that makes no sense.
    """

    name: str
    schedule_id: str
    """New with every call, sortable by time: ids of firings begin with it."""
    spec: ScheduleSpec
    target: JobTemplate
    policies: Policies = Policies()


class ApplySchedules(Message, frozen=True, tag="schedule.apply_schedules"):
    """Put many schedules, all or none of them. Answered with a tuple of `ScheduleChange`s, by their names.

    With `group`, they are all that this group has from now on: what it had before and has no more is removed.
    With `dry_run` nothing happens: the answer says what would. Raises what `PutSchedule` does, and `InputError`
    for a name that comes twice or belongs to another group.
    """

    schedules: tuple[PutSchedule, ...]
    group: str = ""
    dry_run: bool = False


class ScheduleChange(Data, frozen=True):
    """What became of a name: `created`, `changed`, `unchanged` or `removed`."""

    name: str
    change: str


class BackfillSchedule(Message, frozen=True, tag="schedule.backfill_schedule"):
    """Enqueue the schedule's job for each of its past instants from one to another, both included.

    Instants for which this incarnation has a job on record are left out: one fires at most once. Answered
    with a tuple of `Backfilled`, oldest first; with `dry_run` nothing happens. `InputError` for more than
    `MAX_BACKFILL` instants, or a range that is not past; `UnknownIdError`; `ForgottenIdError` for
    instants that may have fired before what the log still knows.
    """

    name: str
    from_us: int
    to_us: int
    dry_run: bool = False


class Backfilled(Data, frozen=True):
    """A past instant, and the job that stands for it now."""

    scheduled_us: int
    rule: str
    job_id: str


class RemoveSchedule(Message, frozen=True, tag="schedule.remove_schedule"):
    """Forget a schedule; jobs that it fired go on. Answered with whether there was one."""

    name: str


class PauseSchedule(Message, frozen=True, tag="schedule.pause_schedule"):
    """Fire nothing until resumed; firings that wait are dropped, each on record. `UnknownIdError`.

    Answered with whether that changed anything.
    """

    name: str


class ResumeSchedule(Message, frozen=True, tag="schedule.resume_schedule"):
    """Fire again, from now on: time spent paused is not caught up. `UnknownIdError`.

    Answered with whether that changed anything.
    """

    name: str


class TriggerSchedule(Message, frozen=True, tag="schedule.trigger_schedule"):
    """Enqueue the schedule's job now, also if it is paused or its job runs. Answered with the job's id.

    The schedule's own instants are not touched, but the job counts as one that runs. Repeating it is safe.
    `UnknownIdError`; `ConflictingIdError` if the id is on record for something else.
    """

    name: str
    trigger_id: str
    """New with every trigger: the id of the job."""


class GetSchedules(Message, frozen=True, tag="schedule.get_schedules"):
    """Answered with a tuple of `ScheduleView`s, in order of their names; all of them if `names` is empty."""

    names: tuple[str, ...] = ()


class ScheduleView(Data, frozen=True):
    """A schedule as it is now."""

    name: str
    schedule_id: str
    kind: str
    """`cron` or `recurring`."""
    spec: ScheduleSpec
    target: JobTemplate
    policies: Policies
    paused: bool
    completed: bool
    """Whether there is nothing more to fire."""
    next_us: int | None
    """The next instant that is not due yet; None if it is paused, or there is none."""
    last_us: int | None
    """The scheduled instant of the last firing; triggers do not count."""
    runs: int
    """How often it has fired."""
    open: int
    """Its jobs that have not ended."""
    waiting: int
    """Its instants that wait for a job to end."""
    error: str
    """Why its next instant cannot be told, or empty: a zone that this tz database does not have any more."""
    last_fired_us: int | None = None
    """When it last fired, as opposed to the instant for which it did."""
    late_us: int = 0
    """How late the last firing was, after its time and its jitter."""
    late_most_us: int = 0
    late_sum_us: int = 0
    """Of all its firings; by `runs` that is the mean."""


# -- events ------------------------------------------------------------------------------------------


class ScheduleEvent(Event, frozen=True):
    """A fact about one schedule. `tzdata` is the release of the tz database by which an instant was found."""

    name: str

    @property
    def entity(self) -> str:
        """The schedule."""
        return f"schedule:{self.name}"


class SchedulePut(ScheduleEvent, frozen=True, tag="schedule.put"):
    """The name means this from now on; instants up to `at_us` are none of its own."""

    schedule_id: str
    spec: ScheduleSpec
    target: JobTemplate
    policies: Policies
    at_us: int
    tzdata: str = ""
    next_us: int = 0
    """The first instant that it then was to fire, by that release; 0 if there was none."""


class ScheduleRemoved(ScheduleEvent, frozen=True, tag="schedule.removed"):
    """The name means nothing any more."""

    final: ClassVar[bool] = True

    at_us: int


class SchedulePaused(ScheduleEvent, frozen=True, tag="schedule.paused"):
    """Nothing fires; what waited for a job to end will not fire either."""

    at_us: int


class ScheduleResumed(ScheduleEvent, frozen=True, tag="schedule.resumed"):
    """Instants after `cursor_us` fire again."""

    cursor_us: int
    at_us: int
    tzdata: str = ""
    next_us: int = 0


class ScheduleFired(ScheduleEvent, frozen=True, tag="schedule.fired"):
    """An instant was served: the job `job_id` is to run, and the run of that id if its target is a workflow."""

    scheduled_us: int
    fired_us: int
    job_id: str
    rule: str
    """The rule by which a gap or a fold touched the instant; empty if none did."""
    tzdata: str
    missed: int = 0
    """Instants before it that were due, did not fire, and are passed over with it."""
    replaces: tuple[str, ...] = ()
    """Jobs that are cancelled because this one starts."""
    policy: str = ""
    """What made it fire now if it was not its time alone: `catch_up.latest`, `catch_up.all`, `overlap.queue`,
    `overlap.queue_all`, `overlap.cancel_previous`."""
    next_us: int = 0


class ScheduleDeferred(ScheduleEvent, frozen=True, tag="schedule.deferred"):
    """An instant waits until a job of the schedule has ended."""

    scheduled_us: int
    at_us: int
    rule: str
    tzdata: str
    missed: int = 0
    policy: str = ""
    """`overlap.queue` or `overlap.queue_all`."""
    next_us: int = 0


class ScheduleSkipped(ScheduleEvent, frozen=True, tag="schedule.skipped"):
    """The last `count` instants up to `upto_us` are passed over.

    `reason` is `missed` (too late, see `Policies`), `overlap` (the last of them; what was due before it
    had been missed), `gap` (wall times that the clocks skipped), `excluded`, or `dropped`: it had waited for a job
    to end, and an order keeps it from firing.
    """

    upto_us: int
    count: int
    reason: str
    at_us: int
    tzdata: str
    policy: str = ""
    """The rule that says so: `catch_up.none`, `catch_up.window`, `overlap.skip`, `gap.skip`, `exclude` …, or the
    order that came before it was served: `pause`, `replace`, `remove`."""
    next_us: int = 0


class ScheduleTriggered(ScheduleEvent, frozen=True, tag="schedule.triggered"):
    """Somebody had the schedule's job enqueued out of turn."""

    job_id: str
    at_us: int


class ScheduleBackfilled(ScheduleEvent, frozen=True, tag="schedule.backfilled"):
    """Somebody had past instants made up: each has the job of its own time. The cursor stays where it is."""

    instants: tuple[tuple[int, str], ...]
    """Each with the rule by which a gap or a fold touched it, oldest first."""
    at_us: int
    tzdata: str


class ScheduleGroupApplied(Event, frozen=True, tag="schedule.group_applied"):
    """A group of schedules, such as those of a file, has these names from now on."""

    group: str
    names: tuple[str, ...]
    at_us: int

    @property
    def entity(self) -> str:
        """The group."""
        return f"schedules:{self.group}"


class Moved(Data, frozen=True):
    """A schedule whose next instant is another one than it was; None: it cannot be told, or there is none."""

    name: str
    before_us: int
    now_us: int | None


class ZoneRulesChanged(Event, frozen=True, tag="schedule.zone_rules_changed"):
    """From here on instants are found by another release of the tz database, and these have moved by that."""

    before: str
    after: str
    moved: tuple[Moved, ...]
    at_us: int

    @property
    def entity(self) -> str:
        """All schedules."""
        return "schedules"


class ScheduleClosed(ScheduleEvent, frozen=True, tag="schedule.closed"):
    """A job that the schedule had enqueued has ended, or the run that it had planned, with this status."""

    job_id: str
    """The run has the same id."""
    status: str
    ended_us: int
    refusal: str = ""
    """Why the job was not taken, or its run could not begin; empty if they were."""


class ScheduleCompleted(ScheduleEvent, frozen=True, tag="schedule.completed"):
    """The schedule has no more instants."""

    final: ClassVar[bool] = True

    at_us: int


SCHEDULE_EVENTS: tuple[type[Event], ...] = (
    SchedulePut,
    ScheduleRemoved,
    SchedulePaused,
    ScheduleResumed,
    ScheduleFired,
    ScheduleDeferred,
    ScheduleSkipped,
    ScheduleTriggered,
    ScheduleClosed,
    ScheduleCompleted,
    ScheduleBackfilled,
    ScheduleGroupApplied,
    ZoneRulesChanged,
)
