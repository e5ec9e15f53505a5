"""What a schedule is, as data: the expression, the zone's name and the rules, stored in events as they are.

Nothing here knows cron or zones: `firing.py` answers when a spec fires. The tags and the order of the fields
are permanent.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec

GapRule: TypeAlias = Literal["shift_forward", "preserve_offset", "skip"]
FoldRule: TypeAlias = Literal["first", "second", "both"]
DaysRule: TypeAlias = Literal["vixie", "or", "and"]
Frequency: TypeAlias = Literal["daily", "weekly", "monthly", "yearly"]
MonthEnd: TypeAlias = Literal["last", "skip"]

GAP_RULES: tuple[GapRule, ...] = ("shift_forward", "preserve_offset", "skip")
FOLD_RULES: tuple[FoldRule, ...] = ("first", "second", "both")
DAYS_RULES: tuple[DaysRule, ...] = ("vixie", "or", "and")
MONTH_ENDS: tuple[MonthEnd, ...] = ("last", "skip")


class CronSpec(msgspec.Struct, frozen=True, array_like=True, tag="schedule.cron", cache_hash=True):
    """A cron expression in a zone; an empty `timezone` is one that is still to be chosen.

    An interval job (its minute or hour field begins with `*`) follows the wall clock: nothing is made up in a
    gap, the repeated hour is served. With `apply_to_intervals` it obeys `gap` and `fold` as the others do.
    """

    text: str
    timezone: str = ""
    gap: GapRule = "shift_forward"
    fold: FoldRule = "first"
    apply_to_intervals: bool = False
    days: DaysRule = "vixie"
    seconds: Literal["", "first"] = ""
    hash_name: str = ""


class IntervalSpec(msgspec.Struct, frozen=True, array_like=True, tag="schedule.interval", cache_hash=True):
    """Every so many seconds in a daily window of wall time, anchored again at `start_s` on each local day.

    `end_s` is part of the window; above 86,400 it lies in the next day. `gap="skip", fold="both"` is what the
    wall clock does by itself. `starting` is a date (`YYYY-MM-DD`, or empty): the first day of the window, and
    what `every_n` days are counted from.
    """

    interval_s: int
    start_s: int = 0
    end_s: int = 86_399
    timezone: str = ""
    gap: GapRule = "skip"
    fold: FoldRule = "both"
    every_n: int = 1
    starting: str = ""


class CalendarSpec(msgspec.Struct, frozen=True, array_like=True, tag="schedule.calendar", cache_hash=True):
    """At times of day, on days of a calendar: `every_n` days, weeks (from Monday), months or years.

    `at_s` are seconds of wall time after midnight. `weekdays` are 0 = Monday to 6, `nth` counts them within
    the month, from its end when negative. `month_days` are 1 to 31, from the month's end when negative.
    `months` are 1 to 12. `starting` is a date (`YYYY-MM-DD`, or empty): the first day that may fire, and what
    `every_n` is counted from.
    """

    frequency: Frequency
    at_s: tuple[int, ...] = (0,)
    timezone: str = ""
    gap: GapRule = "shift_forward"
    fold: FoldRule = "first"
    every_n: int = 1
    starting: str = ""
    weekdays: tuple[int, ...] = ()
    nth: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    month_end: MonthEnd = "last"


ScheduleSpec: TypeAlias = CronSpec | IntervalSpec | CalendarSpec


class Firing(NamedTuple):
    """A scheduled instant, and the rule by which a gap or a fold touched it.

    `rule` is empty, or `gap.shift_forward`, `gap.preserve_offset`, `fold.first`, `fold.second`, `fold.both`.
    """

    at_us: int
    rule: str
