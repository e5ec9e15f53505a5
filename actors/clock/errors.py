"""The errors of zones and of wall time."""

from __future__ import annotations

from eventstore.errors import LogisticsError


class TimezoneError(LogisticsError, ValueError):
    """A zone that the tz database does not know, or a date and time that cannot be placed in one."""
