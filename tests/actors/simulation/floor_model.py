"""What a queue with workers is, as plainly as it can be said: everybody is looked at, each time.

It is told which calls were begun, and says whether they may be: of the first ones of several queues it is not always
said who goes before whom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from itertools import chain, takewhile

from msgspec.structs import replace

from actors.queue.outcome import DEFAULT
from actors.queue.specs import (
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
)
from actors.runtime.effects import GIVE_UP, RETRY, SNOOZE
from tests.actors.simulation.queue_model import Model, ModelJob, Refused

Call = list[tuple[str, int]]
"""The attempts that are made in one call: job and number."""
NOTHING = Terms()
FOR_EVER = JobLife()
AFTER_US = 3_000_000
"""After how long a job asks to be called again."""
NOT_BEGUN = (JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.RETRYING, JobStatus.UNRESOLVED)


@dataclass
class Worked(ModelJob):
    """A job that workers take."""

    spec: JobSpec = None  # type: ignore[assignment]  # always given
    expires_us: int = 0
    deadline_us: int = 0
    deadline_set: int = 0
    """Deadlines of one instant come in the order in which they were set."""
    pulse_us: int = 0
    started: int = 0
    call: int = 0
    """Attempts that are made in one call have the same."""
    suspect: bool = False

    @property
    def terms(self) -> Terms:
        return self.spec.terms or NOTHING

    @property
    def life(self) -> JobLife:
        return self.spec.life or FOR_EVER

    @property
    def rank(self) -> tuple[int, int]:
        return (-self.priority, self.place)

    @property
    def goes_alone(self) -> bool:
        return bool(self.charged) or self.suspect

    def is_like(self, other: Worked) -> bool:
        """Whether both may be made in one call."""
        mine, theirs = (
            (
                job.spec.function,
                job.priority,
                job.retry,
                replace(job.terms, unique=None, on_failure_of=""),
                replace(job.life, expires_us=0, expires_in_us=0),
            )
            for job in (self, other)
        )
        return mine == theirs


@dataclass
class Zombie:
    """An attempt that nobody waits for and that has not ended."""

    job_id: str
    attempt: int
    spec: JobSpec


@dataclass
class Floor(Model):
    """All queues, and the workers that serve them."""

    workers: int = 2
    capacity: float = 2.0
    """Of the one resource."""
    zombies: list[Zombie] = field(default_factory=list)
    turn: dict[str, int] = field(default_factory=dict)
    turns: dict[tuple[str, str], int] = field(default_factory=dict)
    starts: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """When jobs of a queue began, and of a key of it."""
    dues: dict[str, list[int]] = field(default_factory=dict)
    """When retries of a queue fall due that has a rate of them."""
    held: dict[str, float] = field(default_factory=dict)
    """How much of the resource is held by hand, by the name of the allocation."""
    line: dict[str, float] = field(default_factory=dict)
    """The same of those who wait for it by hand."""
    numbers: int = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    # -- what there is ------------------------------------------------------------------------------------

    @property
    def all(self) -> list[Worked]:
        return list(self.jobs.values())  # type: ignore[arg-type]

    @property
    def running(self) -> list[Worked]:
        found = [job for job in self.all if job.status is JobStatus.RUNNING]
        return sorted(found, key=lambda job: job.started)

    @property
    def holders(self) -> list[JobSpec]:
        return [*(job.spec for job in self.running), *(zombie.spec for zombie in self.zombies)]

    @property
    def used(self) -> float:
        at_work = sum(amount for spec in self.holders for _, amount in (spec.terms or NOTHING).resources)
        return at_work + sum(self.held.values())

    def plan(self, queue: str) -> QueueSettings:
        return self.settings.get(queue, QueueSettings())

    def stand(self, job: ModelJob, status: JobStatus = JobStatus.PENDING) -> None:
        assert isinstance(job, Worked)
        is_new = not any(other is not job and self.is_of(other, job) for other in self.ready(job.queue))
        self.places = max(self.places + 1, self.now_us)
        job.place = self.places
        job.status = status
        if status is JobStatus.PENDING and not job.waits and is_new:
            turn = self.turn.get(job.queue, 0)
            name = (job.queue, job.terms.group)
            if self.turns.get(name, 0) < turn:
                self.turns[name] = turn

    @staticmethod
    def is_of(other: ModelJob, job: Worked) -> bool:
        assert isinstance(other, Worked)
        return other.terms.group == job.terms.group

    # -- enqueueing ---------------------------------------------------------------------------------------

    def enqueue(self, specs: Iterable[JobSpec]) -> list[str]:
        specs = list(specs)
        taken: dict[tuple[str, str], str] = {}
        gone: set[str] = set()
        ids = []
        for spec in specs:
            self.check(spec)
            ids.append(self._take_in(spec, taken, gone))
        new = [spec for spec in specs if spec.job_id in self.jobs]
        if any(other in gone for spec in new for other in self.waited_for(spec)):
            raise Refused
        return ids

    def check(self, spec: JobSpec) -> None:
        life = spec.life or FOR_EVER
        if 0 < life.expiry_us(self.now_us) <= spec.due_us:
            raise Refused
        if any(amount > self.capacity for _, amount in (spec.terms or NOTHING).resources):
            raise Refused

    @staticmethod
    def waited_for(spec: JobSpec) -> list[str]:
        return [each for each in (*spec.after, (spec.terms or NOTHING).on_failure_of) if each]

    def _take_in(self, spec: JobSpec, taken: dict[tuple[str, str], str], gone: set[str]) -> str:
        terms = spec.terms or NOTHING
        unique = terms.unique
        if unique is not None:
            name = (spec.queue, unique.key)
            other = self.holder(*name)
            if name in taken:
                if unique.conflict is not Conflict.RETURN:
                    raise Refused
                return taken[name]
            if other is not None and other.job_id not in gone:
                if unique.conflict is Conflict.RETURN:
                    return other.job_id
                if unique.conflict is Conflict.REJECT or (other.live and other.attempt):
                    raise Refused
                del other.keys[spec.queue]
                if other.live:
                    live = {job.job_id for job in self.all if job.live}
                    self.end(other, JobStatus.CANCELLED)
                    gone |= live - {job.job_id for job in self.all if job.live}
            taken[name] = spec.job_id
        job = Worked(
            spec.job_id,
            spec.queue,
            spec.priority,
            spec.retry,
            terms.key,
            unique,
            terms.on_failure_of,
            self.waited_for(spec),
            spec=spec,
        )
        self.jobs[spec.job_id] = job
        self.take_key(job)
        job.due_us = spec.due_us
        job.expires_us = (spec.life or FOR_EVER).expiry_us(self.now_us)
        self.set_deadline(job, job.expires_us)
        self.stand(job, JobStatus.SCHEDULED if spec.due_us > self.now_us else JobStatus.PENDING)
        return spec.job_id

    def set_deadline(self, job: Worked, at_us: int) -> None:
        if job.deadline_us != at_us:
            job.deadline_us, job.deadline_set = at_us, self.number()

    # -- who starts ---------------------------------------------------------------------------------------

    def start_all(self, calls: list[Call]) -> None:
        """Take in the calls that were begun, as far as each was for whoever may be next."""
        self.meet_deadlines()
        self.let_in()
        while calls and len(self.at_work) < self.workers and self.may_be_next(calls[0]):
            self.begin(calls.pop(0))

    @property
    def at_work(self) -> set[int]:
        """The calls that go on."""
        return {job.call for job in self.running}

    def begin(self, call: Call) -> None:
        """Begin a call with whoever is to go along with its first job."""
        first = self.jobs[call[0][0]]
        assert isinstance(first, Worked)
        self.start(first)
        together = [first]
        while len(together) < first.terms.batch and not first.goes_alone:
            mate = self.mate_of(first)
            may_stay = mate is not None and self.is_perhaps_behind(mate)
            if mate is None or (may_stay and len(together) == len(call)):
                break
            self.start(mate)
            mate.call = first.call
            together.append(mate)
        assert [(job.job_id, job.attempt) for job in together] == call

    def mate_of(self, job: Worked) -> Worked | None:
        """Return who goes along with a job in one call: the first one like it, whoever else is before that."""
        alike = (other for other in self.ready(job.queue) if isinstance(other, Worked) and job.is_like(other))
        mate = next(alike, None)
        if mate is None or mate.goes_alone or self.is_held_back(mate) or not self.fits(mate):
            return None
        plan = self.plan(job.queue)
        return mate if self.lets_through(plan.concurrency, plan.rate, job.queue) else None

    def open_lines(self) -> dict[str, list[Worked]]:
        """Return the ready jobs of each queue that may start some, in its order."""
        lines: dict[str, list[Worked]] = {}
        for queue in {job.queue for job in self.all} - self.paused:
            if self.lets_through(self.plan(queue).concurrency, self.plan(queue).rate, queue):
                ready: list[Worked] = self.ready(queue)  # type: ignore[assignment]
                lines[queue] = sorted(ready, key=self.turn_of)
        return lines

    def may_be_next(self, call: Call) -> bool:
        """Whether the first job of a call may start before all others.

        Within a queue its order says who does. Of the first ones of several queues, whoever is first by priority and
        age; but a queue whose order is another one (groups take turns, or ageing counts) may have been looked at as far
        as to somebody behind whom nobody else was seen, or further. So others count only if all who stand before them
        in their own queue would come before this one, too; there, that is nearly all.
        """
        lines, job = self.open_lines(), self.jobs.get(call[0][0])
        if not isinstance(job, Worked) or job not in lines.get(job.queue, ()):
            return False
        before = takewhile(lambda other: other is not job, lines[job.queue])
        reached = [
            takewhile(lambda other: other.rank < job.rank, line)
            for queue, line in lines.items()
            if queue != job.queue
        ]
        earlier = [other for other in before if not self.is_held_back(other)]
        if job.terms.resources and any(other.terms.resources for other in earlier):
            return False
        others = [other for other in chain(earlier, *reached) if not self.is_held_back(other)]
        if any(self.fits(other) and not self.is_perhaps_behind(other) for other in others):
            return False
        if job.terms.resources and any(not self.fits(other) for other in others):
            return False
        return self.fits(job) and not self.is_held_back(job)

    def is_perhaps_behind(self, job: Worked) -> bool:
        """Whether somebody is before it who needs some of the resource, too, and may have been found to wait for it."""
        if not job.terms.resources:
            return False
        for queue, line in self.open_lines().items():
            for other in line:
                is_before = (
                    self.turn_of(other) < self.turn_of(job) if queue == job.queue else other.rank < job.rank
                )
                if is_before and other.terms.resources and not self.is_held_back(other):
                    return True
        return False

    def could_start(self) -> list[Worked]:
        """Return whom nothing holds back, though everybody else who is held back waits where it has to."""
        lines, waiting = self.open_lines(), dict[str, Worked]()
        while held := [line for line in lines.values() if line and self.has_to_wait(line[0], waiting)]:
            for line in held:
                job = line.pop(0)
                if not self.is_held_back(job):
                    waiting.setdefault(job.queue, job)
        return [line[0] for line in lines.values() if line]

    def has_to_wait(self, job: Worked, waiting: dict[str, Worked]) -> bool:
        """Whether a limit, a resource, or somebody of `waiting` keeps a job from starting.

        `waiting`: of each queue the first who is to have some of the resource.
        """
        earlier = any(other.rank < job.rank for other in waiting.values())
        is_behind = bool(job.terms.resources) and (job.queue in waiting or earlier)
        return self.is_held_back(job) or is_behind or not self.fits(job)

    def turn_of(self, job: Worked) -> tuple[int, int, int]:
        ageing_us = self.plan(job.queue).ageing_us
        level = job.place // ageing_us - job.priority if ageing_us else -job.priority
        return (level, self.turns.get((job.queue, job.terms.group), 0), job.place)

    def fits(self, job: Worked) -> bool:
        """Whether there is enough of the resource, and nobody waits for it by hand."""
        return all(amount + self.used <= self.capacity and not self.line for _, amount in job.terms.resources)

    def is_held_back(self, job: Worked) -> bool:
        plan = self.plan(job.queue)
        same_function = sum(
            spec.queue == job.queue and spec.function == job.spec.function for spec in self.holders
        )
        limit = dict(plan.function_concurrency).get(job.spec.function, 0)
        if limit and same_function >= limit:
            return True
        return bool(job.key) and not self.lets_through(
            plan.key_concurrency, plan.key_rate, job.queue, job.key
        )

    def lets_through(self, limit: int, rate: Rate | None, queue: str, key: str = "") -> bool:
        mine = [spec for spec in self.holders if spec.queue == queue]
        if key:
            mine = [spec for spec in mine if (spec.terms or NOTHING).key == key]
        if limit and len(mine) >= limit:
            return False
        starts = self.starts.get((queue, key), [])
        if rate is None:
            return True
        if not rate.burst:
            return sum(start > self.now_us - rate.per_us for start in starts) < rate.count
        return self.tokens(rate, starts) >= 1

    def tokens(self, rate: Rate, starts: list[int]) -> Fraction:
        """Count the tokens of a bucket that was full before the first start."""
        tokens, before = Fraction(rate.burst), 0
        for start in (*starts, self.now_us):
            tokens = min(Fraction(rate.burst), tokens + Fraction((start - before) * rate.count, rate.per_us))
            before = start
            tokens -= 1
        return tokens + 1

    def start(self, job: Worked) -> None:
        plan = self.plan(job.queue)
        if plan.rate is not None:
            self.starts.setdefault((job.queue, ""), []).append(self.now_us)
        if job.key and plan.key_rate is not None:
            self.starts.setdefault((job.queue, job.key), []).append(self.now_us)
        job.status = JobStatus.RUNNING
        job.attempt += 1
        job.started = job.call = self.number()
        job.pulse_us = self.now_us
        if job.unique is not None and job.unique.scope is Scope.PENDING:
            job.keys.clear()
        self.set_deadline(job, self.now_us + job.life.timeout_us if job.life.timeout_us else 0)
        self.serve(job.queue, job.terms.group)

    def serve(self, queue: str, group: str) -> None:
        turn = self.turn.get(queue, 0)
        if not group and not turn and not any(name == queue for name, _ in self.turns):
            return
        self.turn[queue] = max(self.turns.get((queue, group), 0), turn)
        weight = dict(self.plan(queue).weights).get(group, 1)
        self.turns[queue, group] = self.turn[queue] + 1_000_000 // weight
        if not self.ready(queue):
            at_work = {(spec.queue, (spec.terms or NOTHING).group) for spec in self.holders} | {(queue, "")}
            self.turns = {
                name: turn for name, turn in self.turns.items() if name[0] != queue or name in at_work
            }

    # -- how attempts end ---------------------------------------------------------------------------------

    def finish(self, job: Worked, outcome: str) -> None:
        if outcome == "returned":
            self.wait_again(job)
            self.stand(job)
        elif outcome == "unresolved":
            self.wait_again(job)
            job.status = JobStatus.UNRESOLVED
            job.place = self.number()
        elif outcome == SNOOZE:
            self.wait_again(job)
            job.due_us = self.now_us + AFTER_US
            self.stand(job, JobStatus.SCHEDULED)
        elif outcome == "ok":
            job.charged += 1
            self.end(job, JobStatus.COMPLETED)
        else:
            self.fail(job, outcome)

    def fail(self, job: Worked, advice: str = "error") -> None:
        job.charged += 1
        policy = self.policy(job)
        if job.charged > policy.max_retries or advice == GIVE_UP:
            self.end(job, JobStatus.FAILED)
            return
        delay_us = AFTER_US if advice == RETRY else self.delay_us(job, policy)
        self.retried[job.queue] += 1
        self.wait_again(job)
        job.due_us = self.with_room_us(job.queue, self.now_us + delay_us)
        self.stand(job, JobStatus.RETRYING if job.due_us > self.now_us else JobStatus.PENDING)

    @staticmethod
    def delay_us(job: Worked, policy: RetryPolicy) -> int:
        """Return the delay before the next try; what is drawn is the same each time for one failure of one job."""
        backoff = job.terms.backoff or Backoff("exponential", jitter=True)
        factor = {"fixed": 1, "linear": job.charged, "exponential": 1 << (job.charged - 1), "list": 0}
        delay_us = policy.base_us * factor[backoff.shape]
        if backoff.shape == "list":
            delay_us = (*backoff.delays, *[backoff.delays[-1]] * job.charged)[job.charged - 1]
        elif backoff.shape != "fixed":
            delay_us = min(delay_us, policy.cap_us)
        if not backoff.jitter or not delay_us:
            return delay_us
        drawn = blake2b(f"{job.job_id}/{job.charged}".encode(), digest_size=8)
        return max(1, int(Fraction(int(drawn.hexdigest(), 16), 2**64) * delay_us))

    def with_room_us(self, queue: str, due_us: int) -> int:
        """Return when a retry may be: in the first span with room for it, the others there being spread evenly."""
        rate = self.plan(queue).retry_rate
        if rate is None:
            return due_us
        dues = self.dues.setdefault(queue, [])
        span = due_us // rate.per_us
        while (there := sum(other // rate.per_us == span for other in dues)) >= rate.count:
            span += 1
        dues.append(max(due_us, span * rate.per_us + there * rate.per_us // rate.count))
        return dues[-1]

    def policy(self, job: ModelJob) -> RetryPolicy:
        own = self.plan(job.queue).retry
        says_nothing = job.retry == DEFAULT and isinstance(job, Worked) and job.terms.backoff is None
        return own if own is not None and says_nothing else job.retry

    def wait_again(self, job: Worked) -> None:
        """Leave the workers, and have the deadline of one who waits."""
        job.status = JobStatus.SCHEDULED
        self.set_deadline(job, job.expires_us)

    def abandon(self, job: Worked) -> None:
        self.zombies.append(Zombie(job.job_id, job.attempt, job.spec))

    def cancel(self, job: Worked) -> None:
        if job.status is JobStatus.RUNNING:
            self.abandon(job)
        self.end(job, JobStatus.CANCELLED)

    def end(self, job: ModelJob, status: JobStatus) -> None:
        assert isinstance(job, Worked)
        job.deadline_us = job.expires_us = 0
        super().end(job, status)

    def retry_job(self, job: Worked) -> None:
        if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED):
            raise Refused
        if job.unique is not None and self.holder(job.queue, job.unique.key) not in (None, job):
            raise Refused
        if any(amount > self.capacity for _, amount in job.terms.resources):
            raise Refused
        job.waits, job.charged, job.due_us, job.suspect = [], 0, 0, False
        terms = job.spec.terms and replace(job.spec.terms, on_failure_of="")
        job.spec = replace(job.spec, after=(), terms=terms)
        job.on_failure_of = ""
        self.take_key(job)
        self.stand(job)

    def move(self, jobs: list[ModelJob], queue: str, *, strict: bool) -> tuple[str, ...]:
        moved = super().move(jobs, queue, strict=strict)
        for job_id in moved:
            job = self.jobs[job_id]
            assert isinstance(job, Worked)
            job.spec = replace(job.spec, queue=queue)
            if job.status is JobStatus.UNRESOLVED:
                job.place = self.number()
        return moved

    def discard(self, job: ModelJob) -> None:
        if job.status is JobStatus.UNRESOLVED:
            self.end(job, JobStatus.CANCELLED)
        elif job.status in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED):
            job.status = JobStatus.CANCELLED
        else:
            raise Refused

    def clear(self, queue: str) -> int:
        gone = self.of(queue, *NOT_BEGUN)
        for job in gone:
            if job.live:
                self.end(job, JobStatus.CANCELLED)
        return len(gone)

    def configure(self, queue: str, settings: QueueSettings) -> None:
        before = self.plan(queue)
        keys = [name for name in self.starts if name[0] == queue]
        for name in keys:
            same = before.key_rate == settings.key_rate if name[1] else before.rate == settings.rate
            if not same:
                del self.starts[name]
        if before.retry_rate != settings.retry_rate:
            self.dues.pop(queue, None)
        self.settings[queue] = settings

    # -- the resource, by hand ----------------------------------------------------------------------------

    def allocate(self, name: str, amount: float, *, wait: bool) -> bool:
        if name in self.held or name in self.line:
            return name in self.held
        if amount > self.capacity:
            raise Refused
        granted = not self.line and self.used + amount <= self.capacity
        if granted or wait:
            (self.held if granted else self.line)[name] = amount
        return granted

    def release(self, name: str) -> bool:
        there = self.held.pop(name, None) or self.line.pop(name, None)
        self.let_in()
        return there is not None

    def let_in(self) -> None:
        """Grant in the order of the line; nobody overtakes."""
        for name, amount in list(self.line.items()):
            if self.used + amount > self.capacity:
                return
            self.held[name] = self.line.pop(name)

    def resize(self, capacity: float) -> None:
        live = [job.spec for job in self.all if job.live]
        wanted = [
            amount for spec in (*live, *self.holders) for _, amount in (spec.terms or NOTHING).resources
        ]
        wanted += self.line.values()
        if capacity == self.capacity:
            return
        if capacity < self.used or capacity < max(wanted, default=0):
            raise Refused
        self.capacity = capacity

    # -- time and death -----------------------------------------------------------------------------------

    def pass_time(self, by_us: int) -> None:
        self.now_us += by_us
        for job in sorted(self.all, key=lambda job: (job.due_us, job.place)):
            if job.status in (JobStatus.SCHEDULED, JobStatus.RETRYING) and job.due_us <= self.now_us:
                self.stand(job)
        self.meet_deadlines()
        for job in self.running:
            if job.life.heartbeat_us and job.pulse_us + job.life.heartbeat_us <= self.now_us:
                self.abandon(job)
                self.fail(job)
        self.meet_deadlines()

    def meet_deadlines(self) -> None:
        while late := [job for job in self.all if job.live and 0 < job.deadline_us <= self.now_us]:
            for job in sorted(late, key=lambda job: (job.deadline_us, job.deadline_set)):
                if not job.live:
                    continue
                if job.status is JobStatus.RUNNING:
                    self.abandon(job)
                    self.fail(job)
                else:
                    self.end(job, JobStatus.EXPIRED)

    def crash(self) -> None:
        for job in self.running:
            job.suspect = True
            job.status = JobStatus.SCHEDULED
            self.set_deadline(job, job.expires_us)
            self.interrupt(job)
        self.zombies.clear()
        self.held.clear()
        self.line.clear()
        self.look_once_more()

    def look_once_more(self, functions: Iterable[str] = ()) -> None:
        """Try functions again that could not be found: somebody may have put them there.

        In the order in which they are named; else as they came to be waited for.
        """
        unresolved = sorted(
            (job for job in self.all if job.status is JobStatus.UNRESOLVED), key=lambda job: job.place
        )
        for function in functions or dict.fromkeys(job.spec.function for job in unresolved):
            for job in unresolved:
                if job.spec.function == function:
                    self.stand(job)
