"""A world with one engine in it: everything that happens, happens in the order that a seed draws."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, ClassVar

from pykka import ActorRegistry

from actors.assembly import ACTORS
from actors.clock.actor import ClockActor
from actors.folding import event_codec
from actors.queue.messages import ResumeQueue
from actors.queue.specs import FINAL, SHARE
from actors.runtime.clock import VirtualClock
from actors.runtime.effects import GIVE_UP, SNOOZE
from actors.runtime.fold import fold
from actors.runtime.journal import Failure
from actors.runtime.messages import Letter, Nudge, TakeSnapshot
from actors.schedule.messages import RemoveSchedule
from actors.simulation.callers import Caller
from actors.simulation.checks import History, Violation, violated
from actors.simulation.leftovers import counts_of, leftovers_of
from actors.simulation.parts import Envelope, SimActor, SimExecutor, SimRuntime, simulated
from actors.simulation.shapes import note_of
from actors.simulation.talk import QUEUES, SCHEDULES
from actors.workflow.messages import ResumeRun
from eventstore.errors import StoreError
from eventstore.faulty_log import Fault, FaultyLog
from eventstore.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actors.queue.specs import JobSpec
    from actors.queue.state import QueueState
    from actors.runtime.actor import EventSourcedActor
    from actors.runtime.effects import AttemptKey
    from actors.runtime.journal import Item
    from actors.runtime.messages import Message
    from actors.runtime.reply import Reply

CAPACITY = 3
CALLERS = 4
PEACE: tuple[tuple[str, Message], ...] = (
    *(("queue", ResumeQueue(queue=queue)) for queue in QUEUES),
    *(("scheduler", RemoveSchedule(name=name)) for name in SCHEDULES),
)
"""What is ordered at the end, so that everything can come to rest."""
HEAL_STEPS = 40_000
"""Steps in which a healed world must come to rest."""
HEAL_ROUNDS = 400
"""How often time is moved to the next thing that is due, while a world heals."""


class World:
    """One engine, its log, its disk, its callers, and whatever befalls them.

    `World(seed).run()` raises `Violation` if an invariant breaks; the seed repeats it to the byte. The types
    of the parts may be replaced by broken ones, to see that the simulation finds out.
    """

    runtime_type: ClassVar[type[SimRuntime]] = SimRuntime
    executor_type: ClassVar[type[SimExecutor]] = SimExecutor
    actor_types: ClassVar[Sequence[type[EventSourcedActor]]] = ACTORS
    mixins: ClassVar[tuple[type[SimActor], ...]] = (SimActor,)
    of_workflows: ClassVar[bool] = False
    """Whether runs, with steps of every kind, are what most is said of; else it is jobs."""
    of_lists: ClassVar[bool] = False
    """Whether most of those have a run for each item of a list."""
    longest_list: ClassVar[int] = 4
    of_schedules: ClassVar[bool] = False
    """Whether schedules are what most is said of."""
    rescheduling: ClassVar[float] = 6
    """How often that is, beside six other things."""
    of_runs: ClassVar[bool] = False
    """Whether all that schedules fire are runs of workflows."""
    spans_us: ClassVar[tuple[int, ...]] = (1_000, 100_000, 3_000_000, 60_000_000)
    """How much time passes at once."""
    passing: ClassVar[float] = 1
    """How often time passes: an actor that has something to do takes 16 steps meanwhile."""
    calling: ClassVar[float] = 4
    """How often a caller says something, or takes an answer, in the same measure."""
    jumping: ClassVar[float] = 0.02
    """How often the clock is set when time passes."""
    jumps_us: ClassVar[tuple[int, ...]] = (-3_600_000_000, 7_200_000_000)

    def __init__(self, seed: int, *, steps: int = 300) -> None:
        self.seed = seed
        self.steps = steps
        self.random = Random(seed)  # noqa: S311 -- a seed is the point
        self.clock = VirtualClock()
        self.medium = MemoryLog()
        self.codec = event_codec()
        self.executed: set[tuple[str, int]] = set()
        self.jobs: list[JobSpec] = []
        """Every job that a caller has thought of; callers know of each other's."""
        self.runs: list[str] = []
        self.sessions: list[str] = []
        self.acked_jobs: list[str] = []
        self.acked_runs: list[str] = []
        self.counts: dict[str, int] = {}
        """How often what happened: a simulation in which nothing happens proves nothing."""
        self._history = History(CAPACITY)
        self._actors: list[SimActor] = []
        self._batch: list[Item] | None = None
        self._releasing: Iterator[str] | None = None
        self._faults_left = self.random.randint(steps // 4, steps)
        self._slow_executor = self.random.random() < 0.5  # noqa: PLR2004 -- half of the worlds
        self._dies = self.random.random() < 0.6  # noqa: PLR2004 -- a restart heals what a rebuild has spoilt
        self._journal_speed = self.random.choice((10, 10, 0.7))
        self._fault_rate = self.random.choice((0.0, 0.05, 0.2, 0.4))
        self._drain = self.random.choice((1, 3, 256))
        self._actor_speed = 16
        self._faulty = True
        self._actors_attend = seed % 2 == 1
        self._types = [simulated(actor, self.mixins) for actor in self.actor_types]
        self.log = FaultyLog(self.medium, self._plan, reopening_fails=self._reopening_fails)
        self._boot()
        self.callers = [Caller(self, number) for number in range(CALLERS)]

    # -- running -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Let everything happen, heal the world, and check what is left."""
        try:
            for step in range(self.steps):
                self._faulty = step < self._faults_left
                self._step()
            self._heal()
            self._check_end()
        except Violation as violation:
            violation.add_note(f"seed={self.seed} steps={self.steps}")
            raise
        finally:
            self._retire_actors()

    def _step(self) -> None:
        self._draw(self._actions())()
        if self.runtime.journal.watermark > self.medium.synced:
            raise violated("subscriber saw what is not durable", self.runtime.journal.watermark)

    def _draw(self, actions: Sequence[tuple[float, Callable[[], object]]]) -> Callable[[], object]:
        """Return an action, drawn by weight: what `choices` would, in half of the time."""
        place = self.random.random() * sum([weight for weight, _ in actions])
        for weight, action in actions:
            place -= weight
            if place < 0:
                return action
        return actions[-1][1]

    def _actions(self) -> list[tuple[float, Callable[[], object]]]:
        actions: list[tuple[float, Callable[[], object]]] = [
            (self.calling, self._caller),
            (self.passing, self._pass_time),
        ]
        if any(actor.runnable for actor in self._actors):
            actions.append((self._actor_speed, self._actor))
        if self._journal_has_work():
            actions.append((self._journal_speed, self.journal_step))
        if self.executor.ending:
            actions.append((0.5 if self._slow_executor else 6, self._finish))
            actions.append((0.3, self._beat))
            actions.append((0.1, self._break))
        if self.executor.finished:
            actions.append((0.5, self._report_again))
        if self._faulty:
            actions.append((0.5, self._snapshot))
        if self._faulty and self._dies:
            actions += [(0.2, self._kill), (0.15, self._power_failure)]
        return actions

    def count(self, what: str) -> None:
        """Note that something happened."""
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- the engine's parts --------------------------------------------------------------------------------------

    def _boot(self) -> None:
        """Start a new process on the log; if the disk fails meanwhile, start again."""
        self.count("boot")
        while True:
            self._retire_actors()
            self._batch = self._releasing = None
            self.runtime = self.runtime_type(
                self.log,
                self.codec,
                self.clock,
                self._types,
                executor=lambda runtime: self.executor_type(runtime, CAPACITY, self._on_start),
                hold_s=0.0,
            )
            self._actors = self.runtime.actors
            self.executor: SimExecutor = self.runtime.executor  # type: ignore[assignment]
            self.runtime.actors_attend = self._actors_attend
            self.runtime.served = None
            self.runtime.scheduling = True
            try:
                self.log.reopen()
                self.runtime.begin()
            except StoreError:
                self.count("boot failed")
                continue
            return

    def _retire_actors(self) -> None:
        for actor in self._actors:
            ActorRegistry.unregister(actor.actor_ref)

    def _actor(self) -> None:
        runnable = [actor for actor in self._actors if actor.runnable]
        alive = [actor for actor in runnable if not actor.is_dropped]
        if alive and self.random.random() < 0.6:  # noqa: PLR2004 -- a dropped actor's thread may be slow to notice
            runnable = alive
        self.random.choice(runnable).step(self._drain)
        if len(self._actors) > 2 * len(self._types):  # the oldest zombies have gone on for long enough
            self._actors[:] = [actor for actor in self._actors if actor.runnable or actor in self._alive()]

    def _alive(self) -> list[SimActor]:
        return self._actors[-len(self._types) :]

    def _journal_has_work(self) -> bool:
        journal = self.runtime.journal
        return bool(self.runtime.recovering or self._batch or self._releasing or journal.waiting)

    def journal_step(self) -> None:
        """Take one step of what `Journal.run` does on its thread."""
        journal, runtime = self.runtime.journal, self.runtime
        if runtime.recovering is not None:
            if next(runtime.recovering, None) is None:
                runtime.recovering = None
                self.count("rebuild")
        elif self._releasing is not None:
            if next(self._releasing, None) is None:
                self._releasing = None
        elif self._batch is not None:
            batch, self._batch = self._batch, None
            try:
                journal.commit(batch)
            except StoreError as error:
                self.count("commit failed")
                journal.fail(batch, error)
            else:
                self._releasing = journal.release(batch)
        else:
            journal.committing.acquire()
            self._batch = journal.collect() or None
            ending = journal.ending() if self._batch is None else None
            if isinstance(ending, Failure):
                raise violated("an actor could not go on", repr(ending.error)) from ending.error
        if self._batch is None and self._releasing is None and runtime.recovering is None:
            journal.committing.release()

    def _on_start(self, key: AttemptKey) -> None:
        history = self.durable().jobs.get(key.job_id)
        if history is None or history.attempt < key.attempt:
            raise violated("code started, start not durable", key)
        if (key.job_id, key.attempt) in self.executed:
            raise violated("same attempt executed twice", key)
        self.executed.add((key.job_id, key.attempt))
        given_up = history.abandoned or "CANCELLED" in history.statuses
        if not given_up and any(running.job_id == key.job_id for running in self.executor.running):
            raise violated("two attempts of one job run at once", key)
        self.count("start")

        life = history.spec.life
        if life is not None and (life.timeout_us or life.heartbeat_us) and self.random.random() < 0.3:  # noqa: PLR2004 -- a third
            self.executor.hanging.add(key)
            self.count("hang")

    def _finish(self) -> None:
        key = self.random.choice(self.executor.ending)
        outcomes = ("ok", "error", "returned", SNOOZE, GIVE_UP)
        outcome = self.random.choices(outcomes, (7, 3, 0.3, 0.2, 0.2))[0]
        spec = self.durable().jobs[key.job_id].spec
        note = note_of(spec, self.random, self.runs, self.longest_list) if outcome == "ok" else b""
        if spec.owner.startswith("schedule:") and note:
            self.runs.append(key.job_id)
        self.end(key, outcome, note=note)
        self.count(outcome)

    def end(self, key: AttemptKey, outcome: str, *, note: bytes = b"", run_us: int = 10) -> None:
        """Have an attempt end, and know of its job that it may be given up if the exception says so."""
        if outcome == GIVE_UP:
            self.durable().jobs[key.job_id].resigned.add(key.attempt)
        self.executor.finish(key, outcome=outcome, now_us=self.clock.now_us(), note=note, run_us=run_us)

    def _break(self) -> None:
        """Let a pool of workers break: one attempt has failed, the others come back as if never begun."""
        outcome = "error"
        for key in list(self.executor.ending):
            self.end(key, outcome)
            if outcome == "returned":
                self.durable().jobs[key.job_id].innocent.add(key.attempt)
            outcome = "returned"
        self.count("pool broken")

    def _beat(self) -> None:
        self.runtime.signals.beat(self.random.choice(self.executor.ending), self.clock.now_us())

    def _report_again(self) -> None:
        self.executor.report(self.random.choice(list(self.executor.finished.values())))
        self.count("reported again")

    def _snapshot(self) -> None:
        name = self.random.choice([actor.rules.name for actor in self.actor_types])
        self.runtime.directory.post(name, Letter(TakeSnapshot()))

    # -- the world around ------------------------------------------------------------------------------------------

    def _caller(self) -> None:
        self.random.choice(self.callers).step()

    def _pass_time(self) -> None:
        self.clock.advance(self.random.choice(self.spans_us))
        if self.random.random() < self.jumping:
            self.clock.jump(self.random.choice(self.jumps_us))
            self.count("clock jump")
        self._ring()

    def _ring(self) -> None:
        """Do what the clock's timed mailbox does when its deadline passes."""
        if not self.runtime.accepting:
            return  # its deadline is set by its first turn, and that comes after it was published
        for actor in self._alive():
            if isinstance(actor, ClockActor) and isinstance(actor, SimActor) and actor.mailbox.empty():
                actor.mailbox.put(Envelope(Letter(Nudge())))

    def _plan(self) -> Fault:
        if not self._faulty or self.random.random() >= self._fault_rate:
            return Fault.OK
        return self.random.choice((Fault.BEFORE, Fault.AFTER, Fault.CACHED, Fault.SURVIVED))

    def _reopening_fails(self) -> bool:
        return self._faulty and self.random.random() < self._fault_rate / 2

    def _kill(self) -> None:
        self.count("kill")
        self.medium.kill()
        self._reboot()

    def _power_failure(self) -> None:
        self.count("power failure")
        self.medium.power_failure()
        self._reboot()

    def _reboot(self) -> None:
        for caller in self.callers:
            caller.lose_connection()
        self._boot()
        self._check_acked()
        self._check_counts()

    # -- judging ---------------------------------------------------------------------------------------------------

    def durable(self) -> History:
        """Return what the medium holds by now, checked as far as it had not been."""
        history = self._history
        for frame in self.medium.frames(after=history.length, upto=self.medium.synced):
            history.take_all(self.codec.decode_frame(frame))
        return history

    def _check_acked(self) -> None:
        durable = self.durable()
        for job_id in self.acked_jobs:
            if job_id not in durable.jobs:
                raise violated("acked but not durable", job_id)
        for run_id in self.acked_runs:
            if run_id not in durable.runs:
                raise violated("acked but not durable", run_id)

    def _check_counts(self) -> None:
        """Check that no job is counted twice, or not at all (I12)."""
        counted = counts_of(self._queue_state)
        there = Counter((job.spec.queue, job.status) for job in self.durable().jobs.values())
        if counted != there:
            raise violated("jobs are counted otherwise than they are there", (counted, dict(there)))

    @property
    def _queue_state(self) -> QueueState:
        state: QueueState = next(actor.state for actor in self._alive() if actor.rules.name == "queue")
        return state

    def _heal(self) -> None:
        """Let no more faults happen and everything come to rest; whatever does not, never will."""
        self._faulty = False
        orders: list[Reply] = []
        for _ in range(HEAL_ROUNDS):
            self._settle()
            if not self._usable():
                continue
            if not orders or not all(reply.done for reply in orders):
                resume = (("supervisor", ResumeRun(run_id=run_id)) for run_id in self.runs)
                orders = [self.runtime.send(actor, message) for actor, message in (*PEACE, *resume)]
                continue
            wakes = [wake for actor in self._alive() if (wake := getattr(actor, "wake_us", None)) is not None]
            if not wakes:
                return
            self.clock.advance(max(0, min(wakes) - self.clock.now_us()) + 1)
            self._ring()

    def _usable(self) -> bool:
        return self.runtime.recovering is None and bool(self.runtime.accepting)

    def _settle(self) -> None:
        for _ in range(HEAL_STEPS):
            actions: list[Callable[[], object]] = []
            if any(actor.runnable for actor in self._actors):
                actions.append(self._actor)
            if self._journal_has_work():
                actions.append(self.journal_step)
            if self.executor.ending:
                actions.append(self._finish)
            actions += [caller.step for caller in self.callers if caller.waiting and self._can_go_on(caller)]
            if not actions:
                return
            self.random.choice(actions)()
        raise violated("the world does not come to rest")

    @staticmethod
    def _can_go_on(caller: Caller) -> bool:
        return caller.reply is None or caller.reply.done

    def _check_end(self) -> None:
        self._check_states()
        self._check_counts()
        durable = self.durable()
        self._check_acked()
        for caller in self.callers:
            if caller.waiting:
                raise violated("caller never answered (hang)", caller.last_message)
        for job_id, job in durable.jobs.items():
            if job.status not in FINAL:
                raise violated("job never ends (liveness)", f"{job_id} is {job.status}")
        for run_id, ended in durable.runs.items():
            if ended == "open":
                raise violated("run never ends (liveness)", run_id)
        if left := leftovers_of(self._queue_state):
            raise violated("something is kept of jobs that have ended", left)
        self._check_shares()
        for actor in self._alive():
            if actor.rules.name == "scheduler" and actor.state.firings:
                raise violated("a schedule waits for ever (liveness)", list(actor.state.firings))

    def _check_shares(self) -> None:
        """Check that the queue has what the calls of open sessions share, and nothing of closed ones."""
        sessions = next(actor.state.sessions for actor in self._alive() if actor.rules.name == "supervisor")
        shared = {f"{SHARE}{view.session_id}" for view in sessions.limited()}
        kept = {name for name in self._queue_state.resources.capacity if name.startswith(SHARE)}
        opened = {
            f"{SHARE}{name}" for name, view in sessions.views.items() if view.tasks and not view.closed_us
        }
        if not kept == shared == opened:
            raise violated("something is kept of sessions that are over (liveness)", kept ^ opened)

    def _check_states(self) -> None:
        rules = [actor.rules for actor in self._alive()]
        folded = fold(self.medium, self.codec, rules, upto=self.medium.synced)
        from_snapshot = fold(self.medium, self.codec, rules, upto=self.medium.synced, snapshots=True)
        for actor in self._alive():
            name = actor.rules.name
            dumped = folded[name].dump()
            if actor.state.dump() != dumped:
                raise violated("fold(log) != live state when idle", name)
            if from_snapshot[name].dump() != dumped:
                raise violated("snapshot+tail != fold(log)", name)

    @property
    def fingerprint(self) -> bytes:
        """The link of the last frame: equal for equal logs, to the byte."""
        return self.medium.head.link


class WorkflowWorld(World):
    """A world in which most is said of runs, whose steps are of every kind."""

    of_workflows = True


class ListWorld(WorkflowWorld):
    """A world in which many runs are under way that are items of others, which are cancelled, paused and stopped."""

    of_lists = True
    longest_list = 12
    calling = 1

    def __init__(self, seed: int, *, steps: int = 300) -> None:
        super().__init__(seed, steps=steps)
        self._slow_executor = False


HOUR_US = 3_600_000_000


class ScheduleWorld(World):
    """A world of schedules: its clock is set again and again, and half of its engines are slow."""

    of_schedules = True
    passing = 5
    jumping = 0.15
    jumps_us = (-HOUR_US, -24 * HOUR_US, 2 * HOUR_US, 300 * HOUR_US, 10 * 365 * 24 * HOUR_US)

    def __init__(self, seed: int, *, steps: int = 300) -> None:
        super().__init__(seed, steps=steps)
        self._actor_speed = self.random.choice((1, 16))

    def _heal(self) -> None:
        """See that what became due has been told of, before all schedules are removed."""
        self._faulty = False
        for _ in range(HEAL_ROUNDS):
            self._settle()
            if self._usable():
                break
        self.clock.advance(HOUR_US)
        self._ring()
        self._settle()
        for name in self.durable().accounts.silent(self.clock.now_us()):
            raise violated("instants have passed, and nothing is told of them", name)
        super()._heal()


class ScheduledRunWorld(ScheduleWorld):
    """A world whose schedules are left alone most of the time, and fire runs that are still there the next time."""

    of_runs = True
    spans_us = (1_000, 3_000_000, 60_000_000, 60_000_000)
    jumping = 0.02
