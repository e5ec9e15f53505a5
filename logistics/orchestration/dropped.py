"""Stores in memory whose handle was dropped unclosed: nobody can reach them any more."""

from __future__ import annotations

import logging
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple
from weakref import finalize

from actors.workflow.endings import ENDINGS
from actors.workflow.messages import GetTotals
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from logistics.orchestration.handle import Handle
    from logistics.orchestration.stores import Store
    from logistics.orchestration.subscriptions import Subscriptions

logger = logging.getLogger("logistics")

OVER = frozenset(ENDINGS.values())
PATIENCE_S = 5.0
"""How long an engine may take to say whether runs of it are under way."""


class _Dropped(NamedTuple):
    store: Store
    subscriptions: Subscriptions

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on there, and nobody hears of it."""
        store, runtime = self.store, self.store.runtime
        if store.schedulers or store.servers or store.followers or self.subscriptions.has_begun:
            return False
        if runtime.executor.under_way:
            return False
        try:
            totals = runtime.send("supervisor", GetTotals()).get(PATIENCE_S)
        except (LogisticsError, TimeoutError):
            return runtime.failed is not None
        return not any(count for status, count in totals.items() if status not in OVER)


class Dropped:
    """Those that wait to be closed: when the next one is opened, as a collection of garbage may come at any moment.

    One where something goes on is left alone until that is over.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[_Dropped] = SimpleQueue()

    def watch(self, handle: Handle, store: Store, subscriptions: Subscriptions) -> finalize[..., Handle]:
        """Have a store closed once its only handle is garbage; detach what is returned if that is closed before."""
        ending = finalize(handle, self._waiting.put, _Dropped(store, subscriptions))
        ending.atexit = False
        return ending

    def close(self, release: Callable[[Store], None]) -> None:
        """Release those where nothing goes on."""
        for _ in range(self._waiting.qsize()):
            try:
                dropped = self._waiting.get_nowait()
            except Empty:  # another thread is at it, too
                return
            if dropped.store.closed.is_set() or not dropped.store.runtime.is_here:
                continue
            if not dropped.is_idle:
                self._waiting.put(dropped)
                continue
            try:
                release(dropped.store)
            except Exception:
                logger.warning("a store in memory that was dropped could not be closed", exc_info=True)
