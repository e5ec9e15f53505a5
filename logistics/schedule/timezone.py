"""TimezoneManager: dates and times of one zone of the tz database, never of the host."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from actors.clock.local import MissingTime, localized
from actors.clock.zones import check_name, instant_of, names, to_datetime, tzdata_version

DEFAULT_TIMEZONE = "UTC"


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
