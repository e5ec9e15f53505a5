"""The one thread that writes the log, and the gate behind which everything waits until it is durable."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import EngineClosedError, unknown
from eventstore.errors import NotWrittenError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actors.runtime.clock import Clock
    from actors.runtime.messages import Effect, Event
    from actors.runtime.reply import Reply
    from eventstore.log import Log
    from eventstore.records import Record

logger = logging.getLogger("logistics.journal")

HOLD_S = 0.005
"""How long a batch that nobody waits for is held back for company (journal.md, section 5)."""
BATCH_RECORDS = 8_192
"""Records that one frame takes at most, unless a single item has more."""
DEFINITE_TRIES = 5
"""How often a batch that was certainly not written is tried again before it counts as failed."""


class Item:
    """Everything one actor's turn leaves behind: written in one frame or not at all (R3)."""

    __slots__ = (
        "attended",
        "effects",
        "events",
        "generation",
        "number",
        "position",
        "records",
        "replies",
        "snapshot",
        "urgent",
    )

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.number = 0
        self.records: list[Record] = []
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.replies: list[tuple[Reply, Any]] = []
        self.position = 0
        """Where the log ends with this item, once it is written: its own place, not that of its frame (R19)."""
        self.snapshot: tuple[str, bytes] | None = None
        self.urgent = False
        """Somebody waits for it: it is committed at once."""
        self.attended = False
        """Its actor calls `Journal.attend` when it has told its peers; the journal's thread need not wake."""

    @property
    def silent(self) -> bool:
        """True if it changes nothing: answers only."""
        return not (self.records or self.effects or self.snapshot)


class Failure:
    """Word of an actor that cannot go on: treated as a failed commit (R20)."""

    __slots__ = ("error", "generation")

    def __init__(self, generation: int, error: BaseException) -> None:
        self.generation = generation
        self.error = error


class _Stop:
    """Put last into the inbox: the journal ends when it gets here."""


def _nobody_comes(_error: BaseException) -> None:
    pass


def _nobody_waits(_events: Sequence[Event]) -> bool:
    return False


