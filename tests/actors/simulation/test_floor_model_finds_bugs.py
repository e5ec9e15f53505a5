"""The test of the model: each rule of the queue, broken on purpose, makes the queue differ from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from actors.queue.decider import QueueRules
from actors.queue.events import JobEnqueued, JobMoved, JobRetrying, ResourceGranted, ResourceReleased
from actors.queue.hall import Hall
from actors.queue.jobs import Job, Kind
from actors.queue.lanes import Lane
from actors.queue.lines import Line
from actors.queue.messages import Allocate, DiscardJob, EnqueueJobs
from actors.queue.resources import units
from actors.queue.specs import (
    Backoff,
    Conflict,
    JobLife,
    QueueSettings,
    Rate,
    RetryPolicy,
    Scope,
    Terms,
    Unique,
)
from actors.queue.state import QueueState
from actors.runtime.effects import GIVE_UP, RETRY, SNOOZE, AttemptFinished, AttemptKey
from actors.runtime.messages import Context, Decision, Event, Message
from actors.simulation.checks import Violation
from actors.simulation.world import World
from tests.actors.simulation.desk import FIXED, SECOND
from tests.actors.simulation.planted import (
    CancelledHoldsNothing,
    with_hall,
    with_queue_rules,
    with_queue_state,
)
from tests.actors.simulation.test_floor_model import FloorDesk, FloorMachine, Focus
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover


def without(**nothing: Any) -> type[World]:
    """Worlds in which some settings of a queue do nothing."""

    class Deaf(Hall):
        def configure(self, line: Line, settings: QueueSettings, holders: Iterable[Kind]) -> None:
            super().configure(line, replace(settings, **nothing), holders)

    return with_hall(Deaf)


def deaf_to(advice: str) -> type[World]:
    """Worlds in which what an exception advises is taken for a failure like any other."""

    class Deaf(QueueRules):
        def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
            if isinstance(message, AttemptFinished) and message.advice == advice:
                message = replace(message, advice="")
            return super().decide(state, message, context)

    return with_queue_rules(Deaf())


class Overtaken(Hall):
    """Who needs less of a resource goes before who waits for more of it."""

    def _may_hold(self, lane: Lane) -> bool:
        return self._resources.are_free(lane.needs)


class TurnsForgotten(Hall):
    """A snapshot does not say whose turn it is."""

    def dump(self, since_us: int) -> Any:
        return [(name, plan, 0, [], *rest) for name, plan, _, _, *rest in super().dump(since_us)]


class RatesForgotten(Hall):
    """A snapshot does not say what a rate has seen."""

    def dump(self, since_us: int) -> Any:
        return [(*plain, (None, []), retries) for *plain, _, retries in super().dump(since_us)]


class BeatsUnheard(QueueRules):
    """Signs of life are not heard."""

    def settle(self, state: QueueState, context: Context, /) -> Iterator[Decision]:
        return super().settle(state, context._replace(beats={}))


class ExpiryForgotten(QueueState):
    """Who has been tried once does not expire any more."""

    def _await_start(self, job: Job) -> None:
        self._set_deadline(job.job_id, 0)


class DeadlineKept(QueueState):
    """The deadline of an attempt holds for the waiting job, too."""

    def _await_start(self, job: Job) -> None:
        pass


class RidesAlong(QueueState):
    """Who has ended still rides along with those of its call that go on."""

    def _leave_batch(self, key: AttemptKey) -> None:
        pass


class NobodyWaitedFor(QueueState):
    """A job starts though what it is to follow has not ended."""

    def _enqueued(self, event: JobEnqueued) -> None:
        super()._enqueued(replace(event, missing=0))


class MovedToTheFront(QueueState):
    """Who is moved stands before all others there."""

    def _on_moved(self, event: JobMoved) -> None:
        super()._on_moved(event)
        job = self.jobs[event.job_id]
        lane = self.lanes[job.kind]
        if job.is_ready and not lane.parked and lane.ready[-1] is job:
            job.order = 0
            lane.ready.rotate(1)
            lane.line.put(lane)
            self.hall._place(lane.line)


class KeyLeftBehind(QueueState):
    """Who is moved keeps its unique key where it was, and has none where it is."""

    def _on_moved(self, event: JobMoved) -> None:
        before = self.jobs[event.job_id]
        self.unique.release(before)
        super()._on_moved(event)


class MovedToNobodysLimit(QueueState):
    """Who is moved and cut off is moved back."""

    def _on_moved(self, event: JobMoved) -> None:
        if not self.jobs[event.job_id].course.charged:
            super()._on_moved(event)


class FirstOneWins(QueueRules):
    """Who comes later under a debounced key is dropped, instead of taking the place of who came before."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        if isinstance(message, EnqueueJobs):
            jobs = tuple(replace(spec, terms=self._kept(spec.terms)) for spec in message.jobs)
            message = replace(message, jobs=jobs)
        return super().decide(state, message, context)

    @staticmethod
    def _kept(terms: Terms | None) -> Terms | None:
        if terms is None or terms.unique is None:
            return terms
        return replace(terms, unique=replace(terms.unique, conflict=Conflict.RETURN))


