"""TimezoneManager: dates and times of one zone of the tz database, never of the host."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from actors.clock.errors import TimezoneError
from actors.clock.local import MissingTime, localized
from actors.clock.zones import (
    SECOND_US,
    aliases,
    canonical_name,
    check_name,
    instant_of,
    names,
    near_names,
    next_change,
    to_datetime,
    tzdata_version,
)

DEFAULT_TIMEZONE = "UTC"


class ClockChange(NamedTuple):
    """A change of a zone's offset from UTC: `at` is the first moment of the new one, `by` how far clocks jump."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def by(self) -> timedelta:
        """Positive where clocks are put forward."""
        return self.after - self.before


class TimezoneManager:
    """Dates and times of one zone, UTC when none is named. An unknown zone is a `TimezoneError`."""

    __slots__ = ("_name",)

    def __init__(self, timezone: str | None = None) -> None:
        self._name = DEFAULT_TIMEZONE if timezone is None else timezone
        check_name(self._name)

    @property
    def timezone(self) -> str:
        """The name of the zone."""
        return self._name

    @property
    def tzdata_version(self) -> str:
        """The release of the tz database in use, such as `2026a`."""
        return tzdata_version()

    def now(self) -> datetime:
        """The present moment, as the clocks of the zone show it."""
        return to_datetime(self._name, time.time_ns() // 1_000)

    def localize(self, dt: datetime, *, gap: MissingTime | None = None) -> datetime:
        """A naive `datetime` as a date and time of the zone; of two equal ones, the one that `fold` says.

        One that does not exist is a `TimezoneError`, unless `gap` says what becomes of it: `shift_forward`
        (the end of the gap) or `preserve_offset` (02:30 becomes 03:30).
        """
        return localized(dt, self._name, gap=gap)

    def to_timezone(self, dt: datetime, name: str | None = None) -> datetime:
        """An aware `datetime` as the clocks of the zone `name` show it (its own zone, when left out)."""
        return to_datetime(self._name if name is None else name, instant_of(dt))

    def to_utc(self, dt: datetime) -> datetime:
        """An aware `datetime` in UTC."""
        return to_datetime("UTC", instant_of(dt)).astimezone(UTC)

    @property
    def canonical_name(self) -> str:
        """The name that the zone goes by: `America/New_York` for `US/Eastern`."""
        return canonical_name(self._name)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The other names of the zone, in order."""
        return aliases(self._name)

    def next_change(self, after: datetime | None = None) -> ClockChange | None:
        """When clocks of the zone are next put forward or back, after a moment (now, when left out).

        `None` if they are not for 40 years.
        """
        after_us = time.time_ns() // 1_000 if after is None else instant_of(after, what="after")
        found = next_change(self._name, after_us)
        if found is None:
            return None
        at = to_datetime(self._name, found.at_s * SECOND_US)
        return ClockChange(at, timedelta(seconds=found.before_s), timedelta(seconds=found.after_s))

    @staticmethod
    def near_names(name: str) -> tuple[str, ...]:
        """The names of zones that look most like this one, at most three; none if nothing looks like it."""
        if not isinstance(name, str):
            raise TimezoneError(f"near_names takes a name such as 'Europe/Berlin', got {name!r}")
        return near_names(name)

    @staticmethod
    def names() -> tuple[str, ...]:
        """The names of all zones."""
        return names()

    def __eq__(self, other: object) -> bool:
        return other.timezone == self._name if isinstance(other, TimezoneManager) else NotImplemented

    def __hash__(self) -> int:
        return hash((TimezoneManager, self._name))

    def __repr__(self) -> str:
        return f"TimezoneManager({self._name!r})"
