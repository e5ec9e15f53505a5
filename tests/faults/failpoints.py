"""The child that kills itself at a named point: the real classes, with one method wrapped beforehand.

Run as `python -m tests.faults.failpoints STORE LINES ORDER PLACE WHAT NTH`. The order is a job or a run with
an id of its own; the child says what was answered, then how it ended, then closes. With the place `nowhere`
nothing happens to it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from actors.queue.decider import QueueRules
from actors.queue.messages import EnqueueJobs
from actors.queue.specs import RetryPolicy
from actors.queue.trampoline import Trampoline
from actors.runtime import engine as engine_module
from actors.runtime.actor import EventSourcedActor
from actors.runtime.engine import Runtime
from actors.runtime.journal import Item, Journal
from actors.runtime.messages import Message
from actors.runtime.values import encode_call
from actors.workflow.decider import SupervisorRules
from actors.workflow.messages import StartRun
from actors.workflow.specs import Plan, PlanStep
from eventstore.codec import EventCodec
from eventstore.lmdb_log import LmdbLog
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job_scheduler import JobScheduler
from tests.faults import tasks
from tests.faults.children import say
from tests.faults.evidence import tag_of

PAGE = 4096


def die() -> None:
    """End as `kill -9` ends a process: here and now."""
    os.kill(os.getpid(), signal.SIGKILL)


class Trigger:
    """Kills the process when it is passed for the n-th time."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self._lock = threading.Lock()

    def passes(self) -> bool:
        """Count one passage; True if it is the last one."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def __call__(self) -> None:
        """Count one passage, and die if it is the one."""
        if self.passes():
            die()


Place = Callable[[str, Trigger], None]


def before(owner: Any, name: str, trigger: Trigger, applies: Callable[..., bool]) -> None:
    """Die instead of a call of a method."""
    original = getattr(owner, name)

    def patched(*given: Any, **named: Any) -> Any:
        if applies(*given, **named):
            trigger()
        return original(*given, **named)

    setattr(owner, name, patched)


def after(owner: Any, name: str, trigger: Trigger, applies: Callable[..., bool]) -> None:
    """Die when a method has done its work, before it returns."""
    original = getattr(owner, name)

    def patched(*given: Any, **named: Any) -> Any:
        result = original(*given, **named)
        if applies(*given, **named):
            trigger()
        return result

    setattr(owner, name, patched)


# -- the life of a message ------------------------------------------------------------------------------------


def _is(message: Message, what: str) -> bool:
    return type(message).__name__ == what


def taken(what: str, trigger: Trigger) -> None:
    """An actor has the message in its hands, and has done nothing yet."""
    before(
        EventSourcedActor,
        "on_receive",
        trigger,
        lambda _self, letters: any(_is(letter.message, what) for letter in letters),
    )


def decided(what: str, trigger: Trigger) -> None:
    """The rules have decided; nothing was applied, nothing handed over."""
    for rules in (QueueRules, SupervisorRules):
        after(rules, "decide", trigger, lambda _self, _state, message, _context: _is(message, what))


# -- the life of an event -------------------------------------------------------------------------------------


def _has(item: Item, what: str) -> bool:
    return any(tag_of(event) == what for event in item.events)


def handing_over(what: str, trigger: Trigger) -> None:
    """The actor's state has the event, the journal does not."""
    before(Journal, "hand_over", trigger, lambda _self, item: _has(item, what))


def handed_over(what: str, trigger: Trigger) -> None:
    """The journal has the event in its inbox; peers were not told."""
    after(Journal, "hand_over", trigger, lambda _self, item: _has(item, what))


def committing(what: str, trigger: Trigger) -> None:
    """The journal has a batch with the event, and has written nothing."""
    before(Journal, "commit", trigger, lambda _self, batch: any(_has(item, what) for item in batch))


def _in_commit(what: str, trigger: Trigger, act: Callable[[Callable[[], None]], None]) -> None:
    """Have `act` do the engine's commit of the frame with the event."""
    commit_batch = Journal.commit
    commit = LmdbLog._commit
    chosen = threading.Event()

    def choosing(journal: Journal, batch: Sequence[Item]) -> None:
        if any(_has(item, what) for item in batch) and trigger.passes():
            chosen.set()
        commit_batch(journal, batch)

    def committing_now(log: LmdbLog, transaction: Any) -> None:
        if chosen.is_set():
            act(lambda: commit(log, transaction))
        commit(log, transaction)

    setattr(Journal, "commit", choosing)  # noqa: B010 -- not an assignment that types could follow
    setattr(LmdbLog, "_commit", committing_now)  # noqa: B010


def put(what: str, trigger: Trigger) -> None:
    """The frame is in the engine's transaction, which is not committed."""
    _in_commit(what, trigger, lambda _commit: die())


