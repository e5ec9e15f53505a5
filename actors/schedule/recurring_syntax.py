"""Recurring schedules as users write them: checked, with errors that say what is allowed, and made a spec."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from types import MappingProxyType
from typing import TypeAlias

from actors.clock.zones import FIRST_S, LAST_S, SECOND_US, check_name, instant_of
from actors.schedule.cron_fields import MONTH_NAMES
from actors.schedule.errors import ScheduleError
from actors.schedule.pattern import EPOCH_ORDINAL, Pattern
from actors.schedule.recurring import calendar_days
from actors.schedule.spec import (
    FOLD_RULES,
    GAP_RULES,
    MONTH_ENDS,
    CalendarSpec,
    FoldRule,
    Frequency,
    GapRule,
    InstantsSpec,
    IntervalSpec,
    MonthEnd,
)
from actors.schedule.times import ListedTimes

Weekday: TypeAlias = int | str
TimeOfDay: TypeAlias = str | time

DAY_S = 86_400
DAY_MINUTES = 1_440
WEEKDAY_NAMES: tuple[str, ...] = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?\Z", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
_MOST = MappingProxyType({"daily": 14_600, "weekly": 2_080, "monthly": 480, "yearly": 40})
"""`every_n` of at most 40 years, as far as a search goes."""
_SHORTEST_MONTH = 28
MAX_INSTANTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What all recurring schedules take: the zone, the rules for gaps and folds, the period, its anchor."""

    timezone: str | None = None
    gap: GapRule | None = None
    fold: FoldRule | None = None
    every_n: int = 1
    starting: date | str | None = None


@dataclass(frozen=True, slots=True)
class DayOfMonth:
    """Which days of a month: by number, or the n-th of a weekday."""

    month_days: tuple[int, ...]
    nth: tuple[int, ...]
    weekdays: tuple[int, ...]


def interval_spec(
    minutes: float, start_time: TimeOfDay | None, end_time: TimeOfDay | None, anchor: Anchor
) -> IntervalSpec:
    """Every so many minutes, all day or in a window that includes its end."""
    _check_rules(anchor)
    interval_s = _interval_s(minutes)
    start_s, end_s = _window(start_time, end_time)
    return IntervalSpec(
        interval_s=interval_s,
        start_s=start_s,
        end_s=end_s,
        timezone=_zone_name(anchor.timezone),
        gap=anchor.gap or "skip",
        fold=anchor.fold or "both",
        every_n=_every_n("daily", anchor),
        starting=_starting(anchor.starting),
    )


def _interval_s(minutes: object) -> int:
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        raise ScheduleError(f"the interval must be a number of minutes, got {type(minutes).__name__}")
    if not 0 < minutes <= DAY_MINUTES:
        raise ScheduleError(
            f"the interval must be more than 0 and at most {DAY_MINUTES} minutes, because each day begins "
            f"anew, got {minutes}; for every n-th day use RecurringSchedule.daily(at=…, every_n=…)"
        )
    seconds = minutes * 60
    if seconds != int(seconds):
        raise ScheduleError(f"the interval must be whole seconds, got {minutes} minutes = {seconds} s")
    return int(seconds)


def _window(start_time: TimeOfDay | None, end_time: TimeOfDay | None) -> tuple[int, int]:
    if start_time is None and end_time is None:
        return 0, DAY_S - 1
    if start_time is None or end_time is None:
        given, missing = ("start_time", "end_time") if end_time is None else ("end_time", "start_time")
        raise ScheduleError(f"{given} was given without {missing}: give both, or neither for the whole day")
    start_s, end_s = time_of_day(start_time, "start_time"), time_of_day(end_time, "end_time")
    if start_s == end_s:
        raise ScheduleError(
            f"start_time and end_time are both {clock_text(start_s)}: leave both out for the whole day, or "
            f"use RecurringSchedule.daily(at={clock_text(start_s)!r}) for once a day"
        )
    return start_s, end_s if start_s < end_s else end_s + DAY_S


def calendar_spec(
    frequency: Frequency,
    at: TimeOfDay | Iterable[TimeOfDay],
    anchor: Anchor,
    *,
    weekdays: tuple[int, ...] = (),
    days: DayOfMonth | None = None,
    months: tuple[int, ...] = (),
    month_end: MonthEnd = "last",
) -> CalendarSpec:
    """At times of day, on days that were read by the functions below."""
    _check_rules(anchor)
    if month_end not in MONTH_ENDS:
        raise ScheduleError(f"month_end must be one of {', '.join(MONTH_ENDS)}, got {month_end!r}")
    return CalendarSpec(
        frequency=frequency,
        at_s=_times_of_day(at),
        timezone=_zone_name(anchor.timezone),
        gap=anchor.gap or "shift_forward",
        fold=anchor.fold or "first",
        every_n=_every_n(frequency, anchor),
        starting=_starting(anchor.starting),
        weekdays=days.weekdays if days else weekdays,
        nth=days.nth if days else (),
        month_days=days.month_days if days else (),
        months=months,
        month_end=month_end,
    )


