"""Random lives of a queue: everything that may happen to it, in any order, from a list of small numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import strategies as st

from actors.queue.events import JobMoved
from actors.queue.messages import (
    AddResource,
    Allocate,
    CancelJob,
    ClearQueue,
    ConfigureQueue,
    DiscardJob,
    DrainQueue,
    EnqueueJobs,
    FunctionsKnown,
    LeaseJob,
    MoveJobs,
    PauseQueue,
    Release,
    ResumeQueue,
    RetryJob,
    RetryJobs,
    SettleLease,
)
from actors.queue.specs import (
    FINAL,
    Backoff,
    Conflict,
    JobLife,
    JobSpec,
    JobStatus,
    QueueSettings,
    Rate,
    RetryPolicy,
    Scope,
    Terms,
    Unique,
)
from actors.runtime.effects import AttemptFinished, AttemptKey
from actors.runtime.messages import Shutdown
from eventstore.errors import LogisticsError
from tests.actors.queue.bench import SECOND, START, Bench, spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.queue.jobs import Kind
    from actors.runtime.messages import Message

QUEUES = ("one", "two", "three")
FUNCTIONS = ("app:short", "app:long", "app:gone")
POLICIES = (RetryPolicy(0, 0, 0), RetryPolicy(2, 0, 0), RetryPolicy(1, SECOND, 4 * SECOND), RetryPolicy())
TERMS = (
    None,
    None,
    Terms(key="x"),
    Terms(key="y", group="g"),
    Terms(group="h"),
    Terms(resources=(("gpu", 1.0),)),
    Terms(resources=(("gpu", 2.0), ("cpu", 1.0))),
    Terms(key="x", resources=(("cpu", 2.0),)),
    Terms(batch=3),
    Terms(batch=2, key="x", resources=(("gpu", 1.0),)),
    Terms(unique=Unique("u")),
    Terms(unique=Unique("u", Scope.PENDING, Conflict.REPLACE), backoff=Backoff("linear")),
    Terms(unique=Unique("u", Scope.PERIOD, Conflict.RETURN, 2 * SECOND)),
)
SETTINGS = (
    QueueSettings(),
    QueueSettings(concurrency=1),
    QueueSettings(key_concurrency=1, function_concurrency=(("app:short", 1),)),
    QueueSettings(rate=Rate(2, 3 * SECOND), key_rate=Rate(1, SECOND, 2)),
    QueueSettings(concurrency=2, key_rate=Rate(1, 2 * SECOND), weights=(("g", 3),)),
    QueueSettings(ageing_us=SECOND, retry_rate=Rate(1, SECOND), retry=RetryPolicy(1, 1)),
)
LIVES = (
    *(None,) * 4,
    JobLife(timeout_us=2 * SECOND),
    JobLife(expires_in_us=3 * SECOND),
    JobLife(expires_in_us=SECOND, heartbeat_us=SECOND),
    JobLife(timeout_us=SECOND, expires_us=START + 5 * SECOND),
)
OUTCOMES = ("ok", "ok", "ok", "error", "error", "unresolved", "returned")


class Life:
    """A queue, and what was ever asked of it."""

    def __init__(self) -> None:
        self.bench = Bench(capacity=2)
        self.specs: dict[str, JobSpec] = {}
        self.keys: list[AttemptKey] = []
        """Leases that were given out."""
        self.held: dict[str, int] = {}
        for name, capacity in (("gpu", 2.0), ("cpu", 3.0)):
            self.bench.ask(AddResource(name, "x", capacity))

    def step(self, what: str, a: int, b: int) -> None:
        """Have something happen; the numbers say to what."""
        actions: dict[str, Callable[[int, int], None]] = {
            "enqueue": self.enqueue,
            "follow": self.follow,
            "finish": self.finish,
            "stale": self.stale,
            "lease": self.lease,
            "settle": self.settle,
            "change": self.change,
            "order": self.order,
            "limit": self.limit,
            "time": lambda a, _b: self.pass_time(a * SECOND // 4),
            "end": self.end,
        }
        actions[what](a, b)
        self.keys += [self.bench.state.jobs[job_id].key for job_id in self.bench.state.leases]

    def enqueue(self, a: int, b: int, after: tuple[str, ...] = (), failing: str = "") -> None:
        bench = self.bench
        job_id = f"j{len(self.specs)}"
        due_us = bench.now_us + a * SECOND if b % 4 == 0 else 0
        terms = TERMS[(a * 5 + b) % len(TERMS)]
        if failing:
            terms = msgspec.structs.replace(terms or Terms(), on_failure_of=failing)
        new = spec(
            job_id,
            queue=QUEUES[a % 3],
            priority=b % 3,
            retry=POLICIES[(a + b) % 4],
            function=FUNCTIONS[b % 3],
            due_us=due_us,
            after=after,
            terms=terms,
            life=LIVES[(a * 3 + b) % len(LIVES)],
        )
        if self.say(EnqueueJobs(jobs=(new,), fresh=bool(b % 2) and not after)) and job_id in self.bench.ids:
            self.specs[job_id] = new

    def follow(self, a: int, b: int) -> None:
        """Enqueue a job that waits for others, which may have ended, or for one of them to fail."""
        known = list(self.specs)
        after = tuple(known[-1 - n] for n in (a, b, a) if n < len(known))
        if a % 3 == 1:
            self.enqueue(a, b, after[1:2], *after[:1])
        else:
            self.enqueue(a, b, after)

    def finish(self, a: int, b: int) -> None:
        running = self.bench.running
        if running:
            run_us = (10, 100_000)[b % 2]
            self.bench.finish(running[a % len(running)], OUTCOMES[b % len(OUTCOMES)], run_us=run_us)

    def stale(self, a: int, b: int) -> None:
        """Have the end of some attempt of some job told, which may be the present one."""
        if self.specs:
            job_id = list(self.specs)[a % len(self.specs)]
            key = AttemptKey(job_id, 1 + b % 3, self.bench.epoch)
            self.say(AttemptFinished(key=key, outcome="ok"))

    def lease(self, a: int, b: int) -> None:
        self.say(LeaseJob(QUEUES[a % 3], (1 + b) * SECOND // 2))

    def settle(self, a: int, b: int) -> None:
        if self.keys:
            self.say(SettleLease(self.keys[-1 - a % len(self.keys)], ("ok", "error")[b % 2]))

    def change(self, a: int, b: int) -> None:
        job_id = f"j{b}"
        queue = QUEUES[b % 3]
        messages: tuple[Message, ...] = (
            CancelJob(job_id),
            RetryJob(job_id),
            RetryJob(job_id),
            PauseQueue(queue),
            ResumeQueue(queue),
            FunctionsKnown(FUNCTIONS),
            ClearQueue(queue),
        )
        self.say(messages[a % len(messages)])

    def order(self, a: int, b: int) -> None:
        """Say something about many jobs, or what is parked, or a queue that is to become empty."""
        some = tuple(f"j{n}" for n in range(a, a + 4))
        queue = QUEUES[b % 3]
        if a % 3 == 0:
            message = MoveJobs(some, queue, strict=bool(b % 2))
            if self.say(message):
                for event in self.bench.log:
                    if isinstance(event, JobMoved):
                        spec = self.specs[event.job_id]
                        self.specs[event.job_id] = msgspec.structs.replace(spec, queue=event.queue)
            return
        messages: tuple[Message, ...] = (
            DiscardJob(some[0]),
            RetryJobs(tuple(self.specs)),
            DrainQueue(queue),
            ResumeQueue(queue),
            DiscardJob(some[1]),
        )
        self.say(messages[b % len(messages)])

    def limit(self, a: int, b: int) -> None:
        """Change what a queue lets through, or take resources by hand, or give them back."""
        messages: tuple[Message, ...] = (
            ConfigureQueue(QUEUES[b % 3], SETTINGS[a % len(SETTINGS)]),
            Allocate(f"a{b}", "me", (("gpu", 1.0 + b % 2),), wait=True),
            Release(f"a{b}"),
            ConfigureQueue(QUEUES[a % 3], SETTINGS[b % len(SETTINGS)]),
        )
        self.say(messages[(a + b) % len(messages)])

    def pass_time(self, by_us: int) -> None:
        self.bench.pass_time(by_us)

    def end(self, a: int, b: int) -> None:
        """The process ends, or a commit fails, or others serve other queues."""
        bench = self.bench
        if a % 4 == 0:
            bench.rebuild()
        elif a % 4 == 1:
            bench.restart()
        elif a % 4 == 2:
            bench.capacity = 0
            bench.ask(Shutdown())
            bench.capacity = 1 + b % 3
            bench.restart()
        else:
            bench.served = None if b % 2 else frozenset(QUEUES[: b % 3])
            bench.settle()

    def say(self, message: Message) -> bool:
        """Say something; whether it was not refused."""
        try:
            self.bench.decide(message)
        except LogisticsError:
            return False
        self.bench.when(message)
        return True

    def heal(self) -> None:
        """Let everything go well from now on, until nothing is left to do."""
        bench = self.bench
        bench.served = None
        for queue in QUEUES:
            bench.when(ResumeQueue(queue))
        for allocation in (*bench.state.resources.held, *bench.state.resources.waiting):
            bench.when(Release(allocation))
        for _ in range(1_000):
            if not bench.state.jobs:
                return
            bench.when(FunctionsKnown(FUNCTIONS))
            for job_id in bench.running:
                if job_id in bench.state.running:
                    bench.finish(job_id)
            for key in list(bench.state.zombies):
                bench.when(AttemptFinished(key=key, outcome="ok"))
            bench.pass_time(400 * SECOND)
        raise AssertionError(f"never done: {list(bench.state.jobs.values())}")

    def check(self) -> None:
        """What must hold at every moment (I3, I6, I8, I12)."""
        bench = self.bench
        bench.check()
        state = bench.state
        workers = sum(not job.job_id.startswith("?") for job in state.running.values())
        assert workers <= max(bench.capacity, 3) + 256
        for name, line in state.lines.items():
            assert min(line.counts.values(), default=0) >= 0
            mine = [job for job in state.jobs.values() if job.queue == name]
            assert sum(line.counts.values()) == sum(each.queue == name for each in self.specs.values())
            for status in JobStatus:
                if status in FINAL:
                    continue
                assert line.counts.get(status, 0) == sum(job.status is status for job in mine), status
            ready = [job for job in mine if job.status is JobStatus.PENDING and not job.course.missing]
            assert line.ready_count == len(ready)
            expected = sorted(ready, key=lambda job: (-job.kind.priority, job.order))
            assert [job.job_id for job in line.in_order()] == [job.job_id for job in expected]
        self.check_limits()
        self.check_keys()
        self.check_that_nobody_waits_for_nothing()
        for job in state.jobs.values():
            assert job.course.missing >= 0
            assert job.course.charged < max(job.kind.retry.max_retries + 1, 3)

    def holders(self) -> list[Kind]:
        """The kinds of all attempts that have begun and not ended."""
        state = self.bench.state
        jobs = [*state.running.values(), *(state.jobs[job_id] for job_id in state.leases)]
        return [*(job.kind for job in jobs), *(kind for _, kind in state.zombies.values())]

    def check_limits(self) -> None:
        """Each gate counts what is there and lets nothing in once it is full; no resource is over-committed (I8)."""
        state = self.bench.state
        counts = dict.fromkeys((*state.hall.lines, *(f"{q}/{k}" for q in QUEUES for k in "xy")), 0)
        for kind in self.holders():
            counts[kind.queue] += 1
            if kind.key:
                counts[f"{kind.queue}/{kind.key}"] += 1
        for name, line in state.lines.items():
            limits = [(name, line.gate), *((f"{name}/{key}", line.gates.get(("key", key))) for key in "xy")]
            for what, gate in limits:
                if gate is not None:
                    assert gate.running == counts[what]
                    assert gate.running <= max(gate.limit or 99, self.held.get(what, 0))
        self.held = counts
        for name, (_, capacity) in state.resources.capacity.items():
            held = [amount for kind in self.holders() for other, amount in kind.resources if other == name]
            held += [
                amount
                for each in state.resources.held.values()
                for other, amount in each.amounts
                if other == name
            ]
            assert sum(held) <= capacity
            assert state.resources.used(name) == sum(held)

    def check_keys(self) -> None:
        """No two jobs that live, or wait, have one key."""
        for scope in (Scope.LIVE, Scope.PENDING):
            having = [
                job.queue
                for job in self.bench.state.jobs.values()
                if job.course.unique
                and job.course.scope is scope
                and (scope is Scope.LIVE or job.has_not_begun)
            ]
            assert len(having) == len(set(having))

    def check_that_nobody_waits_for_nothing(self) -> None:
        """With a worker free, every ready job of a served queue is held back by something that can be named."""
        bench, state = self.bench, self.bench.state
        if bench.capacity <= len(state.running) + len(state.zombies) - state.riders:
            return
        wanting: set[str] = {name for each in state.resources.waiting.values() for name, _ in each.amounts}
        served = [
            line
            for line in state.lines.values()
            if not line.paused and (bench.served is None or line.name in bench.served)
        ]
        open_lines = [line for line in served if line.gate is None or not line.gate.opens_us(bench.now_us)]
        lanes = sorted((lane for line in open_lines for lane in line.active), key=lambda lane: lane.place)
        for lane in lanes:
            if any(gate.opens_us(bench.now_us) for gate in lane.gates):
                continue
            names = {name for name, _ in lane.needs}
            assert names, f"{lane.kind} is held back by nothing"
            assert names & wanting or not state.resources.are_free(lane.needs), lane.kind
            wanting |= names


ACTIONS: tuple[str, ...] = (
    "enqueue",
    "enqueue",
    "follow",
    "finish",
    "finish",
    "finish",
    "stale",
    "lease",
    "settle",
)
ACTIONS += ("change", "change", "order", "time", "end", "limit", "limit")
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 11), st.integers(0, 11)), min_size=1, max_size=60
)
