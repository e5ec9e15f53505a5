"""Times of day: which seconds after local midnight a schedule names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

HOUR_S = 3600
MINUTE_S = 60
LAST_HOUR = 23


class Times(Protocol):
    """A set of seconds after midnight; from 86,400 on they lie in the day after the one they belong to."""

    @property
    def last_s(self) -> int:
        """The greatest of them."""
        ...

    @property
    def total(self) -> int:
        """How many there are."""
        ...

    def at_or_after(self, second: int) -> int:
        """The smallest that is not below `second`; -1 if there is none."""
        ...

    def at_or_before(self, second: int) -> int:
        """The greatest that is not above `second`; -1 if there is none."""
        ...

    def count_below(self, second: int) -> int:
        """How many are below `second`."""
        ...


def lowest(mask: int) -> int:
    """The place of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1


def below(mask: int, place: int) -> int:
    """The bits of the mask below a place."""
    return mask & ((1 << place) - 1)


def mask_of(values: Sequence[int] | frozenset[int]) -> int:
    """The mask with a bit at the place of each value."""
    mask = 0
    for value in values:
        mask |= 1 << value
    return mask


class ClockTimes:
    """Hours, minutes and seconds that combine freely, as in cron: three masks, no list of 86,400."""

    __slots__ = ("_first_minute_s", "_first_s", "_hours", "_last_minute_s", "_minutes", "_seconds", "last_s")

    def __init__(self, hours: frozenset[int], minutes: frozenset[int], seconds: frozenset[int]) -> None:
        self._hours = mask_of(hours)
        self._minutes = mask_of(minutes)
        self._seconds = mask_of(seconds)
        self._first_s = min(seconds)
        self._first_minute_s = min(minutes) * MINUTE_S + min(seconds)
        self._last_minute_s = max(minutes) * MINUTE_S + max(seconds)
        self.last_s = max(hours) * HOUR_S + self._last_minute_s

    @property
    def total(self) -> int:
        return self._hours.bit_count() * self._minutes.bit_count() * self._seconds.bit_count()

    def at_or_after(self, second: int) -> int:
        if second <= 0:
            return lowest(self._hours) * HOUR_S + self._first_minute_s
        hour, rest_s = divmod(second, HOUR_S)
        if self._hours >> hour & 1:
            minute, in_minute = divmod(rest_s, MINUTE_S)
            if self._minutes >> minute & 1:
                seconds = self._seconds >> in_minute
                if seconds:
                    return second + lowest(seconds)
            minutes = self._minutes >> (minute + 1)
            if minutes:
                return hour * HOUR_S + (minute + 1 + lowest(minutes)) * MINUTE_S + self._first_s
        hours = self._hours >> (hour + 1)
        if hours:
            return (hour + 1 + lowest(hours)) * HOUR_S + self._first_minute_s
        return -1

    def at_or_before(self, second: int) -> int:
        if second < 0:
            return -1
        if second >= self.last_s:
            return self.last_s
        hour, rest_s = divmod(second, HOUR_S)
        if self._hours >> hour & 1:
            minute, in_minute = divmod(rest_s, MINUTE_S)
            if self._minutes >> minute & 1:
                seconds = below(self._seconds, in_minute + 1)
                if seconds:
                    return second - in_minute + seconds.bit_length() - 1
            minutes = below(self._minutes, minute)
            if minutes:
                last_second = self._seconds.bit_length() - 1
                return hour * HOUR_S + (minutes.bit_length() - 1) * MINUTE_S + last_second
        hours = below(self._hours, hour)
        if hours:
            return (hours.bit_length() - 1) * HOUR_S + self._last_minute_s
        return -1

    def count_below(self, second: int) -> int:
        if second <= 0:
            return 0
        hour, rest_s = divmod(second, HOUR_S)
        minute, in_minute = divmod(rest_s, MINUTE_S)
        in_hour = 0
        if self._hours >> hour & 1:
            in_hour = below(self._minutes, minute).bit_count() * self._seconds.bit_count()
            if self._minutes >> minute & 1:
                in_hour += below(self._seconds, in_minute).bit_count()
        per_hour = self._minutes.bit_count() * self._seconds.bit_count()
        return below(self._hours, hour).bit_count() * per_hour + in_hour


@dataclass(frozen=True, slots=True)
class ListedTimes:
    """Times in order: a tuple of a few, or a `range` of many."""

    listed: Sequence[int]

    @property
    def last_s(self) -> int:
        return self.listed[-1]

    @property
    def total(self) -> int:
        return len(self.listed)

    def at_or_after(self, second: int) -> int:
        place = bisect_left(self.listed, second)
        return self.listed[place] if place < len(self.listed) else -1

    def at_or_before(self, second: int) -> int:
        place = bisect_right(self.listed, second)
        return self.listed[place - 1] if place else -1

    def count_below(self, second: int) -> int:
        return bisect_left(self.listed, second)
