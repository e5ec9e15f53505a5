"""What cron expressions and recurring schedules have in common: asking them when, and combining them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from actors.clock.zones import check_name, instant_of, to_datetime
from actors.schedule.errors import ScheduleError
from actors.schedule.firing import check, matches, next_fire, next_fires, previous_fire
from actors.schedule.spec import CombinedSpec, DaysSpec, Firing, ScheduleSpec, is_zoned, zoned
from logistics.schedule.calendar import Calendar
from logistics.schedule.words import in_words

DEFAULT_TIMEZONE = "UTC"
MAX_RUNS = 100_000
MAX_PARTS = 100

SpecT = TypeVar("SpecT", bound=ScheduleSpec)


class Occurrences(Generic[SpecT]):
    """A schedule by itself: aware datetimes in its zone, UTC when it names none. Equal when its spec is."""

    __slots__ = ("_alone", "_spec")

    def __init__(self, spec: SpecT) -> None:
        check(spec)
        self._spec = spec
        self._alone = self.spec_for(DEFAULT_TIMEZONE)

    @property
    def spec(self) -> SpecT:
        """The schedule as data; its `timezone` is empty when it names none."""
        return self._spec

    @property
    def timezone(self) -> str | None:
        """The zone that the schedule names, or `None`."""
        return self._spec.timezone or None

    def spec_for(self, default_timezone: str = DEFAULT_TIMEZONE) -> SpecT:
        """The schedule as data, in its own zone or else in this one."""
        return self._spec if is_zoned(self._spec) else cast("SpecT", zoned(self._spec, default_timezone))

    def matches(self, moment: datetime) -> bool:
        """Whether it fires in the minute of an aware `datetime`; with seconds in it, in the second."""
        return matches(self._alone, instant_of(moment))

    def next_run(self, after: datetime | None = None) -> datetime | None:
        """The first run strictly after a moment (now, when left out); `None` when there is no more."""
        return self._shown(next_fire(self._alone, _instant(after)))

    def next_runs(self, n: int, after: datetime | None = None) -> list[datetime]:
        """The next `n` runs strictly after a moment (now, when left out); fewer when there are no more."""
        if type(n) is not int or not 0 <= n <= MAX_RUNS:
            raise ScheduleError(f"n must be a whole number from 0 to {MAX_RUNS}, got {n!r}")
        zone = self._alone.timezone
        return [to_datetime(zone, found.at_us) for found in next_fires(self._alone, _instant(after), n)]

    def previous_run(self, before: datetime | None = None) -> datetime | None:
        """The last run strictly before a moment (now, when left out); `None` when there was none."""
        return self._shown(previous_fire(self._alone, _instant(before)))

    def __or__(self, other: object) -> CombinedSchedule:
        """When this one runs, and when the other does."""
        return _combined("any", self, other)

    def __and__(self, other: object) -> CombinedSchedule:
        """When both run at once; with a `Calendar`, on its days only."""
        return _combined("all", self, other)

    def __sub__(self, other: object) -> CombinedSchedule:
        """When this one runs and the other does not; with a `Calendar`, on none of its days."""
        return _combined("but", self, other)

    def _shown(self, found: Firing | None) -> datetime | None:
        return to_datetime(self._alone.timezone, found.at_us) if found else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Occurrences):
            return NotImplemented
        return type(other) is type(self) and bool(other.spec == self._spec)

    def __hash__(self) -> int:
        return hash(self._spec)


class CombinedSchedule(Occurrences[CombinedSpec]):
    """Schedules combined by `|`, `&` and `-`, also with a `Calendar`; shown in the zone of the first.

    Schedules meet at instants: `&` and `-` look for runs of both at the very same second. Parts that never
    meet are a `ScheduleError` when they are asked.
    """

    __slots__ = ()

    def __str__(self) -> str:
        """What it says, in words."""
        return in_words(self._spec)

    def __repr__(self) -> str:
        return f"<CombinedSchedule {self}>"


def _combined(how: Any, one: Occurrences[Any], other: object) -> CombinedSchedule:
    if not isinstance(other, Occurrences) and (how == "any" or not isinstance(other, Calendar)):
        calendar = "" if how == "any" else " or a Calendar"
        raise ScheduleError(f"a schedule can be combined with a schedule{calendar}, got {other!r}")
    parts = (*_parts(how, one.spec, first=True), *_parts(how, other.spec, first=False))
    if len(parts) > MAX_PARTS:
        raise ScheduleError(f"at most {MAX_PARTS} schedules can be combined, got {len(parts)}")
    return CombinedSchedule(CombinedSpec(how, parts, one.timezone or ""))


def _parts(how: str, spec: ScheduleSpec | DaysSpec, *, first: bool) -> tuple[ScheduleSpec | DaysSpec, ...]:
    """What a spec contributes: the parts of one that is combined in the same way, else itself."""
    flat = isinstance(spec, CombinedSpec) and spec.how == how and (first or how != "but")
    return spec.parts if flat and isinstance(spec, CombinedSpec) else (spec,)


def zone_name(timezone: str | None) -> str:
    """The name for a spec: empty for none, a `TimezoneError` for what names no zone."""
    if timezone is None:
        return ""
    check_name(timezone)
    return timezone


def _instant(moment: datetime | None) -> int:
    return time.time_ns() // 1_000 if moment is None else instant_of(moment)