class Journal:
    """Takes items in the order of their hand-over, writes them in frames, and lets out what waited.

    One thread at a time commits (R24): the journal's own or, when there is nothing else to do, that of the
    actor which has just handed over (`attend`): a lonely caller is answered one hop between threads earlier.
    What goes wrong there is left to the journal's thread.

    The steps (`collect`, `commit`, `release`, `fail`) are methods of their own so that the simulator can
    run them one by one; `run` is the thread that strings them together.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        *,
        perform: Callable[[Effect], None],
        published: Callable[[Sequence[Event], int], None],
        recover: Callable[[BaseException], None],
        close_intake: Callable[[BaseException], None] = _nobody_comes,
        awaited: Callable[[Sequence[Event]], bool] = _nobody_waits,
        hold_s: float = HOLD_S,
    ) -> None:
        self._log = log
        self._clock = clock
        self._perform = perform
        self._published = published
        self._recover = recover
        self._close_intake = close_intake
        self._awaited = awaited
        self._hold_s = hold_s
        self._lock = threading.Lock()
        self._inbox: deque[Item | Failure | _Stop] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Wakes the journal's thread."""
        self._urgent = False
        """Whether somebody waits for something in the inbox."""
        self._broken: tuple[list[Item], Exception] | None = None
        """A commit that failed on an actor's thread."""
        self.committing = threading.Lock()
        """Held by whoever commits and lets out, until that is done."""
        self._numbers = 0
        self._accepting = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.epoch = 0
        self.expected = 0
        """Where the log ends, as we know it: the condition of the next append."""
        self.generation = 0
        self.durable = 0
        """Number of the newest item that is durable. Numbers are never used twice (R6)."""
        self.watermark = 0
        """Position of the newest event that counts as durable: readers stop here (R12)."""
        self.commits = 0
        """Frames written since the journal was made, for tests and metrics."""

    # -- the hand-over: called by actors ------------------------------------------------------------

    def hand_over(self, item: Item) -> int:
        """Take an item into the one inbox, in one step (R2); return its number, or 0 if it was refused.

        An item of another generation was decided on a state that no longer is (R10); its waiting callers
        are answered here.
        """
        if not item.urgent and self._awaited(item.events):
            item.urgent = True
        with self._lock:
            if self.admits(item):
                self._numbers += 1
                item.number = self._numbers
                self._urgent = self._urgent or item.urgent
                self._inbox.append(item)
                if not (item.attended and item.urgent):
                    self._ring()
                return item.number
        self.refuse(item)
        return 0

    def admits(self, item: Item) -> bool:
        """Whether an item was decided on a state that still is (R10)."""
        return self._accepting and item.generation == self.generation

    def fail_from(self, generation: int, error: BaseException) -> None:
        """Report that an actor of `generation` cannot go on."""
        self._put_last(Failure(generation, error))

    def _ring(self) -> None:
        """Wake the thread, once for all that it has not looked at: it looks again after each time."""
        if self._bell.empty():
            self._bell.put(None)

    def _put_last(self, ending: Failure | _Stop) -> None:
        with self._lock:  # else it is lost if a failed commit is clearing the inbox
            self._inbox.append(ending)
            self._urgent = True
        self._ring()

    def attend(self) -> None:
        """Commit what waits on the calling thread, unless somebody is at it: who is looks again afterwards."""
        if not self.committing.acquire(blocking=False):
            return
        try:
            batch = self._take()
            if batch:
                try:
                    self._write_and_release(batch)
                except Exception as error:  # noqa: BLE001 -- whatever a commit raises, its outcome is unknown
                    self._broken = (batch, error)
        finally:
            self.committing.release()
        if self._inbox or self._broken:
            self._ring()

    @contextmanager
    def alone(self, patience_s: float) -> Iterator[bool]:
        """Keep everybody else from committing; False, and nobody is kept, if that takes too long, or is over.

        What raises in there counts as a failed commit.
        """
        if not self.committing.acquire(timeout=patience_s):
            yield False
            return
        try:
            yield self._accepting and not self._broken
        except Exception as error:
            self._broken = ([], error)
            raise
        finally:
            self.committing.release()
            if self._inbox or self._broken:
                self._ring()

    def unwritten(self) -> list[Record]:
        """Return what was handed over, and is not yet written."""
        with self._lock:
            items = [each for each in self._inbox if isinstance(each, Item)]
        return [record for item in items for record in item.records]

    @property
    def backlog(self) -> int:
        """Items that wait to be written."""
        return len(self._inbox)

    @property
    def waiting(self) -> bool:
        """Whether there is something to collect, or the end of something."""
        return bool(self._inbox or self._broken)

    @staticmethod
    def refuse(item: Item, error: BaseException | None = None) -> None:
        """Answer everybody who waits for an item that will not be written (R13)."""
        why = "" if error is None else f" ({error})"
        for reply, _ in item.replies:
            text = f"the engine was rebuilt before this was durable{why}; repeat with the same id"
            reply.fail(unknown(text, error))

    # -- the thread ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. The log is open, its barrier written and the actors folded."""
        self._thread = threading.Thread(target=self.run, name="logistics-journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, let it out, and end. Called when the actors have ended (R23)."""
        self._put_last(_Stop())
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join()
        with self._lock:
            self._accepting = False
        self._refuse_waiting(EngineClosedError("the engine was closed"))

    def run(self) -> None:
        """Collect, commit, release, until told to stop."""
        while True:
            self._wait()
            with self.committing:
                if self._is_over():
                    return

    def _is_over(self) -> bool:
        """Write and let out what waits, and answer for what went wrong; True if that was the end."""
        batch = self._take()
        try:
            if batch:
                self._write_and_release(batch)
            failure = self.ending()
        except Exception as error:  # noqa: BLE001 -- whatever a commit raises, its outcome is unknown
            self.fail(batch, error)
            return False
        if isinstance(failure, Failure) and failure.generation == self.generation:
            self.fail([], failure.error)
        return isinstance(failure, _Stop)

    def _wait(self) -> None:
        """Wait for something; hold it back a little if nobody waits for it, so that it finds company."""
        while not self.waiting:
            self._bell.get()
        deadline = time.monotonic() + self._hold_s
        while not self._urgent and len(self._inbox) < BATCH_RECORDS and not self._broken:
            try:
                self._bell.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return

    def _write_and_release(self, batch: Sequence[Item]) -> None:
        self.commit(batch)
        for _ in self.release(batch):
            pass

    def collect(self) -> list[Item]:
        """Wait for something and take all that waits."""
        self._wait()
        return self._take()

    def _take(self) -> list[Item]:
        """Take all that waits, in its order, up to what one frame may hold, a failure, or the end."""
        batch: list[Item] = []
        records = 0
        with self._lock:
            inbox = self._inbox
            while inbox and records < BATCH_RECORDS and not self._broken:
                item = inbox[0]
                if not isinstance(item, Item):
                    break
                batch.append(item)
                records += len(item.records)
                inbox.popleft()
            self._urgent = bool(inbox)
        return batch

    def ending(self) -> Failure | _Stop | None:
        """Take the failure or the stop that is next, if any; a commit that failed elsewhere is dealt with."""
        broken, self._broken = self._broken, None
        if broken is not None:
            self.fail(*broken)
        elif self._inbox and not isinstance(self._inbox[0], Item):
            return self._inbox.popleft()  # type: ignore[return-value]  # looked at in the line above
        return None

    def commit(self, batch: Sequence[Item]) -> None:
        """Write one frame, conditional on the head we know, and sync it. An item is never split (R3)."""
        records = [record for item in batch for record in item.records]
        position = self.expected
        for item in batch:
            position += len(item.records)
            item.position = position
        if records:
            self.append(records)
        self.durable = batch[-1].number

    def append(self, records: Sequence[Record]) -> None:
        """Append and sync; what was certainly not written is tried again, nothing else is (R11)."""
        head = self._log.head
        for left in range(DEFINITE_TRIES - 1, -1, -1):
            try:
                head = self._log.append(
                    records,
                    expected=self.expected,
                    epoch=self.epoch,
                    recorded_us=max(self._clock.now_us(), head.recorded_us),
                )
            except NotWrittenError:
                if not left:
                    raise
            else:
                break
        self.watermark = self.expected = head.position
        self.commits += 1

    def release(self, batch: Sequence[Item]) -> Iterator[str]:
        """Let out what depended on the frame, in log order: effects, replies, snapshots (R4)."""
        events = [event for item in batch for event in item.events]
        for item in batch:
            for effect in item.effects:
                try:
                    self._perform(effect)
                except Exception:
                    logger.exception("an effect could not be carried out: %r", effect)
                yield "effect"
            for reply, value in item.replies:
                reply.set(value)
                yield "reply"
            if item.snapshot is not None:
                self._save_snapshot(*item.snapshot, item.position)
                yield "snapshot"
        if events:
            self._published(events, self.watermark)
            yield "published"

    def _save_snapshot(self, name: str, data: bytes, position: int) -> None:
        try:
            self._log.save_snapshot(name, position, data)
        except StoreError:
            logger.warning(
                "the snapshot of %r could not be kept; work goes on without it", name, exc_info=True
            )

    # -- failure ----------------------------------------------------------------------------------------

    def fail(self, batch: Sequence[Item], error: BaseException) -> None:
        """Refuse all that is not durable, from whatever actor it came, and have the engine rebuilt (R11).

        First nobody is let in any more: who repeats what was refused is told that it was not taken.
        """
        logger.error("a commit failed; the engine is rebuilt from the log", exc_info=error)
        self._close_intake(error)
        self.close_gate()
        for item in batch:
            self.refuse(item, error)
        self._refuse_waiting(error)
        self._recover(error)

    def close_gate(self) -> None:
        """Begin a new generation: nothing that was decided before is taken any more (R10)."""
        with self._lock:
            self.generation += 1
            self._accepting = False

    def open_gate(self) -> None:
        """Take items of the present generation."""
        with self._lock:
            self._accepting = True

    def _refuse_waiting(self, error: BaseException) -> None:
        with self._lock:
            waiting = list(self._inbox)
            self._inbox.clear()
            self._inbox.extend(each for each in waiting if isinstance(each, _Stop))
        for item in waiting:
            if isinstance(item, Item):
                self.refuse(item, error)
