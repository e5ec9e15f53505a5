"""Bugs against the rules of the journal, each as a small change to one part: the simulation must find them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from msgspec.structs import replace

from actors.assembly import ACTORS
from actors.queue.actor import QueueActor
from actors.queue.decider import QueueRules
from actors.queue.events import AttemptInterrupted, JobStarted
from actors.queue.hall import Hall
from actors.queue.jobs import Job, Kind
from actors.queue.lines import Line
from actors.queue.messages import EndShare, EnqueueJobs, JobEnded
from actors.queue.specs import QueueSettings
from actors.queue.state import QueueState
from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
from actors.runtime.journal import Item, Journal
from actors.runtime.messages import Context, Decision, Letter, Message
from actors.schedule.actor import SchedulerActor
from actors.schedule.decider import SchedulerRules
from actors.schedule.messages import ScheduleClosed, ScheduleFired, ScheduleSkipped
from actors.schedule.state import SchedulerState
from actors.simulation.parts import SimActor, SimExecutor, SimRuntime
from actors.simulation.world import ListWorld, ScheduledRunWorld, ScheduleWorld, WorkflowWorld, World
from actors.workflow.actor import SupervisorActor
from actors.workflow.decider import SupervisorRules
from actors.workflow.events import RunCreated, RunForked, StepCompleted
from actors.workflow.messages import CancelRun, StartRun
from actors.workflow.run import Run
from actors.workflow.state import SupervisorState

# -- the journal -------------------------------------------------------------------------------------


def with_journal(journal: type[Journal]) -> type[World]:
    """Return worlds that run with another journal."""
    runtime = type("PlantedRuntime", (SimRuntime,), {"journal_type": journal})
    return type("PlantedWorld", (World,), {"runtime_type": runtime})


class ReplyBeforeCommit(Journal):
    """R4: the caller is answered when the item is handed over."""

    def hand_over(self, item: Item) -> int:
        number = super().hand_over(item)
        if number:
            for reply, value in item.replies:
                reply.set(value)
        return number


class EffectsBeforeCommit(Journal):
    """R4: user code starts when the item is handed over."""

    def hand_over(self, item: Item) -> int:
        number = super().hand_over(item)
        if number:
            for effect in item.effects:
                self._perform(effect)
        return number


class NoGenerationAtHandOver(Journal):
    """R10: items of dropped actors are taken."""

    def admits(self, item: Item) -> bool:
        return self._accepting


class _NoLock:
    """Keeps nobody out, and may be held by any number."""

    def acquire(self, *, blocking: bool = True) -> bool:
        return True

    def release(self) -> None:
        pass


class AttendsBesideACommit(Journal):
    """R24: an actor commits though another thread is at it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.committing = _NoLock()  # type: ignore[assignment]  # as much of a lock as is used


class GoesOnAfterAnAttendedFailure(Journal):
    """R11: a commit that failed on an actor's thread is not reported to the journal's."""

    def attend(self) -> None:
        super().attend()
        self._broken = None