class DiscardsNothing(QueueRules):
    """Whoever discards a job is told that it is done."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        return Decision() if isinstance(message, DiscardJob) else decision


class RetriesForgotten(Hall):
    """A snapshot does not say how many retries fall due when."""

    def dump(self, since_us: int) -> Any:
        return [(*plain, []) for *plain, _ in super().dump(since_us)]


class Altered(QueueRules):
    """Something else is recorded than was decided; None: nothing is."""

    def __init__(self, alter: Callable[[Event], Event | None]) -> None:
        self._alter = alter

    def _altered(self, decision: Decision) -> Decision:
        altered = [(self._alter(event), correlation) for event, correlation in decision.events]
        decision.events = [(event, correlation) for event, correlation in altered if event is not None]
        return decision

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        return self._altered(super().decide(state, message, context))

    def settle(self, state: QueueState, context: Context, /) -> Iterator[Decision]:
        for decision in super().settle(state, context):
            yield self._altered(decision)

    def pending(self, state: QueueState, context: Context, /) -> Decision:
        return self._altered(super().pending(state, context))


def delayed(delay_us: Callable[[int], int]) -> type[World]:
    """Worlds in which a retry that is not at once has a delay that depends on its attempt alone."""

    def alter(event: Event) -> Event | None:
        if isinstance(event, JobRetrying) and event.due_us > event.at_us:
            return replace(event, due_us=event.at_us + delay_us(event.attempt))
        return event

    return with_queue_rules(Altered(alter))


def the_dead_hold_on(event: Event) -> Event | None:
    return None if isinstance(event, ResourceReleased) and event.reason == "holder ended" else event


class OvertakesTheLine(Hall):
    """Jobs go before who waits for a resource by hand."""

    def _may_hold(self, lane: Lane) -> bool:
        resources = self._resources
        return self.standing_before(lane) is None and all(
            amount <= units(resources.capacity[name][1] - resources.used(name)) for name, amount in lane.needs
        )


class BatchOfNeedy(Hall):
    """Who goes along in a call gets of resources what there is not."""

    def lets_another(self, lane: Lane, context: Context) -> bool:
        return bool(lane.ready) and not any(gate.opens_us(context.now_us) for gate in lane.all_gates)


class BatchAlone(Hall):
    """Who needs resources takes nobody along."""

    def lets_another(self, lane: Lane, context: Context) -> bool:
        return not lane.needs and super().lets_another(lane, context)


class OvertakenByHand(QueueRules):
    """Who asks for less of a resource goes before who waits for more of it."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        waits = isinstance(message, Allocate) and message.allocation_id not in state.resources.waiting
        if isinstance(message, Allocate) and waits and decision.reply is False:
            if state.resources.fits(message.amounts):
                name, who, amounts = message.allocation_id, message.requester, message.amounts
                decision = Decision()
                decision.emit(ResourceGranted(name, who, amounts, context.epoch, context.now_us))
                decision.answer(True)
        return decision


class NobodyLetIn(QueueRules):
    """What jobs give back is given to nobody who waits for it by hand."""

    def settle(self, state: QueueState, context: Context, /) -> Iterator[Decision]:
        for decision in super().settle(state, context):
            decision.events = [each for each in decision.events if not isinstance(each[0], ResourceGranted)]
            yield decision


