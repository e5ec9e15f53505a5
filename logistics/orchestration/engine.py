"""The engine: a handle on a store, and the message API under every other class."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec

from actors.clock.zones import zone as find_zone
from actors.compacting import Policy
from actors.queue.messages import GetResources, GetStats
from actors.runtime.attempt import ELSEWHERE, runtime_here
from actors.runtime.errors import InputError
from actors.runtime.patience import patiently
from actors.workflow.messages import GetTotals
from eventstore.backup import copy_store
from eventstore.decoding import msgpack_decoder
from eventstore.errors import NotAStoreError
from eventstore.lmdb_log import LmdbLog
from logistics.audit.differences import differences
from logistics.audit.history import History
from logistics.audit.past import Past, source_of
from logistics.audit.why import Witness, explain
from logistics.following.durable import DurableSubscription
from logistics.following.projection import RunningProjection, check_projection
from logistics.inputs import absolute, check_id, check_int, check_path, duration_us
from logistics.messages import COMMANDS
from logistics.orchestration import erasing
from logistics.orchestration import session as sessions
from logistics.orchestration.handle import Handle
from logistics.orchestration.payloads import check_payloads
from logistics.orchestration.reading import first
from logistics.orchestration.recorded import check_recorded
from logistics.orchestration.running import execute_workflow
from logistics.orchestration.step_options import check_bool
from logistics.orchestration.stores import STORES, refuse_worker
from logistics.orchestration.subscriptions import (
    Subscription,
    Subscriptions,
    check_after,
    check_handler,
    check_pattern,
    handler_of,
)
from logistics.orchestration.written import check_fields
from logistics.task.executors import engine_executor

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    from actors.runtime.clock import Clock
    from actors.runtime.messages import Message
    from actors.runtime.pool import PoolFactory
    from logistics.audit.differences import Difference
    from logistics.audit.past import RecordedEvent
    from logistics.audit.store_view import StoreView
    from logistics.audit.words import Why
    from logistics.following.follower import Follower
    from logistics.following.projection import Projection
    from logistics.inputs import Duration
    from logistics.orchestration.erasing import Erasure
    from logistics.orchestration.session import OrchestrationSession
    from logistics.orchestration.stores import Store

logger = logging.getLogger("logistics")

MAX_WORKERS = 10_000
MAX_TASKS = 2**31
MAX_PAYLOAD = 1 << 30


class Stoppable(Protocol):
    """A scheduler that can be started and stopped."""

    def stop(self) -> None:
        """Stop it; stopping twice is fine."""


class OrchestrationEngine(Handle):
    """A handle on a store: opening it recovers whatever was under way.

    Handles on one path share one runtime, which ends with the last of them. `":memory:"` is a store of its own, kept
    nowhere; one that can be reached no more is closed when the next is opened, unless something still goes on in it.
    Use it as a context manager, or leave it to the end of the program.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        timezone: str | None = None,
        workers: int | None = None,
        executor: str | PoolFactory | None = None,
        max_tasks_per_child: int | None = None,
        clock: Clock | None = None,
        modules: tuple[str, ...] | None = None,
        max_payload: int | None = None,
        retention: Duration | None = None,
        archive: bool | None = None,
        keys: str | os.PathLike[str] | None = None,
    ) -> None:
        """Open the store at `path`.

        Args:
            path: the store's folder, made if need be; None: `$LOGISTICS_HOME`, else `.logistics/` here.
            timezone: the zone of schedules that name none; UTC unless said.
            workers: how many functions run at one time, jobs and steps together; at least 4 unless said. With 0 none is
                called: so a store is looked at before code that has changed meets it.
            executor: where functions run: `thread` unless said, `process`, `loky`, or in a pool that a function makes:
                it is given the number of workers and returns a `concurrent.futures.Executor`. A job may say otherwise.
            max_tasks_per_child: attempts that a process runs before another one takes its place; no limit unless said.
            clock: where the time comes from; the host unless said.
            modules: patterns of the modules whose functions may be called; None: any.
            max_payload: largest size of a call's arguments, or of a result, in bytes; 1 MiB unless said.
            retention: how long jobs and runs that are over stay on record; for ever unless said.
            archive: whether they are archived before they are forgotten, which needs the extra `archive`; they are
                unless said.
            keys: the file with the keys of subjects; `keys` in the store's folder unless said.

        `StoreInUseError` if another process has the store open, `InputError` for an argument that makes no
        sense or contradicts another handle, any other `StoreError` if the store cannot be opened, or an extra is
        missing.

        """
        refuse_worker()
        if workers is not None:
            check_int("workers", workers, least=0, most=MAX_WORKERS)
        if max_payload is not None:
            check_int("max_payload", max_payload, least=1, most=MAX_PAYLOAD)
        if max_tasks_per_child is not None:
            check_int("max_tasks_per_child", max_tasks_per_child, least=1, most=MAX_TASKS)
        if timezone is not None:
            find_zone(timezone)
        if archive is not None:
            check_bool("archive", archive)
        if clock is not None and not callable(getattr(clock, "now_us", None)):
            msg = f"clock: expected one such as logistics.testing.VirtualClock(), got {clock!r}"
            raise InputError(msg)
        options = {
            "timezone": timezone,
            "workers": workers,
            "max_tasks_per_child": max_tasks_per_child,
            "executor": None if executor is None else engine_executor(executor),
            "modules": _patterns(modules),
            "max_payload": max_payload,
            "retention": None if retention is None else duration_us("retention", retention),
            "archive": archive,
            "keys": None if keys is None else absolute("keys", check_path("keys", keys, of="file")),
        }
        self._be(STORES.acquire(path, options, clock), owns=True)

    def _be(self, store: Store, *, owns: bool) -> None:
        self._store = store
        self._owns = owns
        self._closed = False
        self._subscriptions = Subscriptions(store.runtime, lambda: store.whole_log)
        self._following: list[Follower] = []
        """What follows the log under a name, through this handle."""
        self.started: set[Stoppable] = set()
        """Schedulers that were started through this handle: they stop with it."""
        self._end = STORES.end_of(self, store, self._subscriptions) if owns else None

    @classmethod
    def borrow(cls, store: Store) -> OrchestrationEngine:
        """Return a handle that does not keep the store open: for code that runs on its workers."""
        engine = cls.__new__(cls)
        engine._be(store, owns=False)  # noqa: SLF001 -- a second way to make one of these
        return engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(STORES.stay.with_grace_s)

    def __repr__(self) -> str:
        return f"OrchestrationEngine({self.path!r}{', closed' if self._closed else ''})"

    @property
    def timezone(self) -> str:
        """The name of the zone of schedules that name none."""
        return str(self._store.options["timezone"])

    def close(self, grace: Duration = 10) -> None:
        """Give the handle back; a second call does nothing.

        Schedulers that were started through it are stopped. The last handle stops taking work, waits `grace`
        seconds for running functions, interrupts the rest at nobody's charge, and closes the store.
        """
        grace_s = duration_us("grace", grace) / 1e6
        if self._closed:
            return
        self._closed = True
        if self._end is not None:
            self._end.detach()
        try:
            self._subscriptions.close()
            for follower in self._following:
                follower.stop()
            if self._store.runtime.is_here:
                for scheduler in list(self.started):
                    scheduler.stop()
        finally:  # an interrupt, too, must not leave the store open for ever
            if self._owns:
                STORES.release(self._store, grace_s)

    # -- the message API -----------------------------------------------------------------------------------

    def send(self, command: Message, *, command_id: str | None = None) -> Any:
        """Send a command or query of `logistics.messages` and return its answer, durable.

        `command_id` is what the log says to be the cause of all that comes of it (`command:ID`); if you give none, that
        is the attempt that sends it (`attempt:JOB/NUMBER`), and outside of jobs and steps an id is made. Raises the
        refusal, `InputError` for what is no command, has wrong fields, or bytes that cannot be read, `BusyError` and
        `EngineClosedError` if it was certainly not taken, `OutcomeUnknownError` if the disk failed meanwhile: then it
        is safe to send the same command again.
        """
        actor = COMMANDS.get(type(command))
        if actor is None:
            msg = f"expected a command of logistics.messages, got {type(command).__name__}"
            raise InputError(msg)
        try:
            checked = msgpack_decoder(type(command))(msgspec.msgpack.encode(command))
        except (msgspec.ValidationError, TypeError, ValueError, OverflowError, RecursionError) as error:
            msg = f"{type(command).__name__}: {error}"
            raise InputError(msg) from error
        check_fields(checked)
        check_payloads(checked, limit=self.max_payload)
        check_recorded(checked, partial(first, self), self.ask)
        cause = None if command_id is None else check_id("command_id", command_id)
        return self.answer(self.tell(actor, checked, cause))

    def subscribe(
        self,
        pattern: str,
        handler: Callable[..., object],
        *,
        after: int | None = None,
        cloud_events: bool = False,
    ) -> Subscription:
        """Call `handler(event, position)` for every durable event whose tag matches (`job.*`, `run.completed`).

        With `after`, everything recorded after that position comes first; None: only what is still to come.
        With `cloud_events`, `handler(cloud_event)` gets a dict in the shape of CloudEvents 1.0 instead. Handlers
        run one after the other on a thread of their own; one that raises is logged and called again for the next
        event.
        """
        self._check_open()
        call = handler_of(handler, source=self._source if cloud_events else "")
        return self._subscriptions.add(pattern, call, after=after)

    def follow(
        self,
        name: str,
        pattern: str,
        handler: Callable[..., object],
        *,
        after: int | None = None,
        attempts: int = 5,
        cloud_events: bool = False,
    ) -> DurableSubscription:
        """Subscribe under a name by which it is remembered how far the handler is, over restarts.

        A name that is new begins behind `after`; None: with what is still to come. Each event comes at least
        once, in order; one for which the handler raises is tried again, and after `attempts` tries parked. The
        handler runs on a thread of its own and is called as `subscribe` says. `InputError` for a name that is in
        use.
        """
        store = self.store
        check_pattern(pattern, store.runtime.codec)
        check_after(after)
        check_int("attempts", attempts, least=1, most=1_000)
        call = handler_of(handler, source=self._source if cloud_events else "")
        following = DurableSubscription(store.runtime, store.notebook, name, pattern, call, attempts=attempts)
        self._follow(following)
        following.begin(after)
        return following

    def project(self, projection: Projection, *, after: int = 0) -> RunningProjection:
        """Keep a projection up to date from now on, and return it with its table, to be read as a mapping.

        It goes on where it was; one that is new, or has another version, begins with the first event after
        `after`. `InputError` for a name that is in use.
        """
        store = self.store
        check_projection(projection)
        check_pattern(projection.events, store.runtime.codec, what="events")
        check_after(after)
        running = RunningProjection(store.runtime, store.notebook, projection)
        self._follow(running)
        running.begin(after)
        return running

    def _follow(self, follower: Follower) -> None:
        store = self.store
        follower.whole_log = lambda: store.whole_log
        store.follow(follower)
        self._following.append(follower)

    @property
    def _source(self) -> str:
        """What CloudEvents of this store name as their source."""
        return source_of(self.store.runtime.log.store_id)

    def listen(
        self, pattern: str, listener: Callable[[RecordedEvent], object], *, after: int | None = None
    ) -> Subscription:
        """Subscribe as `subscribe` does, for `RecordedEvent`s: events with their place, cause and correlation."""
        self._check_open()
        check_handler(listener)
        return self._subscriptions.add(pattern, listener, after=after)

    def register_event_handler(
        self, event: str, handler: Callable[[str, dict[str, Any]], object]
    ) -> Subscription:
        """Call `handler(event, data)`, in order of registration, for every event from now on whose tag matches."""
        self._check_open()
        return self._subscriptions.add_plain(event, handler)

    # -- sessions --------------------------------------------------------------------------------------------

    def create_session(self, user_id: str = "system", **described: Any) -> str:
        """Record a session and return its id; `described` are attributes of `OrchestrationSession`.

        With a `session_id` of your own, repeating it is safe; `ConflictingIdError` if it describes another
        one. `InputError` names what is wrong.
        """
        return sessions.create_session(self, user_id, described)

    def get_session(self, session_id: str) -> OrchestrationSession | None:
        """Return a session as it is now; None if there is none with this id."""
        return sessions.get_session(self, session_id)

    def close_session(self, session_id: str) -> bool:
        """End a session, give back all resources held under its id; whether it was open.

        Its runs that have not begun are cancelled, others go on to their end.
        """
        return sessions.close_session(self, session_id)

    def execute_workflow(self, name: str, session_id: str | None = None, **params: Any) -> dict[str, Any]:
        """Run a workflow and return `success`, `result`, `error` and `execution_time` (seconds) as a dict.

        In a session it takes one of the session's places for workflows, and waits for one if need be.
        `WorkflowNotFoundError`, `UnknownIdError` for the session, `InputError` if that was closed, and what
        `WorkflowManager.run` raises.
        """
        return execute_workflow(self, name, session_id, params)

    # -- seeing ----------------------------------------------------------------------------------------------

    def health_check(self) -> dict[str, Any]:
        """Return plain data: `healthy`, and why not."""
        runtime = self._store.runtime
        problem = "closed" if self._closed else ""
        if not problem and not runtime.is_here:
            problem = "opened by the process that this one was forked from"
        elif not problem and not runtime.accepting:
            problem = repr(runtime.failed or runtime.trouble or "closing")
        return {
            "healthy": not problem,
            "problem": problem,
            "path": self.path,
            "backlog": runtime.backlog("queue"),
        }

    def get_system_status(self) -> dict[str, Any]:
        """Return plain data: jobs and runs by status, resources, and the head of the log."""
        stats = self.query("queue", GetStats(queue=""))
        return {
            "path": self.path,
            "position": self._store.runtime.journal.watermark,
            "epoch": self._store.runtime.journal.epoch,
            "jobs": {status.lower(): count for status, count in stats.by_status.items()},
            "runs": {status.lower(): count for status, count in self.ask("supervisor", GetTotals()).items()},
            "resources": [
                {"name": view.name, "kind": view.kind, "capacity": view.capacity, "used": view.used}
                for view in self.ask("queue", GetResources())
                if not view.name.startswith("@")
            ],
        }

    def get_metrics(self) -> dict[str, Any]:
        """Return plain data: counters that only grow while the store is open, and gauges."""
        journal = self._store.runtime.journal
        stats = self.query("queue", GetStats(queue=""))
        return {
            "events_total": journal.watermark,
            "commits_total": journal.commits,
            "backlog": journal.backlog,
            "workers": self._store.options["workers"],
            "workers_abandoned": self.store.runtime.executor.abandoned,
            "jobs_ready": stats.ready,
            "jobs_waiting": stats.waiting,
            "jobs_running": stats.by_status["RUNNING"],
        }

    def as_of(self, moment: int | datetime | None = None) -> StoreView:
        """Return the store as it was at a position of its log, or at an aware datetime; None: now. Read only.

        Costs what the events since the newest snapshot before it cost. `InputError` for a position beyond the
        end.
        """
        runtime = self.store.runtime
        history = History(self.store.whole_log, runtime.codec, lambda: self.store.runtime.journal.watermark)
        return patiently(lambda: history.as_of(moment))

    def diff(self, before: int | datetime, after: int | datetime | None = None) -> list[Difference]:
        """Return what is not the same at two moments; `after=None`: now. Moments are those of `as_of`."""
        return list(differences(self.as_of(before), self.as_of(after)))

    def why(self, subject: str, *, at: datetime | str | None = None) -> Why:
        """Say why a job or run is where it is now, or what became of a time of a schedule.

        `subject`: `job:ID`, `run:ID`, or the id alone. Of a schedule (`schedule:NAME`) `at` is the time that is asked
        about: an aware datetime, or a text like `2027-03-28T02:30`, as the wall of its zone shows it; None: why it
        is where it is. The answer is what the rules say that start jobs, and the log. `UnknownIdError` for what is
        not on record, `InputError` for what is none of these. Of the past: `as_of(…).why(…)`.
        """
        runtime = self.store.runtime
        past = Past(self.store.whole_log, runtime.codec, lambda: runtime.journal.watermark)
        now_us = runtime.clock.now_us()
        witness = Witness(lambda query: self.query(COMMANDS[type(query)], query), past, now_us, live=True)
        return patiently(lambda: explain(witness, subject, at))

    def backup(self, path: str | os.PathLike[str]) -> int:
        """Copy the store, while work goes on, to a folder that does not exist yet; return the copy's position.

        The copy is a store. It was read from beginning to end, by another process, before it got its name.
        `StoreError` if that fails, `NotAStoreError` if there is something at `path`, or this store is in memory.
        """
        target = check_path("path", path, of="folder")
        log = self.store.runtime.log
        if not isinstance(log, LmdbLog):
            msg = "a store in memory cannot be copied"
            raise NotAStoreError(msg)
        return patiently(lambda: copy_store(log, target, at_work=True)).position

    def compact(self, keep: Duration, *, archive: bool = True) -> int:
        """Forget jobs and runs that were over before `keep` ago; return the position up to which that is done.

        They are archived first, which needs the extra `archive`, unless `archive` is False: then they are gone.
        Nobody is stopped. `StoreError` if it cannot be done; then nothing is forgotten.
        """
        policy = Policy(duration_us("keep", keep), archive=archive)
        return patiently(lambda: self.store.compactor.compact(policy))

    def erase(
        self, subject: str, *, by: str = "", cancel: bool = False, timeout: Duration = 60
    ) -> Erasure | None:
        """Destroy the key of a subject: what jobs and runs got and said of theirs can be read by nobody any more.

        `Erased` takes its place wherever it is read; the log itself stays as it is, and so does its chain. That it was
        done, and by whom (up to 64 bytes), is on record; whose key it was is not. None: nothing is kept of them.
        `SubjectInUseError` names work of theirs that is not over; with `cancel` it is cancelled first, and its
        schedules removed, and the end of runs is waited for, each up to `timeout` seconds (`TimeoutError`).
        `BusyError` if another erasure takes as long as that. Copies of the file of keys made before have to be
        destroyed, too.
        """
        return erasing.erase(self, subject, by=by, cancel=cancel, timeout=timeout)


