"""The journal on its own thread: order, company, refusal, and the one kind of failure that is tried again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from actors.runtime.clock import VirtualClock
from actors.runtime.effects import Acknowledge, AttemptKey, StartAttempt
from actors.runtime.journal import Item, Journal
from actors.runtime.messages import Effect, Event
from actors.runtime.reply import Reply
from eventstore.errors import NotWrittenError, OutcomeUnknownError
from eventstore.faulty_log import Fault, FaultyLog
from eventstore.memory_log import MemoryLog
from eventstore.records import Head, Record

KEY = AttemptKey("j", 1, 1)


class Rig:
    """A journal, and everything that it lets out, in order."""

    def __init__(self, log: FaultyLog, hold_s: float = 0.0) -> None:
        self.log = log
        self.out: list[object] = []
        self.recovered = threading.Event()
        self.journal = Journal(
            log,
            VirtualClock(),
            perform=self._perform,
            published=self._published,
            recover=self._recover,
            hold_s=hold_s,
        )
        self.journal.epoch = 1
        self.journal.open_gate()

    def _perform(self, effect: Effect) -> None:
        self.out.append(effect)

    def _published(self, events: Sequence[Event], watermark: int) -> None:
        self.out.append(watermark)

    def _recover(self, error: BaseException) -> None:
        self.out.append(type(error))
        self.log.reopen()
        self.journal.expected = self.log.head.position
        self.journal.open_gate()
        self.recovered.set()

    def item(self, *, records: int = 0, effect: Effect | None = None, reply: Reply | None = None) -> Item:
        item = Item(self.journal.generation)
        item.records = [Record("e", 1, "", "", b"\x91\xa1t")] * records
        item.effects = [effect] if effect else []
        item.replies = [(reply, "ok")] if reply else []
        item.urgent = bool(reply) or (effect is not None and effect.urgent)
        return item


@pytest.fixture
def run() -> Iterator[Callable[[Rig], None]]:
    rigs: list[Rig] = []

    def start(rig: Rig) -> None:
        rigs.append(rig)
        rig.journal.start()

    yield start
    for rig in rigs:
        rig.journal.stop()


def test_effects_and_replies_come_out_in_log_order_after_the_frame(run: Callable[[Rig], None]) -> None:
    rig, reply = Rig(FaultyLog(MemoryLog())), Reply()
    order: list[str] = []
    reply.when_done(lambda _reply: order.append(f"reply after {len(rig.out)}"))
    rig.journal.hand_over(rig.item(records=2, effect=StartAttempt(key=KEY)))
    rig.journal.hand_over(rig.item(records=1, reply=reply))
    run(rig)
    assert reply.get(10) == "ok"
    assert order == ["reply after 1"]
    assert rig.log.head.position == 3
    assert rig.journal.commits == 1


def test_what_nobody_waits_for_waits_for_company(run: Callable[[Rig], None]) -> None:
    rig, reply = Rig(FaultyLog(MemoryLog()), hold_s=30), Reply()
    run(rig)
    rig.journal.hand_over(rig.item(records=1, effect=Acknowledge(key=KEY)))
    rig.journal.hand_over(rig.item(records=1, reply=reply))
    assert reply.get(10) == "ok"
    assert rig.journal.commits == 1


def test_a_batch_that_was_certainly_not_written_is_tried_again(run: Callable[[Rig], None]) -> None:
    class Twice(FaultyLog):
        left = 2

        def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
            if self.left:
                self.left -= 1
                raise NotWrittenError("not now")
            return super().append(records, expected=expected, epoch=epoch, recorded_us=recorded_us)

    rig, reply = Rig(Twice(MemoryLog())), Reply()
    run(rig)
    rig.journal.hand_over(rig.item(records=1, reply=reply))
    assert reply.get(10) == "ok"
    assert not rig.recovered.is_set()


def test_after_a_failed_commit_everybody_who_waits_is_told_and_old_items_are_refused(
    run: Callable[[Rig], None],
) -> None:
    faults = [Fault.AFTER]
    rig = Rig(FaultyLog(MemoryLog(), lambda: faults.pop() if faults else Fault.OK))
    replies = [Reply() for _ in range(3)]
    for reply in replies[:2]:
        rig.journal.hand_over(rig.item(records=1, reply=reply))
    old = rig.item(records=1, reply=replies[2])
    run(rig)
    for reply in replies[:2]:
        with pytest.raises(OutcomeUnknownError, match="repeat with the same id"):
            reply.get(10)
    assert rig.recovered.wait(10)
    assert rig.journal.hand_over(old) == 0
    with pytest.raises(OutcomeUnknownError):
        replies[2].get(10)
    late = Reply()
    rig.journal.hand_over(rig.item(records=1, reply=late))
    assert late.get(10) == "ok"


def test_numbers_go_on_after_a_failure_and_positions_are_used_again(run: Callable[[Rig], None]) -> None:
    faults = [Fault.BEFORE]
    rig, reply = Rig(FaultyLog(MemoryLog(), lambda: faults.pop() if faults else Fault.OK)), Reply()
    failed = rig.item(records=1, reply=Reply())
    rig.journal.hand_over(failed)
    run(rig)
    assert rig.recovered.wait(10)
    item = rig.item(records=1, reply=reply)
    rig.journal.hand_over(item)
    reply.get(10)
    assert item.number > failed.number
    assert item.position == failed.position == 1


def test_an_effect_that_raises_does_not_stop_the_next_answer(run: Callable[[Rig], None]) -> None:
    rig, reply = Rig(FaultyLog(MemoryLog())), Reply()

    def fail(_effect: Effect) -> None:
        raise ValueError("no such executor")

    rig.journal._perform = fail
    run(rig)
    rig.journal.hand_over(rig.item(records=1, effect=StartAttempt(key=KEY)))
    rig.journal.hand_over(rig.item(records=1, reply=reply))
    assert reply.get(10) == "ok"


def test_stopping_writes_what_waits_and_refuses_what_comes_later() -> None:
    rig, early, late = Rig(FaultyLog(MemoryLog()), hold_s=30), Reply(), Reply()
    rig.journal.start()
    rig.journal.hand_over(rig.item(records=1))
    rig.journal.hand_over(rig.item(records=1, reply=early))
    rig.journal.stop()
    assert early.get(0) == "ok"
    assert rig.log.head.position == 2
    assert rig.journal.hand_over(rig.item(records=1, reply=late)) == 0
    with pytest.raises(OutcomeUnknownError):
        late.get(0)


def test_an_attended_item_is_committed_on_the_calling_thread() -> None:
    rig, reply = Rig(FaultyLog(MemoryLog())), Reply()
    item = rig.item(records=1, reply=reply)
    item.attended = True
    rig.journal.hand_over(item)
    rig.journal.attend()
    assert reply.get(0) == "ok"
    assert rig.journal.commits == 1


def test_who_attends_while_somebody_commits_leaves_it_to_them(run: Callable[[Rig], None]) -> None:
    rig, reply = Rig(FaultyLog(MemoryLog())), Reply()
    item = rig.item(records=1, reply=reply)
    item.attended = True
    with rig.journal.committing:
        rig.journal.hand_over(item)
        rig.journal.attend()
        assert not reply.done
    run(rig)
    assert reply.get(10) == "ok"


def test_a_commit_that_fails_on_the_calling_thread_is_dealt_with_on_the_journals(
    run: Callable[[Rig], None],
) -> None:
    faults = [Fault.BEFORE]
    rig = Rig(FaultyLog(MemoryLog(), lambda: faults.pop() if faults else Fault.OK))
    first, second, late = Reply(), Reply(), Reply()
    failing = rig.item(records=1, reply=first)
    failing.attended = True
    rig.journal.hand_over(failing)
    rig.journal.attend()
    rig.journal.hand_over(rig.item(records=1, reply=second))
    rig.journal.attend()
    assert not first.done
    assert not second.done
    run(rig)
    for reply in (first, second):
        with pytest.raises(OutcomeUnknownError, match="repeat with the same id"):
            reply.get(10)
    assert rig.recovered.wait(10)
    rig.journal.hand_over(rig.item(records=1, reply=late))
    assert late.get(10) == "ok"


def test_what_somebody_awaits_is_not_held_back(run: Callable[[Rig], None]) -> None:
    rig = Rig(FaultyLog(MemoryLog()), hold_s=30)
    rig.journal._awaited = lambda events: True
    run(rig)
    rig.journal.hand_over(rig.item(records=1, effect=Acknowledge(key=KEY)))
    rig.journal.stop()
    assert rig.out[:1] == [Acknowledge(key=KEY)]


def test_an_engine_that_is_closed_while_a_failed_commit_is_answered_for_ends() -> None:
    """R23: word of the end is not cleared away with what was refused; the one who closes would wait for ever."""
    rig = Rig(FaultyLog(MemoryLog()))
    closing = threading.Thread(target=rig.journal.stop)

    class Inbox(deque[Any]):
        def clear(self) -> None:
            if not closing.ident:
                closing.start()
                closing.join(0.02)  # as far as it gets
            super().clear()

    rig.journal._inbox = Inbox()
    rig.journal.fail([], OSError("planned"))
    closing.join()
    assert rig.journal.backlog == 1  # the word itself


def test_what_is_handed_over_while_the_thread_is_busy_wakes_it_once() -> None:
    """Else the bell would grow for as long as there is always something to write."""
    rig = Rig(FaultyLog(MemoryLog()))
    for _ in range(100):
        rig.journal.hand_over(rig.item(records=1))
    assert rig.journal._bell.qsize() == 1
    assert len(rig.journal.collect()) == 100