KEY = Terms(key="k", backoff=FIXED)
G, H = Terms(group="g", backoff=FIXED), Terms(group="h", backoff=FIXED)
ONE, TWO = (Terms(resources=(("gpu", amount),), backoff=FIXED) for amount in (1.0, 2.0))
AGEING = QueueSettings(concurrency=1, ageing_us=SECOND)
EXPIRES = JobLife(expires_in_us=2 * SECOND)
TIMEOUT = JobLife(timeout_us=SECOND)
TOGETHER = Terms(batch=3, backoff=FIXED)
TOGETHER_ON_ONE = Terms(batch=3, resources=(("gpu", 1.0),), backoff=FIXED)
ONE_AT_A_TIME = QueueSettings(concurrency=1)
BUDGET = QueueSettings(retry_rate=Rate(1, 9 * SECOND))
DEBOUNCED = Terms(unique=Unique("u", Scope.PENDING, Conflict.REPLACE), backoff=FIXED)
JITTER = Terms(backoff=Backoff("fixed", jitter=True))

PLANTED: dict[str, tuple[type[World], Focus]] = {
    "no limit of a queue": (without(concurrency=0), Focus(QueueSettings(concurrency=1))),
    "no limit of a key": (without(key_concurrency=0), Focus(QueueSettings(key_concurrency=1), KEY)),
    "no limit of a function": (
        without(function_concurrency=()),
        Focus(QueueSettings(function_concurrency=(("m:g", 1),))),
    ),
    "no rate": (without(rate=None), Focus(QueueSettings(rate=Rate(1, 9 * SECOND)))),
    "no rate of a key": (without(key_rate=None), Focus(QueueSettings(key_rate=Rate(1, 9 * SECOND, 1)), KEY)),
    "no weights": (without(weights=()), Focus(QueueSettings(weights=(("g", 3),), concurrency=1), G, H)),
    "no ageing": (without(ageing_us=0), Focus(AGEING)),
    "no retries of a queue": (without(retry=None), Focus(QueueSettings(retry=RetryPolicy(0)))),
    "deaf to Snooze": (deaf_to(SNOOZE), Focus()),
    "deaf to Retry": (deaf_to(RETRY), Focus()),
    "deaf to giving up": (deaf_to(GIVE_UP), Focus()),
    "overtaken at a resource": (with_hall(Overtaken), Focus(terms=ONE, other=TWO)),
    "an abandoned attempt holds nothing": (with_hall(CancelledHoldsNothing), Focus(terms=TWO, other=TWO)),
    "turns forgotten": (with_hall(TurnsForgotten), Focus(QueueSettings(concurrency=1), G, H)),
    "rates forgotten": (with_hall(RatesForgotten), Focus(QueueSettings(rate=Rate(1, 9 * SECOND)))),
    "beats unheard": (with_queue_rules(BeatsUnheard()), Focus(life=JobLife(heartbeat_us=2 * SECOND))),
    "expiry forgotten": (with_queue_state(ExpiryForgotten), Focus(life=EXPIRES)),
    "deadline kept": (with_queue_state(DeadlineKept), Focus(life=TIMEOUT)),
    "nobody waited for": (with_queue_state(NobodyWaitedFor), Focus()),
    "moved to the front": (with_queue_state(MovedToTheFront), Focus(ONE_AT_A_TIME)),
    "a key left behind": (with_queue_state(KeyLeftBehind), Focus(ONE_AT_A_TIME, DEBOUNCED)),
    "what has failed is not moved": (with_queue_state(MovedToNobodysLimit), Focus(ONE_AT_A_TIME)),
    "discards nothing": (with_queue_rules(DiscardsNothing()), Focus()),
    "no retry budget": (without(retry_rate=None), Focus(BUDGET, life=TIMEOUT)),
    "retries forgotten": (with_hall(RetriesForgotten), Focus(BUDGET)),
    "no jitter": (delayed(lambda _: 2 * SECOND), Focus(terms=JITTER, other=JITTER)),
    "no cap": (
        delayed(lambda attempt: 2**attempt * SECOND),
        Focus(terms=Terms(backoff=Backoff("exponential"))),
    ),
    "linear is fixed": (delayed(lambda _: 2 * SECOND), Focus(terms=Terms(backoff=Backoff("linear")))),
    "the last one is not the one": (with_queue_rules(FirstOneWins()), Focus(ONE_AT_A_TIME, DEBOUNCED)),
    "the dead hold on": (with_queue_rules(Altered(the_dead_hold_on)), Focus(terms=ONE)),
    "jobs overtake the line": (with_hall(OvertakesTheLine), Focus(terms=ONE, other=TWO)),
    "overtaken by hand": (with_queue_rules(OvertakenByHand()), Focus(terms=ONE)),
    "nobody let in": (with_queue_rules(NobodyLetIn()), Focus(terms=TWO)),
    "a batch needs nothing": (with_hall(BatchOfNeedy), Focus(terms=TOGETHER_ON_ONE, other=TOGETHER_ON_ONE)),
    "who needs something goes alone": (with_hall(BatchAlone), Focus(terms=TOGETHER_ON_ONE)),
    "who has ended rides along": (with_queue_state(RidesAlong), Focus(terms=TOGETHER, other=TOGETHER)),
}
"""Each bug, and the world in which it shows soonest."""


