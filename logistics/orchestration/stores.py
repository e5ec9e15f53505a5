"""The stores that this process has open, each with one runtime, however many handles there are on it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from actors.assembly import open_runtime
from actors.compacting import Compactor, Policy, Retainer
from actors.queue.specs import THREAD
from actors.retention import ENDING
from actors.runtime.attempt import runtime_here
from actors.runtime.clock import SystemClock
from actors.runtime.errors import EngineClosedError, InputError
from actors.runtime.functions import FunctionRegistry
from actors.runtime.processes import UNGUARDED
from actors.snapshotting import ChildPhotographer
from eventstore.archive import FOLDER_NAME, check_can_archive
from eventstore.errors import StoreInUseError
from eventstore.joined_log import JoinedLog
from eventstore.keyring import FILE_NAME as KEYS_NAME
from eventstore.keyring import KeyRing
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from eventstore.notebook import FOLDER_NAME as NOTEBOOK_NAME
from eventstore.notebook import LmdbNotebook, MemoryNotebook
from eventstore.opening import make_parents
from eventstore.safe_mode import guarded
from logistics.ids import new_id
from logistics.orchestration.dropped import Dropped
from logistics.orchestration.launching import Launcher
from logistics.orchestration.staying import Stay
from logistics.version import package_version
from logistics.whereabouts import MEMORY, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from weakref import finalize

    from actors.runtime.clock import Clock
    from actors.runtime.engine import Runtime
    from eventstore.log import Log
    from eventstore.notebook import Notebook
    from logistics.following.follower import Follower
    from logistics.orchestration.handle import Handle
    from logistics.orchestration.subscriptions import Subscriptions

DEFAULT_WORKERS = max(4, os.cpu_count() or 1)
DEFAULT_MAX_PAYLOAD = 1 << 20
LEAST_FORGOTTEN = 1_000
"""Records below which the engine does not compact by itself."""


class Store:
    """One open store: the runtime, and what its handles agreed on."""

    def __init__(self, path: str, options: dict[str, Any], clock: Clock | None) -> None:
        self.path = path
        self.options = options
        self.handles = 0
        self.schedulers: set[object] = set()
        """Whoever has schedules fire: they do as long as there is one."""
        self.servers: dict[object, frozenset[str] | None] = {}
        """Whoever has queues served, and which: None means all of them."""
        self.workflows: dict[str, Any] = {}
        """Workflows created in this process by name, whether they are on record or not."""
        self.closing = False
        """Whether its last handle was given back."""
        self.closed = threading.Event()
        self.followers: dict[str, Follower] = {}
        """Whoever follows the log under a name."""
        self._notebook: Notebook | None = None
        self._lock = threading.RLock()
        self.functions = FunctionRegistry(options["modules"])
        log: Log
        keys: KeyRing | None = None
        guard: AbstractContextManager[None] = nullcontext()
        if path == MEMORY:
            log = MemoryLog()
        else:
            if options["retention"] is not None and options["archive"]:
                check_can_archive()
            make_parents(Path(path))
            # First, as that takes its time, in which it may be interrupted: nothing is open yet.
            guard = guarded(Path(path), package_version())
            log = LmdbLog.open(path)
        try:
            keys = KeyRing(keys_path(path, options["keys"]))
            with guard:
                self.runtime = open_runtime(
                    log,
                    self.functions,
                    workers=options["workers"],
                    executor=options["executor"],
                    max_tasks_per_child=options["max_tasks_per_child"],
                    max_payload=options["max_payload"],
                    version=package_version(),
                    clock=clock,
                    plan=Launcher(self.functions, options["max_payload"]),
                    photographer=None if path == MEMORY else ChildPhotographer(Path(path)),
                    retain=self._retain,
                    keys=keys,
                    whole_log=lambda: _whole(log, path),
                )
        except BaseException:
            if hasattr(self, "runtime"):  # interrupted as it had just been opened
                self.runtime.close(0.0)
            if keys is not None:
                keys.close()
            log.close()
            raise

    @property
    def notebook(self) -> Notebook:
        """What readers of the log keep for themselves; opened when it is first needed."""
        with self._lock:
            if self._notebook is None:
                is_kept = self.path != MEMORY
                self._notebook = (
                    LmdbNotebook(Path(self.path) / NOTEBOOK_NAME) if is_kept else MemoryNotebook()
                )
            return self._notebook

    def follow(self, follower: Follower) -> None:
        """Have a follower alone bear its name. `InputError` if another one does."""
        with self._lock:
            other = self.followers.get(follower.name)
            if other is not None and other.is_running:
                msg = f"{follower.name!r} runs already in this process; stop it first"
                raise InputError(msg)
            self.followers[follower.name] = follower

    def stop_following(self) -> None:
        """Stop whoever follows the log, and close the notebook."""
        for follower in list(self.followers.values()):
            follower.stop()
        with self._lock:
            if self._notebook is not None:
                self._notebook.close()

    @property
    def whole_log(self) -> Log:
        """The log, joined with the archive of what was taken out of it; for one thread."""
        return _whole(self.runtime.log, self.path)

    def _retain(self, runtime: Runtime) -> None:
        """Have what is over forgotten, if its handles said after how long."""

        def forgotten(upto_us: int) -> None:
            """Make no ids that would be taken for forgotten ones, though the clock was set back since."""
            if isinstance(runtime.clock, SystemClock):
                new_id.go_beyond(upto_us)

        self.compactor = Compactor(runtime, None if self.path == MEMORY else Path(self.path), forgotten)
        keep_us = self.options["retention"]
        if keep_us is not None:
            policy = Policy(keep_us, archive=self.options["archive"], least=LEAST_FORGOTTEN)
            runtime.keeper.retention = Retainer(self.compactor, policy)

    @property
    def busy(self) -> bool:
        """Whether a scheduler was started and not stopped: the process is to stay."""
        return bool(self.schedulers or any(isinstance(server, _Started) for server in list(self.servers)))

    def serve(self, server: object, queues: frozenset[str] | None) -> None:
        """Have queues served (None: all) until `unserve(server)`."""
        if isinstance(server, _Started):
            self._prepare_to_stay()
        with self._lock:
            self.servers[server] = queues
            self._apply()

    def unserve(self, server: object) -> None:
        """Take back what `serve` said."""
        with self._lock:
            self.servers.pop(server, None)
            self._apply()

    def start_schedules(self, scheduler: object) -> None:
        """Have schedules fire until `stop_schedules(scheduler)`."""
        self._prepare_to_stay()
        with self._lock:
            self.schedulers.add(scheduler)
            self._apply()

    def stop_schedules(self, scheduler: object) -> None:
        """Take back what `start_schedules` said."""
        with self._lock:
            self.schedulers.discard(scheduler)
            self._apply()

    def _prepare_to_stay(self) -> None:
        STORES.stay.heed_signals()
        self.runtime.executor.hire()

    def _apply(self) -> None:
        runtime = self.runtime
        served = list(self.servers.values())
        runtime.served = None if None in served else frozenset[str]().union(*filter(None, served))
        runtime.scheduling = bool(self.schedulers)
        runtime.nudge("queue", "scheduler")
        if not self.busy:
            STORES.stay.wake()


class _Started:
    """The key under which a started `JobScheduler` serves: it keeps the process alive."""

    __slots__ = ()


def started() -> object:
    """Return a key for `Store.serve` that keeps the process alive until it is taken back."""
    return _Started()


def _whole(log: Log, path: str) -> Log:
    """Return a log joined with its archive; it can be used by one thread."""
    return log if path == MEMORY else JoinedLog(log, Path(path) / FOLDER_NAME, whole=ENDING)


class Stores:
    """Every store that is open in this process. With the table of task names the only process-wide state."""

    def __init__(self) -> None:
        self.make_locks()
        self.stay = Stay(lambda: any(store.busy for store in self._all()))
        self._dropped = Dropped()
        os.register_at_fork(after_in_child=self.make_locks)
        self._open: dict[str, Store] = {}
        self._private: list[Store] = []
        self._exit_hooked = False
        self.defaults: dict[str, Any] = {}
        """Default engines by the path of their store."""

    def make_locks(self) -> None:
        """Make locks that nobody holds: in a process that was forked, whoever held those of before is not there."""
        self._lock = threading.RLock()
        self._making = threading.RLock()

    def _all(self) -> list[Store]:
        return [*self._open.values(), *self._private]

    def acquire(
        self, path: str | os.PathLike[str] | None, options: dict[str, Any], clock: Clock | None
    ) -> Store:
        """Return the store at `path`, opened if it is not; its handles must agree on what they say."""
        where = resolve(path)
        if where == MEMORY:
            self._dropped.close(lambda store: self.release(store, 0.0))
        while True:
            with self._lock:
                store = self._open.get(where)
                if store is None or not store.closing:
                    return self._share(where, options, clock)
            self._outlast(store)

    def _share(self, where: str, options: dict[str, Any], clock: Clock | None) -> Store:
        with self._lock:
            store = self._open.get(where)
            if store is None:
                self._check_keys(keys_path(where, options["keys"]))
                given = {key: value for key, value in options.items() if value is not None}
                store = Store(where, {**_DEFAULTS, **given}, clock)
                self._hook_exit()
                if where == MEMORY:
                    self._private.append(store)
                else:
                    self._open[where] = store
            else:
                store.runtime.check_here()
                _check_agreement(store, options, clock)
            store.handles += 1
            return store

    def _check_keys(self, path: Path | None) -> None:
        """Have no two stores write one file of keys: each would write over what it does not know of."""
        for store in self._open.values():
            if path is not None and path == keys_path(store.path, store.options["keys"]):
                raise StoreInUseError(f"the keys {path} are in use by the store {store.path}")

    @staticmethod
    def _outlast(store: Store) -> None:
        """Wait for a store that is being closed: to share it would be to share a closed one."""
        if runtime_here() is store.runtime:
            msg = f"the engine that runs this job is being closed, and {store.path} with it"
            raise EngineClosedError(msg)
        store.closed.wait()

    def end_of(
        self, handle: Handle, store: Store, subscriptions: Subscriptions
    ) -> finalize[..., Handle] | None:
        """Return what ends a store in memory with its handle; None for others, which are there for other programs."""
        return self._dropped.watch(handle, store, subscriptions) if store.path == MEMORY else None

    def release(self, store: Store, grace_s: float) -> None:
        """Give a handle back; the last one closes the store."""
        with self._lock:
            store.handles -= 1
            if store.handles > 0:
                return
            store.closing = True
        self._close(store, grace_s)

    def _close(self, store: Store, grace_s: float) -> None:
        store.schedulers.clear()
        store.servers.clear()
        self.stay.closing()
        try:
            store.stop_following()
            store.runtime.close(grace_s)
        except (KeyboardInterrupt, SystemExit):
            store.runtime.close(0.0)  # enough waited: half closed, it could neither be used nor opened again
            raise
        finally:
            store.runtime.vault.keys.close()
            with self._lock:
                if self._open.get(store.path) is store:
                    del self._open[store.path]
                if store in self._private:
                    self._private.remove(store)
            store.closed.set()

    def of_runtime(self, runtime: Runtime | None) -> Store | None:
        """Return the store that a runtime belongs to; None for no runtime.

        `EngineClosedError` on a worker whose engine was closed under it: any other store would be the wrong one.
        """
        if runtime is None:
            return None
        with self._lock:
            for store in (*self._open.values(), *self._private):
                if store.runtime is runtime:
                    return store
        msg = "the engine that runs this job was closed; give another one as engine= to use that"
        raise EngineClosedError(msg)

    def default(self, make: Callable[[], Any]) -> Any:
        """Return the default engine of the present default store, made if there is none or it was closed."""
        with self._making:  # not the lock of the rest: whoever closes needs that, and may be waited for here
            where = resolve(None)
            engine = self.defaults.get(where)
            if engine is None or engine.closed:
                engine = self.defaults[where] = make()
            return engine

    def _hook_exit(self) -> None:
        if not self._exit_hooked:
            self._exit_hooked = True
            atexit.register(self._at_exit)
            atexit.register(self.stay.leave)  # what is registered last is called first

    def _at_exit(self) -> None:
        """Stay while a scheduler is started; then close everything. Runs when the main program has ended."""
        stores = [store for store in self._all() if store.runtime.is_here]
        stay = self.stay
        if getattr(sys, "last_type", None) is KeyboardInterrupt:  # it ended the main program
            stay.interrupted()
        stay.until(lambda: not any(store.busy and store.runtime.failed is None for store in stores))
        for store in stores:
            try:
                self._close(store, stay.grace_s)
            except (KeyboardInterrupt, SystemExit):
                stay.interrupted()  # that one is closed; whoever wants to be out waits for no other


def keys_path(store: str, keys: str | None) -> Path | None:
    """Return where the keys of a store's subjects are; None: nowhere, as the store itself."""
    return None if store == MEMORY else Path(keys or Path(store) / KEYS_NAME)


def refuse_worker() -> None:
    """Refuse to open a store in a process that imports a script only to find a function of it. `InputError`."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and getattr(processes.current_process(), "_inheriting", False):
        msg = f"a process that is to run a function would open a store of its own: {UNGUARDED}"
        raise InputError(msg)


def _check_agreement(store: Store, options: dict[str, Any], clock: Clock | None) -> None:
    different = [key for key, value in options.items() if value is not None and value != store.options[key]]
    if clock is not None and clock is not store.runtime.clock:
        different.append("clock")
    if different:
        said = ", ".join(f"{key}={options.get(key, clock)!r}" for key in different)
        msg = (
            f"the store {store.path} is open in this process with other settings than {said}; "
            "leave them out, or close it first"
        )
        raise InputError(msg)


_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "timezone": "UTC",
        "workers": DEFAULT_WORKERS,
        "executor": THREAD,
        "max_tasks_per_child": None,
        "modules": None,
        "max_payload": DEFAULT_MAX_PAYLOAD,
        "retention": None,
        "archive": True,
        "keys": None,
    }
)

STORES = Stores()
