"""What all schedulers have in common: starting, stopping, and looking at what is scheduled."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from actors.runtime.sigterm import answer_sigterm
from actors.schedule.messages import GetSchedules, PutSchedule, RemoveSchedule, ScheduleView
from logistics.inputs import check_name
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.given import OnEngine
from logistics.orchestration.staying import HURRY_S, TERMINATED_S
from logistics.orchestration.stores import STORES, Store
from logistics.schedule.scheduled import ScheduledTask, shown
from logistics.schedule.target import Call, save_workflows

LOOK_S = 0.5
"""How soon `run_forever` notices that somebody else closed its engine."""


class Starter(OnEngine):
    """Has the schedules of a store fire while it is started, all of them, whoever scheduled them."""

    kind: str | None = None
    """Which schedules it shows and cancels; None: all."""

    def __init__(self, engine: OrchestrationEngine | None = None) -> None:
        """Use `engine`, or the default engine."""
        super().__init__(engine=engine)
        self._started: tuple[OrchestrationEngine, Store] | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether it is started."""
        started = self._started
        return started is not None and self in started[1].schedulers and started[1].runtime.failed is None

    # -- starting ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Have schedules fire until `stop()`; returns at once. Starting twice is the same as once.

        The process stays alive until then, or until Ctrl-C or SIGTERM.
        """
        engine = self.engine
        store = engine.store
        with self._lock:
            if self._started is not None and self._started[1] is not store:
                self._started[1].stop_schedules(self)
            self._started = engine, store
            engine.started.add(self)
            self._stopped.clear()
            store.start_schedules(self)

    def stop(self) -> None:
        """Fire nothing more; jobs that were enqueued stay. Returns at once; stopping twice is fine."""
        with self._lock:
            started, self._started = self._started, None
            self._stopped.set()
        if started is not None:
            started[0].started.discard(self)
            if self in started[1].schedulers:
                started[1].stop_schedules(self)

    def run_forever(self) -> None:
        """Start, and return when somebody calls `stop()`, presses Ctrl-C, or sends SIGTERM.

        After Ctrl-C and SIGTERM the engine is closed too: the program is to end. (Off the main thread, where
        Python lets nobody handle signals, only `stop()` and the end of the engine count.)
        """
        terminated: list[int] = []  # no event: a handler that waits for a lock may wait for itself
        before = _on_sigterm(terminated)
        try:
            self.start()
            while not terminated and not self._stopped.wait(LOOK_S) and self.running:
                pass
            if terminated:
                STORES.stay.terminated()  # nor is the process to stay for what else was started
                self._leave(TERMINATED_S)
        except KeyboardInterrupt:
            self._leave(HURRY_S)
        finally:
            self.stop()
            if before is not None:
                signal.signal(signal.SIGTERM, before)

    def _leave(self, grace_s: float) -> None:
        started = self._started
        self.stop()
        if started is not None:
            started[0].close(grace_s)

    # -- what is scheduled ---------------------------------------------------------------------------------

    def cancel(self, name: str) -> bool:
        """Forget a schedule; whether there was one. Jobs that it enqueued go on."""
        view = self._view(name)
        if view is None or self.kind not in (None, view.kind):
            return False
        return bool(self.engine.ask("scheduler", RemoveSchedule(name=name)))

    def get(self, name: str) -> ScheduledTask | None:
        """Return a schedule as it is now, or None if there is none of this name."""
        view = self._view(name)
        return None if view is None or self.kind not in (None, view.kind) else shown(view)

    def _tasks(self) -> list[ScheduledTask]:
        views: tuple[ScheduleView, ...] = self.engine.ask("scheduler", GetSchedules())
        return [shown(view) for view in views if self.kind in (None, view.kind)]

    def _view(self, name: str) -> ScheduleView | None:
        check_name("name", name)
        views: tuple[ScheduleView, ...] = self.engine.ask("scheduler", GetSchedules(names=(name,)))
        return views[0] if views else None

    def _put(self, command: PutSchedule, call: Call) -> None:
        engine = self.engine
        save_workflows(engine, (call,))
        engine.ask("scheduler", command)


def _on_sigterm(terminated: list[int]) -> Any:
    """Have SIGTERM noted only; return what it did before, or None off the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def terminate(number: int, _frame: FrameType | None) -> None:
        terminated.append(number)

    return answer_sigterm(terminate)
