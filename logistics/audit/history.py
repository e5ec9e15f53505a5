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
        return StoreView(self._log, self._codec, moment, snapshots=snapshots)

    def position_at(self, when: datetime) -> int:
        """Return the position of the last event that was recorded by then; 0 if there was none."""
        wanted_us = instant_us("moment", when)
        horizon = self._log.horizon.head
        low, high = (horizon.position if horizon.recorded_us <= wanted_us else 0), self._end()
        while low < high:
            middle = (low + high + 1) // 2
            stored = self._log.at(middle)
            if stored is not None and stored.recorded_us <= wanted_us:
                low = middle
            else:
                high = middle - 1
        return low
