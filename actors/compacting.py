"""Compactions from their plan to the free space: planned by a child process, carried out beside the actors."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from actors.assembly import ACTORS
from actors.folding import event_codec
from actors.forgetting import compacted, forget
from actors.retention import RECORDS, plan_compaction
from actors.snapshotting import NICENESS, Child
from eventstore.archive import FOLDER_NAME, write_archive
from eventstore.decoding import msgpack_decoder
from eventstore.errors import LogisticsError, StoreError
from eventstore.files import remove_file, write_file
from eventstore.joined_log import JoinedLog
from eventstore.lmdb_log import LmdbLog
from eventstore.retention import Compaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actors.runtime.engine import Runtime
    from eventstore.log import Log

logger = logging.getLogger("logistics.retention")

_DECODE: Final = msgpack_decoder(Compaction)
PLAN_NAME: Final = "compaction.plan"
TRIES: Final = 3
"""Plans that are made anew when something stands against them, before it is left for later."""


class Policy(NamedTuple):
    """How long what is over is kept, and what becomes of it then."""

    keep_us: int
    """Microseconds since it was recorded that it is over."""
    archive: bool = True
    """Whether what is forgotten is written to the archive first."""
    least: int = 1
    """Records below which it is not worth it."""
    every_s: float = 600.0
    """How often the engine looks."""


def prepare(log: Log, policy: Policy, *, now_us: int, upto: int, folder: Path | None) -> Compaction | None:
    """Return what may be forgotten, once it is in the archive in `folder`; None for nothing."""
    rules = [actor.rules for actor in ACTORS]
    before_us = now_us - policy.keep_us - 1
    plan = plan_compaction(
        log,
        event_codec(),
        rules,
        before_us=before_us,
        upto=upto,
        least=policy.least,
        whole_log=lambda: log if folder is None else JoinedLog(log, folder),
    )
    if plan is None or folder is None or not policy.archive:
        return plan
    name = write_archive(log, folder, upto=plan.horizon.head)
    return msgspec.structs.replace(plan, horizon=plan.horizon._replace(archive=name))


def compact_store(log: LmdbLog, policy: Policy, *, now_us: int) -> Iterator[Compaction]:
    """Compact a store that this handle owns and no engine uses, in as many steps as it takes; yield each plan."""
    codec = event_codec()
    folder = Path(log.path) / FOLDER_NAME
    while (plan := prepare(log, policy, now_us=now_us, upto=log.head.position, folder=folder)) is not None:
        head = log.head
        event = compacted(plan, now_us)
        record = codec.record(event, entity=event.entity)
        recorded_us = max(now_us, head.recorded_us)
        log.append([record], expected=head.position, epoch=head.epoch, recorded_us=recorded_us)
        log.compact(plan)
        while log.tidy():
            pass
        yield plan


def _goes_on(plan: Compaction, before: int) -> bool:
    """Whether a plan was cut short, as there was so much, and another one is to follow."""
    return plan.horizon.head.position - before > RECORDS // 2


class Compactor:
    """Has the log of a running engine compacted, one compaction at a time."""

    def __init__(self, runtime: Runtime, folder: Path | None, forgotten: Callable[[int], None]) -> None:
        """`folder` is the store's; None for a log in memory, which is planned right here and never archived.

        `forgotten` is told up to when (µs UTC) the log has forgotten, at once and after each compaction.
        """
        forgotten(runtime.log.horizon.head.recorded_us)
        self._forgotten = forgotten
        self._runtime = runtime
        self._folder = folder
        self._child = Child(__name__)
        self._lock = threading.Lock()
        self._closed = False

    def compact(self, policy: Policy) -> int:
        """Forget what is old enough; return how far the log is compacted now. `StoreError` if it cannot be."""
        with self._lock:
            tries, now_us = TRIES, self._runtime.clock.now_us()
            while tries and not self._closed and (plan := self._plan(policy, now_us)) is not None:
                before = self._runtime.log.horizon.head.position
                if not forget(self._runtime, plan):
                    tries -= 1
                    continue
                self._forgotten(self._runtime.log.horizon.head.recorded_us)
                if not _goes_on(plan, before):
                    break
            while not self._closed and self._runtime.tidy():
                pass
            return self._runtime.log.horizon.head.position

    def close(self) -> None:
        """Give up what is under way."""
        self._closed = True
        self._child.close()

    def _plan(self, policy: Policy, now_us: int) -> Compaction | None:
        runtime, folder = self._runtime, self._folder
        upto = runtime.journal.watermark
        if folder is None:
            return prepare(runtime.log, policy, now_us=now_us, upto=upto, folder=None)
        arguments = (folder, policy.keep_us, int(policy.archive), policy.least, now_us, upto)
        try:
            return self._planned_elsewhere(folder / PLAN_NAME, arguments)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise _nothing_done(f"{where}{error.strerror}") from error

    def _planned_elsewhere(self, file: Path, arguments: tuple[object, ...]) -> Compaction | None:
        remove_file(file)  # that of an owner who was killed: it may have wanted to keep less
        code, said = self._child.end(self._child.start(*arguments))
        if code:
            lines = said.decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise _nothing_done(lines[-1])
        try:
            return _DECODE(file.read_bytes())
        except FileNotFoundError:
            return None
        finally:
            remove_file(file)


def _nothing_done(why: str) -> StoreError:
    return StoreError(f"nothing was compacted: {why}", remedy="Look at the message, and try again.")


class Retainer:
    """Compacts now and then, by a policy, on a thread of its own. Whatever goes wrong is logged, and work goes on."""

    def __init__(self, compactor: Compactor, policy: Policy) -> None:
        self._compactor = compactor
        self._policy = policy
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logistics-retention", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End, and give up what is under way."""
        self._stopped.set()
        self._compactor.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._policy.every_s):
            try:
                self._compactor.compact(self._policy)
            except (StoreError, OSError, ValueError):
                if not self._stopped.is_set():
                    logger.warning("the log could not be compacted; work goes on", exc_info=True)


def main(arguments: Sequence[str]) -> None:
    """Plan a compaction of a store that is in use, archive what it forgets, and leave the plan in its folder."""
    os.nice(NICENESS)
    folder = Path(arguments[0])
    keep_us, archive, least, now_us, upto = map(int, arguments[1:])
    policy = Policy(keep_us, archive=bool(archive), least=least)
    try:
        with LmdbLog.open(folder, read_only=True) as log:
            plan = prepare(log, policy, now_us=now_us, upto=upto, folder=folder / FOLDER_NAME)
        if plan is not None:
            write_file(folder / PLAN_NAME, msgspec.msgpack.encode(plan))
    except (LogisticsError, OSError) as error:
        sys.exit(f"{error} {getattr(error, 'remedy', '')}")