def inside_commit(what: str, trigger: Trigger) -> None:
    """Somewhere between two system calls of the commit: the kernel kills at the first write of a new page.

    A limit on the file's size, with the signal's own action: a page that would make the file longer is fatal.
    """

    def act(commit: Callable[[], None]) -> None:
        pages = Path(sys.argv[1], "data.mdb").stat().st_size // PAGE
        resource.setrlimit(resource.RLIMIT_FSIZE, (pages // 2 * PAGE, pages // 2 * PAGE))
        try:
            commit()
        finally:
            die()  # a write that began before the limit is cut short instead: half a page on disk

    _in_commit(what, trigger, act)


def during_commit(delay_us: str) -> Place:
    """Some microseconds after the commit began, which takes a few hundred."""

    def place(what: str, trigger: Trigger) -> None:
        def act(commit: Callable[[], None]) -> None:
            killer = threading.Timer(int(delay_us) / 1e6, die)
            killer.start()
            commit()
            killer.join()

        _in_commit(what, trigger, act)

    return place


def synced(what: str, trigger: Trigger) -> None:
    """The frame is on disk; the log's own handle does not know it yet."""

    def act(commit: Callable[[], None]) -> None:
        commit()
        die()

    _in_commit(what, trigger, act)


def committed(what: str, trigger: Trigger) -> None:
    """The frame is durable, and nothing was let out."""
    before(Journal, "release", trigger, lambda _self, batch: any(_has(item, what) for item in batch))


def _while_releasing(what: str, trigger: Trigger, last: str) -> None:
    release = Journal.release

    def releasing(journal: Journal, batch: Sequence[Item]) -> Iterator[str]:
        concerned = any(_has(item, what) for item in batch)
        for let_out in release(journal, batch):
            if concerned and let_out == last:
                trigger()
            yield let_out

    setattr(Journal, "release", releasing)  # noqa: B010


def effect_out(what: str, trigger: Trigger) -> None:
    """An effect of the frame was carried out, a reply was not given."""
    _while_releasing(what, trigger, "effect")


def replied(what: str, trigger: Trigger) -> None:
    """The caller was answered."""
    _while_releasing(what, trigger, "reply")


def released(what: str, trigger: Trigger) -> None:
    """Everything was let out, subscribers were told."""
    _while_releasing(what, trigger, "published")


# -- the life of an attempt -----------------------------------------------------------------------------------


def _always(*_given: Any, **_named: Any) -> bool:
    return True


def submitted(_what: str, trigger: Trigger) -> None:
    """A worker has the attempt, the function has not begun."""
    before(Trampoline, "__call__", trigger, _always)


def running(_what: str, trigger: Trigger) -> None:
    """The function is at work."""
    after(tasks, "note", trigger, _always)


def ended(_what: str, trigger: Trigger) -> None:
    """The function has ended, nobody was told."""
    after(Trampoline, "__call__", trigger, _always)


# -- opening and closing --------------------------------------------------------------------------------------


def before_barrier(_what: str, trigger: Trigger) -> None:
    """The log was folded, nothing written."""
    before(Runtime, "write_barrier", trigger, _always)


def after_barrier(_what: str, trigger: Trigger) -> None:
    """The epoch is raised, no actor started."""
    after(Runtime, "write_barrier", trigger, _always)


def folding(_what: str, trigger: Trigger) -> None:
    """In the middle of the replay: the n-th frame was read."""
    after(EventCodec, "decode_frame", trigger, _always)


def folded(_what: str, trigger: Trigger) -> None:
    """The replay is over, no actor has begun."""
    after(engine_module, "replay", trigger, _always)


def resuming(_what: str, trigger: Trigger) -> None:
    """An actor has said what is owed, and handed nothing over."""
    for rules in (QueueRules, SupervisorRules):
        after(rules, "pending", trigger, _always)


def closing(_what: str, trigger: Trigger) -> None:
    """Everything is stopped, the end is not recorded."""
    before(Runtime, "_write_last", trigger, _always)


def closed(_what: str, trigger: Trigger) -> None:
    """The end is recorded, the store still open."""
    after(Runtime, "_write_last", trigger, _always)


def nowhere(_what: str, _trigger: Trigger) -> None:
    """Live on."""


PLACES: dict[str, Place] = {
    place.__name__: place
    for place in (
        taken, decided, handing_over, handed_over, committing, put, inside_commit, synced, committed,
        effect_out, replied, released, submitted, running, ended, before_barrier, after_barrier, folding,
        folded, resuming, closing, closed, nowhere,
    )
}  # fmt: skip
"""Where the process may die, by name; `commit+N` is N µs into a commit."""

JOB_ID = "job-1"
RUN_ID = "run-1"


def order_of(kind: str, lines: str) -> Message:
    """Return the order: a job that fails once, or a run of two steps."""
    if kind == "job":
        return EnqueueJobs(jobs=(tasks.job(JOB_ID, lines, failures=1, retry=RetryPolicy(5, 0)),))
    payload = encode_call((lines,), {})
    function = f"{tasks.__name__}:step"
    steps = tuple(
        PlanStep(name, function, payload, needs, inputs=tasks.CONTEXT, retry=RetryPolicy(0, 0))
        for name, needs in (("first", ()), ("second", (0,)))
    )
    return StartRun(RUN_ID, Plan("chain", steps), "plan-1", b"\x80", blocking=False)


def main(store: str, lines: str, kind: str, death: tuple[str, str, int]) -> None:
    """Live, perhaps not long."""
    place, what, nth = death
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    name, _, delay_us = place.partition("+")
    (during_commit(delay_us) if delay_us else PLACES[name])(what, Trigger(nth))
    say("begin")
    with OrchestrationEngine(store, workers=2) as engine:
        say("open")
        JobScheduler(engine=engine).start("load")
        entity = f"job:{JOB_ID}" if kind == "job" else f"run:{RUN_ID}"
        ended_event = engine.watch(entity)
        say(f"answer {engine.send(order_of(kind, lines))!r}")
        past = [event for _, event in engine.history(entity) if event.final]
        end = past[0] if past else ended_event.get(20)
        say(f"end {tag_of(end)}")
    say("closed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], (sys.argv[4], sys.argv[5], int(sys.argv[6])))
