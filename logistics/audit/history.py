"""A log and what follows from it: the state at any moment."""

from __future__ import annotations

from datetime import datetime

from actors.runtime.errors import InputError
from logistics.audit.past import Past
from logistics.audit.store_view import StoreView
from logistics.inputs import instant_us


class History(Past):
    """A log, and the state at each moment of it."""

    def as_of(self, moment: int | datetime | None = None, *, snapshots: bool = True) -> StoreView:
        """Return the store as it was at a position or time; None: now. `InputError` for what has not been yet.

        Without `snapshots` it is folded from the very beginning.
        """
        end = self._end()
        if moment is None:
            moment = end
        if isinstance(moment, datetime):
            moment = self.position_at(moment)
        if isinstance(moment, bool) or not isinstance(moment, int) or not 0 <= moment <= end:
            msg = f"moment: expected a position from 0 to {end} or an aware datetime, got {moment!r}"
            raise InputError(msg)
        view = StoreView(self._log, self._codec, moment, snapshots=snapshots)
        view._source = self  # noqa: SLF001 -- no business of whoever looks at it
        return view

    def position_at(self, when: datetime) -> int:
        """Return the position of the last event that was recorded by then; 0 if there was none."""
        wanted_us = instant_us("moment", when)
        horizon = self._log.horizon.head
        low = horizon.position if horizon.recorded_us <= wanted_us else 0

        def is_later(position: int) -> bool:
            stored = self._log.at(position)
            return stored is None or stored.recorded_us > wanted_us

        found = self._end()
        later, step = found + 1, 1
        while found > low and is_later(found):  # most ask for what was not long ago: it is in no archive
            later, found, step = found, max(found - step, low), 2 * step
        while later - found > 1:
            middle = (found + later) // 2
            if is_later(middle):
                later = middle
            else:
                found = middle
        return found
