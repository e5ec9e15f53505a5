"""What callers of the simulated engine say: commands drawn at random, about what callers have spoken of before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from actors.queue.messages import (
    AddResource,
    CancelJob,
    ConfigureQueue,
    DiscardJob,
    DrainQueue,
    EnqueueJobs,
    GetJob,
    LeaseJob,
    MoveJobs,
    PauseQueue,
    ResumeQueue,
    RetryJob,
    RetryJobs,
    SettleLease,
)
from actors.queue.specs import (
    SHARE,
    Conflict,
    JobLife,
    JobSpec,
    QueueSettings,
    Rate,
    RetryPolicy,
    Scope,
    Terms,
    Unique,
)
from actors.schedule.messages import (
    OVERLAPS,
    BackfillSchedule,
    JobTemplate,
    PauseSchedule,
    Policies,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    TriggerSchedule,
)
from actors.schedule.spec import IntervalSpec
from actors.simulation.shapes import CHILDREN, SHAPES, SIGNAL, UNUSUAL, listed_plan, random_plan, unusual_plan
from actors.workflow.messages import (
    AdoptRun,
    CancelRun,
    CloseSession,
    CreateSession,
    PauseRun,
    ResumeRun,
    SignalRun,
    StartRun,
)
from actors.workflow.specs import Kept

if TYPE_CHECKING:
    from actors.runtime.messages import Message
    from actors.simulation.world import World

QUEUES = ("a", "b")
SCHEDULES = ("x", "y")
TARGETS = (
    JobTemplate("m:short", b"\x92\x90\x80", retry=RetryPolicy(0)),
    JobTemplate("workflow:w", b"\x92\x91\xa0\x80", retry=RetryPolicy(0), workflow="w"),
)
TERMS = (
    *(None,) * 6,
    Terms(key="k"),
    Terms(key="k", resources=(("gpu", 1.0),)),
    Terms(group="g", resources=(("gpu", 2.0),)),
    Terms(group="h"),
    Terms(batch=3),
    Terms(batch=2, key="k", resources=(("gpu", 1.0),)),
    Terms(unique=Unique("u")),
    Terms(unique=Unique("u", Scope.PENDING, Conflict.REPLACE)),
)
SETTINGS = (
    QueueSettings(),
    QueueSettings(concurrency=1, retry=RetryPolicy(1)),
    QueueSettings(key_concurrency=1, function_concurrency=(("m:long", 1),), retry=RetryPolicy(5, 0)),
    QueueSettings(rate=Rate(2, 3_000_000), key_rate=Rate(1, 1_000_000, 2), weights=(("g", 2),)),
)


class Talk:
    """Draws what one caller says."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._random = world.random
        self._number = number
        self._made = 0
        self._jobs = world.jobs
        self._runs = world.runs
        self._sessions = world.sessions
        self.lease: Any = None
        """What the caller holds and has not settled."""

    def anything(self) -> tuple[str, Message]:
        """Draw a command, and to whom it goes."""
        if self._world.of_schedules:
            choices: list[tuple[float, Any]] = self._of_schedules
        elif self._world.of_lists:
            choices = self._of_lists
        else:
            choices = self._of_workflows if self._world.of_workflows else self._of_jobs
        make = self._random.choices([make for _, make in choices], [weight for weight, _ in choices])[0]
        said: tuple[str, Message] = make()
        return said

    @property
    def _of_jobs(self) -> list[tuple[float, Any]]:
        return [
            (6, self._enqueue),
            (3, self._start_run),
            (5, self._query),
            (4, self._cancel_job),
            (1, self._cancel_run),
            (1, self._retry),
            (4, self._enqueue_again),
            (1, self._pause_or_resume),
            (2, self._lease_or_settle),
            (1, self._schedule),
            (1, self._adopt),
            (1, self._configure),
            (2, self._order),
        ]

    @property
    def _of_workflows(self) -> list[tuple[float, Any]]:
        return [
            (6, self._start_run),
            (1, self._enqueue),
            (1, self._query),
            (3, self._cancel_run),
            (2, self._pause_run),
            (5, self._signal),
            (1, self._adopt),
            (5, self._fork),
            (2, self._session),
            (2, self._task),
        ]

    @property
    def _of_lists(self) -> list[tuple[float, Any]]:
        return [(2, self._start_run), (3, self._cancel_listed), (1, self._pause_run)]

    @property
    def _of_schedules(self) -> list[tuple[float, Any]]:
        return [
            (self._world.rescheduling, self._schedule),
            (1, self._enqueue),
            (1, self._query),
            (1, self._cancel_job),
            (1, self._cancel_run),
            (1, self._pause_run),
            (1, self._pause_or_resume),
        ]

    def _new_id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}{self._number}-{self._made}"

    def _enqueue(self) -> tuple[str, Message]:
        specs: list[JobSpec] = []
        for _ in range(self._random.randint(1, 3)):
            after, terms = self._needs(specs)
            specs.append(
                JobSpec(
                    self._new_id("j"),
                    self._random.choice(QUEUES),
                    "job",
                    self._random.choice(("m:short", "m:long")),
                    b"\x92\x90\x80",
                    priority=self._random.choice((0, 0, 5)),
                    retry=RetryPolicy(self._random.choice((0, 1, 3)), self._random.choice((0, 1_000_000))),
                    due_us=self._random.choice((0, 0, 0, self._world.clock.now_us() + 5_000_000)),
                    after=after,
                    terms=terms,
                    life=self._life(),
                )
            )
            of_jobs = not (self._world.of_workflows or self._world.of_schedules)
            if of_jobs and specs[-1].terms is not None and specs[-1].terms.batch:  # it needs company
                specs.append(replace(specs[-1], job_id=self._new_id("j")))
        fresh = self._random.random() < 0.5  # noqa: PLR2004 -- half of the ids are shared from the beginning
        if not fresh:
            self._jobs += specs
        return "queue", EnqueueJobs(jobs=tuple(specs), fresh=fresh)

    def _needs(self, before: list[JobSpec]) -> tuple[tuple[str, ...], Terms | None]:
        """Draw which of the jobs before it a job waits for, one of them perhaps to fail, and its terms."""
        terms: Terms | None = self._random.choice(TERMS)
        if not before or self._random.random() < 0.7:  # noqa: PLR2004 -- most are on their own
            return (), terms
        others = self._random.sample(before, self._random.randint(1, len(before)))
        if self._random.random() < 0.4:  # noqa: PLR2004 -- some
            terms = replace(terms or Terms(), on_failure_of=others.pop().job_id)
        return tuple(other.job_id for other in others), terms

    def _life(self) -> JobLife | None:
        if self._random.random() < 0.7:  # noqa: PLR2004 -- most jobs have all the time in the world
            return None
        return JobLife(
            timeout_us=self._random.choice((0, 2_000_000, 30_000_000)),
            expires_in_us=self._random.choice((0, 0, 4_000_000, 100_000_000)),
            heartbeat_us=self._random.choice((0, 0, 5_000_000)),
        )

    def _enqueue_again(self) -> tuple[str, Message]:
        if not self._jobs:
            return self._enqueue()
        return "queue", EnqueueJobs(jobs=(self._random.choice(self._jobs[-5:]),))

    def _start_run(self) -> tuple[str, Message]:
        unusual = self._world.of_workflows and self._random.random() < 0.9  # noqa: PLR2004 -- nearly all
        draw = random_plan if not unusual else listed_plan if self._world.of_lists else unusual_plan
        plan = draw(self._random)
        run_id = self._new_id("r")
        self._runs.append(run_id)
        return "supervisor", StartRun(
            run_id=run_id,
            plan=plan,
            plan_id=f"p-{plan}",
            params=b"\x80",
            blocking=True,
            session_id=self._some_session() if self._world.of_workflows else "",
            children=CHILDREN if unusual else (),
        )

    def _fork(self) -> tuple[str, Message]:
        """Run a run again that has ended, with the outputs of some steps kept."""
        durable = self._world.durable()
        ended = [run_id for run_id in self._runs if durable.runs.get(run_id, "open") != "open"]
        if not ended:
            return self._start_run()
        promising = [run_id for run_id in ended if durable.keepable(run_id)]
        origin = self._random.choice((promising or ended)[-5:])
        plan, run_id = (
            durable.plan_of[origin],
            f"{self._number:012x}{self._made:012x}",
        )  # as if nobody had chosen it
        self._made += 1
        self._runs.append(run_id)
        kept = [Kept(step, f"{origin}.{step}") for step in durable.keepable(origin)]
        return "supervisor", StartRun(
            run_id=run_id,
            plan=plan,
            plan_id=f"p-{plan}",
            params=b"\x80",
            blocking=False,
            children=CHILDREN if plan.workflow == UNUSUAL else (),
            origin=origin,
            kept=tuple(kept[: self._random.randint(1, len(kept) or 1)]),
        )

    def _session(self) -> tuple[str, Message]:
        """Open a session, or close one."""
        if self._sessions and self._random.random() < 0.3:  # noqa: PLR2004 -- a third
            return "supervisor", CloseSession(session_id=self._random.choice(self._sessions[-3:]))
        session_id = self._new_id("s")
        self._sessions.append(session_id)
        return "supervisor", CreateSession(
            session_id=session_id,
            data=b"",
            places=self._random.choice((0, 1, 1, 2)),
            tasks=self._random.randint(0, 2),
            timeout_us=self._random.choice((0, 0, 30_000_000)),
        )

    def _task(self) -> tuple[str, Message]:
        """Enqueue a job that is of a session, and of no run."""
        session_id = self._some_session()
        if not session_id:
            return self._enqueue()
        spec = JobSpec(
            self._new_id("t"),
            self._random.choice(QUEUES),
            "task",
            "m:long",
            b"\x92\x90\x80",
            retry=RetryPolicy(1, 1_000_000),
            terms=Terms(resources=((f"{SHARE}{session_id}", 1.0),)),
        )
        return "queue", EnqueueJobs(jobs=(spec,), fresh=True)

    def _some_session(self) -> str:
        among = self._world.sessions[-3:]
        return self._random.choice(among) if among and self._random.random() < 0.7 else ""  # noqa: PLR2004 -- some

    def _some_run(self) -> str:
        return self._random.choice(self._runs[-5:]) if self._runs else "none"

    def _pause_run(self) -> tuple[str, Message]:
        command = PauseRun if self._random.random() < 0.5 else ResumeRun  # noqa: PLR2004 -- half of them
        return "supervisor", command(run_id=self._some_run())

    def _signal(self) -> tuple[str, Message]:
        return "supervisor", SignalRun(run_id=self._some_run(), step=SIGNAL, value=b"\x01")

    def _some_job(self) -> str:
        return self._random.choice(self._jobs[-5:]).job_id if self._jobs else "none"

    def _query(self) -> tuple[str, Message]:
        return "queue", GetJob(job_id=self._some_job())

    def _cancel_job(self) -> tuple[str, Message]:
        return "queue", CancelJob(job_id=self._some_job())

    def _cancel_run(self) -> tuple[str, Message]:
        return "supervisor", CancelRun(run_id=self._some_run())

    def _cancel_listed(self) -> tuple[str, Message]:
        """Cancel a run with items that are runs which have not ended, if there is one."""
        runs = self._world.durable().runs.items()
        among = [run_id.rpartition(".")[0] for run_id, status in runs if ":" in run_id and status == "open"]
        return ("supervisor", CancelRun(run_id=self._random.choice(among))) if among else self._query()

    def _adopt(self) -> tuple[str, Message]:
        return "supervisor", AdoptRun(workflow=f"w{self._random.randrange(len(SHAPES))}", params=b"\x80")

    def _retry(self) -> tuple[str, Message]:
        return "queue", RetryJob(job_id=self._some_job())

    def _pause_or_resume(self) -> tuple[str, Message]:
        command = self._random.choice((PauseQueue, DrainQueue, ResumeQueue, ResumeQueue, ResumeQueue))
        return "queue", command(queue=self._random.choice(QUEUES))

    def _order(self) -> tuple[str, Message]:
        some = tuple(spec.job_id for spec in self._jobs[-4:])
        return "queue", self._random.choice(
            (
                MoveJobs(job_ids=some, queue=self._random.choice(QUEUES)),
                MoveJobs(job_ids=some[:1], queue=self._random.choice(QUEUES), strict=True),
                RetryJobs(job_ids=some),
                DiscardJob(job_id=self._some_job()),
            )
        )

    def _configure(self) -> tuple[str, Message]:
        if self._random.random() < 0.3:  # noqa: PLR2004 -- now and then
            return "queue", AddResource(name="gpu", kind="x", capacity=2.0)
        return "queue", ConfigureQueue(
            queue=self._random.choice(QUEUES), settings=self._random.choice(SETTINGS)
        )

    def _lease_or_settle(self) -> tuple[str, Message]:
        if self.lease is not None and self._random.random() < 0.8:  # noqa: PLR2004 -- mostly settled
            key, self.lease = self.lease, None
            return "queue", SettleLease(key=key, outcome=self._random.choice(("ok", "error")), result=b"\x01")
        return "queue", LeaseJob(queue=self._random.choice(QUEUES), lease_us=10_000_000)

    def _schedule(self) -> tuple[str, Message]:
        name = self._random.choice(SCHEDULES)
        if self._random.random() < (0.2 if self._world.of_runs else 0.5):
            return "scheduler", self._order_schedule(name)
        return "scheduler", PutSchedule(
            name=name,
            schedule_id=self._new_id("s"),
            spec=IntervalSpec(interval_s=60 * self._random.randint(1, 3), timezone="UTC"),
            target=self._random.choice(TARGETS[-1:] if self._world.of_runs else TARGETS),
            policies=Policies(
                catch_up=self._random.choice(("none", "latest", "latest" if self._world.of_runs else "all")),
                overlap=self._random.choice(OVERLAPS),
                limit=self._random.choice((2, 100)),
                jitter_us=self._random.choice((0, 0, 90_000_000)),
            ),
        )

    def _order_schedule(self, name: str) -> Message:
        now_us = self._world.clock.now_us()
        orders: tuple[Message, ...] = (
            RemoveSchedule(name=name),
            PauseSchedule(name=name),
            ResumeSchedule(name=name),
            TriggerSchedule(name=name, trigger_id=self._new_id("t")),
            BackfillSchedule(name=name, from_us=now_us - 300_000_000, to_us=now_us),
        )
        return self._random.choice(orders)