OUTCOME_NAMES = ("ok", "error", "error", "returned", "unresolved", SNOOZE, RETRY, GIVE_UP)


def live(machine: FloorMachine, random: Random) -> None:
    """Say, or let happen, one thing."""
    some, half = random.randrange(30), random.random() < 0.5
    acts: list[tuple[int, Callable[[], object]]] = [
        (4, lambda: machine.enqueue(some_jobs(random), some, not some % 3, False, False)),
        (1, lambda: machine.cancel(some)),
        (1, lambda: machine.retry(some)),
        (1, lambda: machine.discard(some)),
        (1, lambda: machine.move([some, some + 1], random.choice("ab"), half)),
        (2, lambda: machine.pass_time(random.randint(1, 4))),
        (1, lambda: machine.crash(half)),
    ]
    if machine.model.running:
        outcome = random.choice(OUTCOME_NAMES)
        beats = 4 if any(life is not None and life.heartbeat_us for life in machine.lives) else 1
        acts += [(5, lambda: machine.finish(some, outcome, half, False)), (beats, lambda: machine.beat(some))]
    if any(terms.resources for terms in machine.terms):
        which, amount = some % 4, random.choice((1.0, 2.0))
        acts += [(3, lambda: machine.allocate(which, amount, wait=True)), (2, lambda: machine.release(which))]
    if machine.model.zombies:
        acts.append((1, lambda: machine.finish_late(some, "ok", half)))
    possible = [act for act in acts if machine.model.jobs or act in acts[:1]]
    random.choices([act for _, act in possible], [weight for weight, _ in possible])[0]()


def some_jobs(random: Random) -> list[Any]:
    return [
        (
            random.choice("aaab"),
            random.choice(("m:f", "m:g")),
            random.randint(-1, 1),
            random.choice(
                (RetryPolicy(0), RetryPolicy(1, 0), RetryPolicy(3, 2 * SECOND, 3 * SECOND), RetryPolicy())
            ),
            random.choice((0, 0, 0, 3)),
            random.choice((1, 1, 2)),
            1,
        )
        for _ in range(random.randint(1, 3))
    ]


def compare(machine: FloorMachine) -> None:
    machine.all_attempts_at_work_are_the_same()
    machine.every_job_stands_where_the_model_says()
    machine.the_queues_count_what_the_model_counts()


def differs(machine: FloorMachine, seed: int) -> bool:
    """Whether the queue and its model differ in one life."""
    random = Random(seed)
    try:
        machine.begin(Terms(), Terms(), None, QueueSettings())
        compare(machine)
        for _ in range(50):
            live(machine, random)
            compare(machine)
    except (AssertionError, Violation, StopIteration, pytest.fail.Exception):
        return True
    return False


@pytest.mark.parametrize("bug", PLANTED)
def test_a_broken_rule_makes_the_queue_differ_from_its_model(bug: str) -> None:
    world, focus = PLANTED[bug]
    desk = type("PlantedDesk", (FloorDesk,), {"actor_types": world.actor_types})
    planted = type("PlantedMachine", (FloorMachine,), {"desk_type": desk, "focus": focus})
    assert any(differs(planted(), seed) for seed in range(scaled("PLANTED_FLOORS", 100)))


@pytest.mark.parametrize("bug", PLANTED)
def test_the_rule_as_it_is_does_not(bug: str) -> None:
    right = type("FocusedMachine", (FloorMachine,), {"focus": PLANTED[bug][1]})
    assert not any(differs(right(), seed) for seed in range(scaled("FOCUSED_FLOORS", 1)))