def _patterns(modules: Any) -> tuple[str, ...] | str | None:
    """Return patterns of modules; a text alone is refused by who looks functions up, with what to write."""
    if modules is None or isinstance(modules, str):
        return modules
    if not isinstance(modules, list | tuple | set | frozenset) or not all(
        isinstance(each, str) for each in modules
    ):
        msg = f"modules: expected a tuple of patterns, as in ('myapp', 'myapp.*'), got {modules!r}"
        raise InputError(msg)
    return tuple(modules)


def engine_or_default(engine: OrchestrationEngine | None) -> OrchestrationEngine:
    """Return `engine`; None: the one whose worker runs the present code, else the default engine."""
    if engine is not None:
        if not isinstance(engine, OrchestrationEngine):
            msg = f"engine: expected an OrchestrationEngine, got {engine!r}"
            raise InputError(msg)
        return engine
    here = runtime_here()
    if here is ELSEWHERE:
        msg = (
            "engine: code in a process cannot use the engine that runs it, except through its ctx, and would open "
            "another store; have it run with executor='thread', or name the engine that is meant"
        )
        raise InputError(msg)
    store = STORES.of_runtime(here)
    if store is not None:
        return OrchestrationEngine.borrow(store)
    default = STORES.default(OrchestrationEngine)
    assert isinstance(default, OrchestrationEngine)
    return default
