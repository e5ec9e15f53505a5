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
Combination: TypeAlias = Literal["any", "all", "but"]

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


class InstantsSpec(msgspec.Struct, frozen=True, array_like=True, tag="schedule.instants", cache_hash=True):
    """At these instants, in order, and never again; `timezone` only says how they are shown."""

    at_us: tuple[int, ...]
    timezone: str = ""


class Holidays(msgspec.Struct, frozen=True, array_like=True, cache_hash=True):
    """The public holidays of a country, by its ISO 3166 code, or of a part of it."""

    country: str
    subdivision: str = ""


class DaysSpec(msgspec.Struct, frozen=True, array_like=True, tag="schedule.days", cache_hash=True):
    """Whole days: of the week (0 = Monday), of the calendar (`YYYY-MM-DD`), holidays. No schedule by itself."""

    weekdays: tuple[int, ...] = ()
    dates: tuple[str, ...] = ()
    holidays: tuple[Holidays, ...] = ()


class CombinedSpec(msgspec.Struct, frozen=True, array_like=True, tag="schedule.combined", cache_hash=True):
    """`any`: when one of the parts fires; `all`: when all do; `but`: when the first does and no other.

    A part that is `DaysSpec` holds each instant of its days, as the wall of the first part's zone shows them.
    `timezone` is that zone. The first part is never `DaysSpec`.
    """

    how: Combination
    parts: tuple[CronSpec | IntervalSpec | CalendarSpec | InstantsSpec | CombinedSpec | DaysSpec, ...]
    timezone: str = ""


PatternSpec: TypeAlias = CronSpec | IntervalSpec | CalendarSpec
ScheduleSpec: TypeAlias = PatternSpec | InstantsSpec | CombinedSpec


def zoned(spec: ScheduleSpec, timezone: str) -> ScheduleSpec:
    """The spec, in this zone wherever it names none."""
    if isinstance(spec, CombinedSpec):
        parts = tuple(part if isinstance(part, DaysSpec) else zoned(part, timezone) for part in spec.parts)
        return CombinedSpec(spec.how, parts, spec.timezone or timezone)
    return spec if spec.timezone else msgspec.structs.replace(spec, timezone=timezone)


def is_zoned(spec: ScheduleSpec) -> bool:
    """Whether it names a zone in each of its parts."""
    if isinstance(spec, CombinedSpec):
        return all(isinstance(part, DaysSpec) or is_zoned(part) for part in spec.parts)
    return bool(spec.timezone)


def is_cron(spec: ScheduleSpec) -> bool:
    """Whether it is made of cron expressions, whatever days and instants are left out."""
    if isinstance(spec, CombinedSpec):
        parts = spec.parts[:1] if spec.how == "but" else spec.parts
        return all(isinstance(part, DaysSpec) or is_cron(part) for part in parts)
    return isinstance(spec, CronSpec)


class Firing(NamedTuple):
    """A scheduled instant, and the rule by which a gap or a fold touched it.

    `rule` is empty, or `gap.shift_forward`, `gap.preserve_offset`, `fold.first`, `fold.second`, `fold.both`.
    """

    at_us: int
    rule: str