def instants_spec(at: datetime | Iterable[datetime], timezone: str | None) -> InstantsSpec:
    """At one moment or several: aware datetimes."""
    given = [at] if isinstance(at, datetime) else _listed(at, "at", "an aware datetime, or a list of them")
    if len(given) > MAX_INSTANTS:
        raise ScheduleError(f"at must be at most {MAX_INSTANTS} datetimes, got {len(given)}")
    return InstantsSpec(tuple(sorted({_instant(each) for each in given})), _zone_name(timezone))


def _instant(moment: object) -> int:
    if not isinstance(moment, datetime):
        raise ScheduleError(f"at must be an aware datetime, or a list of them, got {moment!r}")
    at_us = instant_of(moment, what="at")
    if not FIRST_S * SECOND_US <= at_us <= LAST_S * SECOND_US:
        raise ScheduleError(f"at must lie in the years 1 to 9999, got {moment}")
    return at_us


def _zone_name(timezone: str | None) -> str:
    if timezone is None:
        return ""
    check_name(timezone)
    return timezone


def _check_rules(anchor: Anchor) -> None:
    if anchor.gap is not None and anchor.gap not in GAP_RULES:
        raise ScheduleError(f"gap must be one of {', '.join(GAP_RULES)}, got {anchor.gap!r}")
    if anchor.fold is not None and anchor.fold not in FOLD_RULES:
        raise ScheduleError(f"fold must be one of {', '.join(FOLD_RULES)}, got {anchor.fold!r}")


def _every_n(frequency: Frequency, anchor: Anchor) -> int:
    every_n: object = anchor.every_n
    most = _MOST[frequency]
    if isinstance(every_n, bool) or not isinstance(every_n, int) or not 1 <= every_n <= most:
        raise ScheduleError(
            f"every_n of a {frequency} schedule must be a whole number from 1 to {most}, got {every_n!r}"
        )
    if every_n > 1 and anchor.starting is None:
        raise ScheduleError(
            f"every_n={every_n} needs the date that it counts from: give starting='YYYY-MM-DD'"
        )
    return every_n


def _starting(starting: object) -> str:
    if starting is None:
        return ""
    if isinstance(starting, date) and not isinstance(starting, datetime):
        return starting.isoformat()
    if isinstance(starting, str) and DATE.match(starting):
        try:
            return date.fromisoformat(starting).isoformat()
        except ValueError as error:
            raise ScheduleError(f"starting must be a date that exists, got {starting!r}: {error}") from error
    raise ScheduleError(f"starting must be a date or 'YYYY-MM-DD', got {starting!r}")


def _times_of_day(at: TimeOfDay | Iterable[TimeOfDay]) -> tuple[int, ...]:
    given = [at] if isinstance(at, str | time) else _listed(at, "at", "a time such as '09:00', or a list")
    return tuple(sorted({time_of_day(each, "at") for each in given}))


def time_of_day(value: object, name: str) -> int:
    """The seconds after midnight of `HH:MM` or `HH:MM:SS`, or of a naive `time`."""
    if isinstance(value, time):
        if value.tzinfo is not None or value.microsecond:
            raise ScheduleError(f"{name} must be a time in whole seconds without a zone, got {value!r}")
        return value.hour * 3600 + value.minute * 60 + value.second
    found = _TIME.match(value) if isinstance(value, str) else None
    if not found:
        raise ScheduleError(f"{name} must be 'HH:MM' or 'HH:MM:SS', 00:00 to 23:59:59, got {value!r}")
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)


def clock_text(second: int) -> str:
    """`HH:MM`, with seconds only where there are some."""
    hour, rest = divmod(second % DAY_S, 3600)
    minute, seconds = divmod(rest, 60)
    return f"{hour:02}:{minute:02}:{seconds:02}" if seconds else f"{hour:02}:{minute:02}"


def _listed(value: object, name: str, expected: str) -> list[object]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ScheduleError(f"{name} must be {expected}, got {value!r}")
    listed = list(value)
    if not listed:
        raise ScheduleError(f"{name} must be {expected}, got an empty list")
    return listed


def weekdays_of(on: Weekday | Iterable[Weekday], name: str = "on") -> tuple[int, ...]:
    """Weekdays by English name (any case, long or short) or number, 0 = Monday; one or a list."""
    given = [on] if isinstance(on, int | str) else _listed(on, name, "a weekday or a list of them")
    return tuple(sorted({_weekday(each, name) for each in given}))