class SplitItem(Journal):
    """R3: an item may be written in two frames."""

    def commit(self, batch: Any) -> None:
        records = [record for item in batch for record in item.records]
        position = self.expected
        for item in batch:
            position += len(item.records)
            item.position = position
        for half in (records[: len(records) // 2], records[len(records) // 2 :]):
            if half:
                self.append(half)
        self.durable = batch[-1].number


class GoOnAfterFailure(Journal):
    """R11: the failed batch is refused, and everything else goes on as if nothing had been."""

    def fail(self, batch: Any, error: BaseException) -> None:
        for item in batch:
            self.refuse(item, error)
        try:
            self.expected = self._log.reopen().position
        except Exception:  # noqa: BLE001
            super().fail([], error)


class SilentRefusal(Journal):
    """R13: whoever waits for a refused item is not told."""

    @staticmethod
    def refuse(item: Item, error: BaseException | None = None) -> None:
        pass


class SpeculativeSnapshot(Journal):
    """R19: a snapshot is stamped with the durable position when it is handed over."""

    def hand_over(self, item: Item) -> int:
        if item.snapshot is not None and self.admits(item):
            self._save_snapshot(*item.snapshot, self.watermark)
            item.snapshot = None
        return super().hand_over(item)


class SubscriberReadsCache(Journal):
    """R12: readers stop at the end of the file, not at the watermark."""

    def append(self, records: Any) -> None:
        try:
            super().append(records)
        except BaseException:
            self.watermark += len(records)
            raise


# -- the actors ----------------------------------------------------------------------------------------


def with_actors(mixin: type[SimActor]) -> type[World]:
    """Return worlds whose actors are a little different."""
    return type("PlantedWorld", (World,), {"mixins": (mixin,)})


class TellFirst(SimActor):
    """R1: peers are told before the hand-over."""

    def conclude(self, item: Item, tells: list[tuple[str, Message]]) -> Iterator[str]:
        yield from self.tell(tells)
        if self.hand_over(item):
            yield "handed over"


class NoGenerationInMailbox(SimActor):
    """R10: a dropped actor goes on deciding, and hears peers of any generation."""

    is_dropped = False

    def admits(self, letter: Letter) -> bool:
        return True


class NothingPending(SimActor):
    """R8: what is owed is not said again after a rebuild."""

    def pending(self, context: Context) -> Decision:
        return Decision()


class OnlyEffectsPending(SimActor):
    """R8: starts are said again after a rebuild, messages to peers are not."""

    def pending(self, context: Context) -> Decision:
        decision = super().pending(context)
        decision.tells.clear()
        return decision


class EvictedTooEarly(SimActor):
    """R7: what has ended is forgotten before its end is durable."""

    def hand_over(self, item: Item) -> bool:
        handed_over = super().hand_over(item)
        while self._retired:
            self.state.forget(self._retired.popleft()[1])
        return handed_over


class QueriesBypassTheGate(SimActor):
    """R5: what changes nothing is answered at once."""

    def all_durable(self) -> bool:
        return True


class MailboxUnanswered(SimActor):
    """R13: what waits in the mailbox of a dropped actor is thrown away."""

    def turn(self, letters: list[Letter]) -> Iterator[str]:
        if not self.is_dropped:
            yield from super().turn(letters)


# -- the runtime ---------------------------------------------------------------------------------------


def with_runtime(runtime: type[SimRuntime]) -> type[World]:
    """Return worlds with another runtime."""
    return type("PlantedWorld", (World,), {"runtime_type": runtime})


class KeptState(SimRuntime):
    """R11: after a failed commit the actors go on with the state they had."""

    def build(self) -> Any:
        kept = {name: actor.state for name, actor in self.newest.items()}
        if not kept:
            return super().build()
        generation = self.journal.generation
        return {
            actor.rules.name: actor.start(self, kept[actor.rules.name], generation)
            for actor in self._actor_types
        }


class RebuiltOriginOnly(SimRuntime):
    """R11: only the queue is rebuilt; the supervisor keeps what it heard of it."""

    def build(self) -> Any:
        kept = {name: actor.state for name, actor in self.newest.items() if name == "supervisor"}
        refs = super().build()
        for name, state in kept.items():
            self.newest[name].state = state
        return refs


class NoBarrier(SimRuntime):
    """R12: what is read after a reopening counts as durable at once."""

    def write_barrier(self) -> None:
        self.journal.watermark = self.journal.expected


class NoReread(SimRuntime):
    """R12: after a failure the log is believed to end where it did."""

    def recovery(self, error: BaseException) -> Iterator[str]:
        believed = self.journal.watermark
        reopen = self.log.reopen

        def reopen_and_cut() -> Any:
            head = reopen()
            return head._replace(position=believed)

        self.log.reopen = reopen_and_cut  # type: ignore[method-assign]
        try:
            yield from super().recovery(error)
        finally:
            self.log.reopen = reopen  # type: ignore[method-assign]


class GenerationOnCompletions(SimRuntime):
    """R15: an attempt's end is dropped if it began under another generation."""

    def report(self, message: Message, cause: str) -> None:
        started = getattr(self, "started", {})
        assert isinstance(message, AttemptFinished)
        generation = started.get(message.key, self.journal.generation)
        self.directory.post("queue", Letter(message, generation=generation, cause=cause))

    def perform(self, effect: Any) -> None:
        if isinstance(effect, StartAttempt):
            self.__dict__.setdefault("started", {}).setdefault(effect.key, self.journal.generation)
        super().perform(effect)


# -- executor and rules ----------------------------------------------------------------------------------


def with_executor(executor: type[SimExecutor]) -> type[World]:
    """Return worlds with another executor."""
    return type("PlantedWorld", (World,), {"executor_type": executor})


class AcknowledgedEarly(SimExecutor):
    """R14: an attempt's end is forgotten as soon as it was told."""

    def report(self, end: AttemptFinished) -> None:
        super().report(end)
        self.finished.pop(end.key, None)


class NotIdempotent(SimExecutor):
    """R14: a start that comes twice starts twice."""

    def knows(self, key: AttemptKey) -> bool:
        return False


def with_queue_rules(rules: QueueRules) -> type[World]:
    """Return worlds whose queue decides otherwise."""
    queue = type("PlantedQueue", (QueueActor,), {"rules": rules})
    actors = tuple(queue if actor is QueueActor else actor for actor in ACTORS)
    return type("PlantedWorld", (World,), {"actor_types": actors})


class NoInterrupt(QueueRules):
    """R16: what an earlier incarnation was running is left as it is."""

    def pending(self, state: QueueState, context: Context, /) -> Decision:
        decision = super().pending(state, context)
        decision.events = [pair for pair in decision.events if not isinstance(pair[0], AttemptInterrupted)]
        return decision


class InterruptOnRebuild(QueueRules):
    """R16: a rebuild is taken for a restart."""

    def pending(self, state: QueueState, context: Context, /) -> Decision:
        return super().pending(state, context._replace(epoch=-1))


def with_hall(hall: type[Hall]) -> type[World]:
    """Return worlds whose queue keeps its jobs otherwise."""
    return with_queue_state(type("PlantedState", (QueueState,), {"hall_type": hall}))


def with_queue_state(state: type[QueueState]) -> type[World]:
    """Return worlds whose queue remembers otherwise."""

    class Rules(QueueRules):
        def initial(self) -> QueueState:
            return state()

        def restore(self, image: Any, /) -> QueueState:
            return state.restore(image)

    return with_queue_rules(Rules())


class CancelledHoldsNothing(Hall):
    """What a cancelled job's function still uses counts as free."""

    def hold(self, kind: Kind) -> None:
        self.lanes[kind].size += 1

    def let_go(self, kind: Kind) -> None:
        self.lanes[kind].size -= 1


class NeverGivenBack(Hall):
    """What a cancelled job's function used counts as used for ever."""

    def let_go(self, kind: Kind) -> None:
        self.lanes[kind].size -= 1


class NobodyTriedAgain(Hall):
    """Who was held back is not looked at again when an attempt ends."""

    def give(self, kind: Kind) -> None:
        lane = self.lanes[kind]
        for gate in lane.all_gates:
            gate.running -= 1
        self._resources.give(lane.needs)


class KeyFreeAtStart(QueueState):
    """A unique key is given back when its job starts, whatever its scope."""

    def _begin(self, job: Job, at_us: int) -> None:
        self.unique.release(job)
        super()._begin(job, at_us)


class LimitsForgottenByConfiguring(Hall):
    """New settings do not count what runs already."""

    def configure(self, line: Line, settings: QueueSettings, holders: Iterable[Kind]) -> None:
        super().configure(line, settings, ())


def with_supervisor(rules: SupervisorRules, world: type[World] = WorkflowWorld) -> type[World]:
    """Return worlds whose supervisor decides otherwise."""
    supervisor = type("PlantedSupervisor", (SupervisorActor,), {"rules": rules})
    actors = tuple(supervisor if actor is SupervisorActor else actor for actor in ACTORS)
    return type("PlantedWorld", (world,), {"actor_types": actors})


class OnlyStepsPending(SupervisorRules):
    """R8: items of lists and compensations are not asked for again."""

    def pending(self, state: SupervisorState, context: Context, /) -> Decision:
        decision = super().pending(state, context)
        for peer, message in list(decision.tells):
            if isinstance(message, EnqueueJobs):
                decision.tells.remove((peer, message))
                jobs = tuple(job for job in message.jobs if ":" not in job.job_id)
                decision.tell(peer, EnqueueJobs(jobs=jobs))
        return decision


class NeverWoken(SupervisorRules):
    """The supervisor does not say when the next step has waited for long enough."""

    def next_wake_us(self, _state: SupervisorState, _context: Context, /) -> int | None:
        return None


class AskedTwice(SupervisorRules):
    """R9: word of an end that was heard before is taken for another one."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        if isinstance(message, JobEnded) and not decision.events:
            run_id, _, step = message.job_id.rpartition(".")
            if run_id in state.runs and step.isdecimal():
                decision.emit(StepCompleted(run_id, int(step), 1, context.now_us))
        return decision


class SuccessUnheard(SupervisorRules):
    """A cancelled step whose call had succeeded before counts as one that was cut off."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        if isinstance(message, JobEnded) and message.job_id in state.cancelling:
            message = replace(message, status="CANCELLED")
        return super().decide(state, message, context)


class FailuresPassed(SupervisorRules):
    """An optional step that was skipped behind a failure lets go what depends on it."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        for graph in state.graphs.values():
            graph.is_fatal = lambda step: step < 0  # type: ignore[method-assign]
        return super().decide(state, message, context)


class PauseForgotten(SupervisorRules):
    """A step that ends lets go what depends on it though the run is paused."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        paused = [run for run in state.runs.values() if run.extras.paused]
        for run in paused if isinstance(message, JobEnded) else ():
            run.extras.paused = False
        decision = super().decide(state, message, context)
        for run in paused:
            run.extras.paused = True
        return decision


class PlacesUncounted(SupervisorRules):
    """A session has a place for every run that is begun in it."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        state.sessions.is_full = lambda session_id: not session_id  # type: ignore[method-assign]
        return super().decide(state, message, context)


class HeldForEver(SupervisorRules):
    """Nobody looks whether there is a place for a run that waits for one."""

    def settle(self, state: SupervisorState, context: Context, /) -> Iterator[Decision]:
        state.sessions.vacant.clear()
        return super().settle(state, context)


class OneEndATurn(SupervisorRules):
    """What follows from the end of a run is left lying until somebody says something."""

    def settle(self, state: SupervisorState, context: Context, /) -> Iterator[Decision]:
        return islice(super().settle(state, context), 1)


class ShareGivenUpOnce(SupervisorRules):
    """R8: that a closed session's share is to be given up is said once."""

    def pending(self, state: SupervisorState, context: Context, /) -> Decision:
        decision = super().pending(state, context)
        decision.tells = [(peer, told) for peer, told in decision.tells if not isinstance(told, EndShare)]
        return decision


class NothingKept(SupervisorRules):
    """A fork records that it keeps outputs, and executes the steps again."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        if not isinstance(message, StartRun) or not message.kept:
            return super().decide(state, message, context)
        decision = super().decide(state, replace(message, kept=()), context)
        created = next(
            (n for n, (event, _) in enumerate(decision.events) if isinstance(event, RunCreated)), None
        )
        if created is not None:
            forked = RunForked(message.run_id, message.kept, context.now_us)
            decision.events.insert(created + 1, (forked, ""))
        return decision


class ChildrenNotCancelled(SupervisorRules):
    """A run is cancelled, and what its steps are goes on; the word that it has ended finds nobody."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        if isinstance(message, CancelRun):
            inside = f"{message.run_id}."
            decision.events = [
                (event, root)
                for event, root in decision.events
                if not getattr(event, "run_id", "").startswith(inside)
            ]
            decision.tells = [
                (peer, told) for peer, told in decision.tells if getattr(told, "job_id", "").count(".") < 2
            ]
        return decision


class ItemsNotCancelled(SupervisorRules):
    """A run is cancelled, and the runs that the items of its lists are go on."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        children, nobody = Run.children, iter(())
        if isinstance(message, CancelRun):
            Run.children = lambda self, step: nobody  # type: ignore[method-assign]
        try:
            return super().decide(state, message, context)
        finally:
            Run.children = children  # type: ignore[method-assign]


class NoTimer(QueueRules):
    """What may take only so long is looked at only when something else happens."""

    def next_wake_us(self, state: QueueState, context: Context, /) -> int | None:
        wake_us = super().next_wake_us(state, context)
        return None if (wake_us,) == state.first_deadlines.first_key() else wake_us


class LateEndsCount(QueueRules):
    """R15: what an abandoned attempt came to is taken for the end of the next one."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        if isinstance(message, AttemptFinished) and message.key.job_id in state.running:
            message = replace(message, key=state.running[message.key.job_id].key)
        return super().decide(state, message, context)


class StartedLate(QueueRules):
    """What has expired meanwhile is started before anybody looks at the time."""

    def settle(self, state: QueueState, context: Context, /) -> Iterator[Decision]:
        for decision in super().settle(state, context._replace(now_us=context.now_us - 10_000_000)):
            decision.events = [
                (replace(event, at_us=context.now_us), root)
                if isinstance(event, JobStarted)
                else (event, root)
                for event, root in decision.events
            ]
            yield decision


class NotMadeUpFor(SimExecutor):
    """F73: an abandoned function goes on costing its worker."""

    def cancel(self, key: AttemptKey) -> bool:
        return False


class MissedInSilence(SchedulerRules):
    """Instants that were missed are passed over, and nobody is told how many there were."""

    def settle(self, state: SchedulerState, context: Context, /) -> Iterator[Decision]:
        for decision in super().settle(state, context):
            decision.events = [
                (replace(event, missed=0) if isinstance(event, ScheduleFired) else event, correlation)
                for event, correlation in decision.events
            ]
            yield decision


class DroppedInSilence(SchedulerRules):
    """What waited when a schedule was paused, replaced or removed is gone, and nobody is told."""

    def decide(self, state: SchedulerState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        decision.events = [each for each in decision.events if not isinstance(each[0], ScheduleSkipped)]
        return decision


class SleepsOn(SchedulerRules):
    """Bug: once it is started, the scheduler asks nobody to wake it."""

    def next_wake_us(self, _state: SchedulerState, _context: Context, /) -> int | None:
        return None


class FollowsTheClockBack(SchedulerRules):
    """Bug: a clock that was set back takes the schedules with it."""

    def settle(self, state: SchedulerState, context: Context, /) -> Iterator[Decision]:
        for schedule in state.schedules.values():
            if schedule.cursor_us > context.now_us:
                schedule.cursor_us = context.now_us
                state.agenda.invalidate(schedule.name)
        yield from super().settle(state, context)


class EndToldOnce(SupervisorRules):
    """R8: a schedule that asks again for a run that is over is not told so; it would wait for ever."""

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        if isinstance(message, StartRun) and not decision.events:
            decision.tells.clear()
        return decision


class BegunAnew(SupervisorRules):
    """R9: a run of a firing that memory has forgotten is begun once more."""

    def lookups(self, state: SupervisorState, message: Message, /) -> Iterable[str]:
        return () if isinstance(message, StartRun) else super().lookups(state, message)


class OverWhenPlanned(SchedulerRules):
    """A firing counts as ended when its run is planned; the next one begins beside it."""

    def decide(self, state: SchedulerState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        if isinstance(message, JobEnded) and message.job_id in state.firings and not decision.events:
            name = state.firings[message.job_id].name
            decision.emit(ScheduleClosed(name, message.job_id, message.status, context.now_us))
        return decision


def with_scheduler_rules(rules: SchedulerRules, world: type[World] = ScheduleWorld) -> type[World]:
    """Return worlds whose scheduler decides otherwise."""
    scheduler = type("PlantedScheduler", (SchedulerActor,), {"rules": rules})
    actors = tuple(scheduler if actor is SchedulerActor else actor for actor in ACTORS)
    return type("PlantedWorld", (world,), {"actor_types": actors})


PLANTED: dict[str, type[World]] = {
    "instants dropped in silence": with_scheduler_rules(DroppedInSilence()),
    "instants missed in silence": with_scheduler_rules(MissedInSilence(), World),
    "a scheduler that nobody wakes": with_scheduler_rules(SleepsOn()),
    "an instant fires again after the clock is set back": with_scheduler_rules(FollowsTheClockBack()),
    "the end of a schedule's run told once": with_supervisor(EndToldOnce(), ScheduledRunWorld),
    "a run of a firing begun twice": with_supervisor(BegunAnew(), ScheduledRunWorld),
    "a firing over when its run is planned": with_scheduler_rules(OverWhenPlanned(), ScheduledRunWorld),
    "a session's share given up once": with_supervisor(ShareGivenUpOnce(), WorkflowWorld),
    "reply before commit": with_journal(ReplyBeforeCommit),
    "effects before commit": with_journal(EffectsBeforeCommit),
    "tell before hand-over": with_actors(TellFirst),
    "state kept after a failed commit": with_runtime(KeptState),
    "an actor commits beside a commit": with_journal(AttendsBesideACommit),
    "a failure on an actor's thread is not reported": with_journal(GoesOnAfterAnAttendedFailure),
    "no generation at hand-over": with_journal(NoGenerationAtHandOver),
    "no generation in mailbox": with_actors(NoGenerationInMailbox),
    "pending not consulted": with_actors(NothingPending),
    "pending without messages to peers": with_actors(OnlyEffectsPending),
    "snapshot of speculative state": with_journal(SpeculativeSnapshot),
    "evicted too early": with_actors(EvictedTooEarly),
    "completion acknowledged early": with_executor(AcknowledgedEarly),
    "executor starts twice": with_executor(NotIdempotent),
    "query past the gate": with_actors(QueriesBypassTheGate),
    "item split": with_journal(SplitItem),
    "going on after a failure": with_journal(GoOnAfterFailure),
    "only one actor rebuilt": with_runtime(RebuiltOriginOnly),
    "no barrier": with_runtime(NoBarrier),
    "no re-reading": with_runtime(NoReread),
    "subscriber reads the cache": with_journal(SubscriberReadsCache),
    "generation on completions": with_runtime(GenerationOnCompletions),
    "refusal in silence": with_journal(SilentRefusal),
    "mailbox unanswered": with_actors(MailboxUnanswered),
    "no interruption after a restart": with_queue_rules(NoInterrupt()),
    "interruption after a rebuild": with_queue_rules(InterruptOnRebuild()),
    "no timer for what takes too long": with_queue_rules(NoTimer()),
    "late end of an abandoned attempt": with_queue_rules(LateEndsCount()),
    "started after it has expired": with_queue_rules(StartedLate()),
    "abandoned worker not made up for": with_executor(NotMadeUpFor),
    "a cancelled attempt holds nothing": with_hall(CancelledHoldsNothing),
    "a cancelled attempt holds for ever": with_hall(NeverGivenBack),
    "an end tries nobody again": with_hall(NobodyTriedAgain),
    "a key is free once its job runs": with_queue_state(KeyFreeAtStart),
    "new settings forget what runs": with_hall(LimitsForgottenByConfiguring),
    "items and compensations not asked for again": with_supervisor(OnlyStepsPending()),
    "no waking of steps that wait": with_supervisor(NeverWoken()),
    "an end taken in twice": with_supervisor(AskedTwice()),
    "what succeeded before it was cancelled": with_supervisor(SuccessUnheard()),
    "what is behind a failure": with_supervisor(FailuresPassed()),
    "pause forgotten": with_supervisor(PauseForgotten()),
    "children not cancelled": with_supervisor(ChildrenNotCancelled()),
    "items not cancelled": with_supervisor(ItemsNotCancelled(), ListWorld),
    "one end a turn": with_supervisor(OneEndATurn()),
    "places not counted": with_supervisor(PlacesUncounted()),
    "a run that waits for a place for ever": with_supervisor(HeldForEver()),
    "a fork that keeps nothing": with_supervisor(NothingKept()),
}