def _weekday(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(WEEKDAY_NAMES):
        return value
    if isinstance(value, str):
        for place, known in enumerate(WEEKDAY_NAMES):
            if value.strip().lower() in (known, known[:3]):
                return place
    raise ScheduleError(
        f"{name} must be a weekday: a name such as 'mon' or 'Monday', or 0 (Monday) to 6 (Sunday), "
        f"got {value!r}"
    )


def months_of(month: int | str | Iterable[int | str]) -> tuple[int, ...]:
    """Months by English name (any case, long or short) or number, 1 to 12; one or a list."""
    given = [month] if isinstance(month, int | str) else _listed(month, "month", "a month or a list of them")
    return tuple(sorted({_month(each) for each in given}))


def _month(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= len(MONTH_NAMES):
        return value
    if isinstance(value, str):
        for place, known in enumerate(MONTH_NAMES):
            if value.strip().lower() in (known, known[:3]):
                return place + 1
    raise ScheduleError(f"month must be 1 to 12 or a name such as 'jan' or 'January', got {value!r}")


def day_of_month(
    day: int | str | Iterable[int | str] | None,
    nth: int | Iterable[int] | None,
    weekday: Weekday | Iterable[Weekday] | None,
) -> DayOfMonth:
    """`day` (1 to 31, -1 or 'last' for the last), or `nth` (1 to 5, -1 to -5) of `weekday`; not both."""
    if day is not None and nth is None and weekday is None:
        given: list[object] = (
            [day] if isinstance(day, int | str) else _listed(day, "day", "a day or a list of them")
        )
        return DayOfMonth(tuple(sorted({_month_day(each) for each in given})), (), ())
    if day is None and nth is not None and weekday is not None:
        numbers: list[object] = [nth] if isinstance(nth, int) else _listed(nth, "nth", "a number or a list")
        return DayOfMonth(
            (), tuple(sorted({_nth(each) for each in numbers})), weekdays_of(weekday, "weekday")
        )
    raise ScheduleError(
        f"give day=…, or nth=… together with weekday=…, got day={day!r}, nth={nth!r}, weekday={weekday!r}"
    )


def _month_day(value: object) -> int:
    if value == "last":
        return -1
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= abs(value) <= 31:  # noqa: PLR2004
        return value
    raise ScheduleError(f"day must be 1 to 31, 'last', or -1 (the last) to -31, got {value!r}")


def _nth(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= abs(value) <= 5:  # noqa: PLR2004
        return value
    raise ScheduleError(f"nth must be 1 to 5, or -1 (the last) to -5, got {value!r}")


def check_fires(spec: IntervalSpec | CalendarSpec | InstantsSpec) -> None:
    """Refuse a schedule that has no day in 40 years, such as each 30 February."""
    if not isinstance(spec, CalendarSpec):
        return
    first = date.fromisoformat(spec.starting or "2000-01-01")
    if Pattern.of(calendar_days(spec), ListedTimes((0,))).next_wall(_day_number(first) * DAY_S) is None:
        since = f", from {first}," if spec.starting else ""
        raise ScheduleError(
            f"this schedule can never fire: {described(spec)}{since} has no day within 40 years"
        )


def _day_number(day: date) -> int:
    return day.toordinal() - EPOCH_ORDINAL


def described(spec: IntervalSpec | CalendarSpec) -> str:
    """The schedule in words, without its zone and rules."""
    from_start = f", from {spec.starting}" if spec.starting else ""
    if isinstance(spec, IntervalSpec):
        return f"every {_minutes(spec.interval_s)}{_window_text(spec)}{_nth_day(spec.every_n)}{from_start}"
    times = ", ".join(clock_text(second) for second in spec.at_s)
    return f"{_period(spec)}{_days_text(spec)} at {times}{from_start}"


def _minutes(interval_s: int) -> str:
    minutes, seconds = divmod(interval_s, 60)
    parts = [f"{minutes} min" if minutes else "", f"{seconds} s" if seconds else ""]
    return " ".join(part for part in parts if part)


def _window_text(spec: IntervalSpec) -> str:
    if (spec.start_s, spec.end_s) == (0, DAY_S - 1):
        return ""
    following = " the next day" if spec.end_s >= DAY_S else ""
    return f" from {clock_text(spec.start_s)} to {clock_text(spec.end_s)}{following}"


def _nth_day(every_n: int) -> str:
    return f", every {every_n} days" if every_n > 1 else ""


def _period(spec: CalendarSpec) -> str:
    unit = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}[spec.frequency]
    return f"every {unit}" if spec.every_n == 1 else f"every {spec.every_n} {unit}s"


def _days_text(spec: CalendarSpec) -> str:
    weekdays = ", ".join(WEEKDAY_NAMES[day].capitalize() for day in spec.weekdays)
    months = ", ".join(MONTH_NAMES[month - 1].capitalize() for month in spec.months)
    in_months = f" in {months}" if months else ""
    if spec.month_days:
        clamped = (
            " (or the last)" if spec.month_end == "last" and max(spec.month_days) > _SHORTEST_MONTH else ""
        )
        return f"{in_months} on day {', '.join(_day_text(day) for day in spec.month_days)}{clamped}"
    if spec.nth:
        return f"{in_months} on {weekdays} number {', '.join(str(nth) for nth in spec.nth)}"
    return f" on {weekdays}" if weekdays else in_months


def _day_text(day: int) -> str:
    return "last" if day == -1 else str(day)
