"""Rules of RFC 5545 (`RRULE`) as text, in and out: the part of them that recurring schedules can say.

`DTSTART` is the first day, and the time of day where `BYHOUR` and the like do not say another; unlike in the RFC
it is no run by itself. As the RFC has it, days that a month does not have are left out, and a time that a gap
swallows is served as much later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import NamedTuple

from actors.clock.zones import DAY_S
from actors.schedule.errors import ScheduleError
from actors.schedule.recurring_syntax import Anchor, DayOfMonth, calendar_spec
from actors.schedule.spec import CalendarSpec, Frequency, IntervalSpec

MAX_TEXT = 2_000
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_FREQUENCIES: Mapping[str, Frequency] = MappingProxyType(
    {"DAILY": "daily", "WEEKLY": "weekly", "MONTHLY": "monthly", "YEARLY": "yearly"}
)
_ELSEWHERE = MappingProxyType(
    {
        "COUNT": "give max_runs= when the schedule is added",
        "UNTIL": "give end= when the schedule is added",
        "BYSETPOS": "use nth= and weekday= of RecurringSchedule.monthly",
        "BYWEEKNO": "there are no numbers of weeks",
        "BYYEARDAY": "name months and days",
    }
)
_KNOWN = (*("FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYHOUR", "BYMINUTE", "BYSECOND", "WKST"),)
_LINE = re.compile(
    r"(?:DTSTART(?:;TZID=(?P<zone>[^:;\s]+))?:(?P<start>\d{8}(?:T\d{6}Z?)?)\s+)?(?:RRULE:)?(?P<rule>\S+)\Z",
    re.ASCII,
)
_ORDINAL = re.compile(r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)\Z", re.ASCII)


class _Start(NamedTuple):
    """What `DTSTART` says: a day, a time of it, a zone."""

    day: date | None = None
    second: int = 0
    timezone: str | None = None


def rrule_spec(text: str, timezone: str | None) -> CalendarSpec:
    """The schedule of a rule, with or without `DTSTART`; a `ScheduleError` names what cannot be said."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise ScheduleError(f"rrule: expected a text of at most {MAX_TEXT} characters, got {text!r:.60}")
    found = _LINE.match(text.strip().upper() if ":" not in text else text.strip())
    if not found:
        raise ScheduleError(
            f"rrule: expected 'FREQ=…;…', with a line 'DTSTART:…' before it or not, got {text!r}"
        )
    parts = _parts(found["rule"].upper())
    start = _start(found["start"], found["zone"])
    if timezone is not None and start.timezone not in (None, timezone):
        raise ScheduleError(f"rrule: DTSTART is in {start.timezone!r}, got timezone={timezone!r} as well")
    return _Rule(parts, start).spec(timezone or start.timezone)


def _parts(rule: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in rule.strip(";").split(";"):
        key, equals, value = part.partition("=")
        if key in _ELSEWHERE:
            raise ScheduleError(f"rrule: {key} cannot be part of the rule: {_ELSEWHERE[key]}")
        if key not in _KNOWN or not equals or not value:
            raise ScheduleError(f"rrule: {part!r} is none of {', '.join(f'{each}=…' for each in _KNOWN)}")
        if key in parts:
            raise ScheduleError(f"rrule: {key} is there twice")
        parts[key] = value
    if parts.get("WKST", "MO") != "MO":
        raise ScheduleError(f"rrule: weeks begin on Monday, got WKST={parts['WKST']}")
    return parts


def _start(text: str | None, zone: str | None) -> _Start:
    if text is None:
        return _Start()
    try:
        moment = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d")  # noqa: DTZ007
    except ValueError as error:
        raise ScheduleError(f"rrule: DTSTART must be a date that exists, got {text!r}") from error
    if text.endswith("Z") and zone is not None:
        raise ScheduleError(f"rrule: DTSTART is in UTC by its Z and in {zone!r} by its TZID")
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    return _Start(moment.date(), second, "UTC" if text.endswith("Z") else zone)


class _Rule:
    """A rule on its way to a spec."""

    def __init__(self, parts: Mapping[str, str], start: _Start) -> None:
        self._parts = parts
        self._start = start

    def spec(self, timezone: str | None) -> CalendarSpec:
        frequency = _FREQUENCIES.get(self._parts.get("FREQ", ""))
        if frequency is None:
            raise ScheduleError(
                f"rrule: FREQ must be one of {', '.join(_FREQUENCIES)}, got {self._parts.get('FREQ')!r}; for "
                "shorter periods use RecurringSchedule(interval_minutes, …)"
            )
        anchor = Anchor(
            timezone=timezone,
            gap="preserve_offset",
            fold="first",
            every_n=self._numbers("INTERVAL", 1, 100_000, (1,))[0],
            starting=self._start.day,
        )
        months = self._numbers("BYMONTH", 1, 12, ())
        if frequency in ("daily", "weekly"):
            return self._of_days(frequency, anchor, months)
        if frequency == "yearly" and not months and not self._has("BYMONTHDAY"):
            months = self._months_of_days() if self._has("BYDAY") else (self._started("month"),)
        return calendar_spec(
            frequency, self._times(), anchor, days=self._days_of_month(), months=months, month_end="skip"
        )

    def _of_days(self, frequency: Frequency, anchor: Anchor, months: tuple[int, ...]) -> CalendarSpec:
        for key in ("BYMONTHDAY", "BYMONTH"):
            if self._has(key) or (key == "BYMONTH" and months):
                raise ScheduleError(f"rrule: {key} goes with FREQ=MONTHLY or YEARLY only")
        if frequency == "daily" and not self._has("BYDAY"):
            return calendar_spec("daily", self._times(), anchor)
        if frequency == "daily" and anchor.every_n > 1:
            raise ScheduleError("rrule: BYDAY of FREQ=DAILY goes without INTERVAL only")
        ordinals, weekdays = self._by_day()
        if ordinals != {None}:
            raise ScheduleError("rrule: BYDAY takes no numbers with FREQ=DAILY or WEEKLY")
        return calendar_spec("weekly", self._times(), anchor, weekdays=weekdays)

    def _months_of_days(self) -> tuple[int, ...]:
        """The months in which the weekdays of a year lie: without `BYMONTH` they are counted through the year."""
        ordinals = {each for each in self._by_day()[0] if each}
        if not ordinals:
            return tuple(range(1, 13))
        if ordinals <= {1, 2, 3, 4}:
            return (1,)
        if ordinals <= {-1, -2, -3, -4}:
            return (12,)
        raise ScheduleError(
            "rrule: BYDAY of FREQ=YEARLY without BYMONTH is counted through the year: expected 1 to 4 or -1 to -4; "
            "name a month"
        )

    def _days_of_month(self) -> DayOfMonth:
        if self._has("BYDAY") and self._has("BYMONTHDAY"):
            raise ScheduleError("rrule: BYDAY and BYMONTHDAY together cannot be said")
        if self._has("BYDAY"):
            ordinals, weekdays = self._by_day()
            nth = (1, 2, 3, 4, 5) if ordinals == {None} else tuple(sorted(each for each in ordinals if each))
            return DayOfMonth((), nth, weekdays)
        days = self._numbers("BYMONTHDAY", -31, 31, ())
        return DayOfMonth(days or (self._started("day"),), (), ())

    def _by_day(self) -> tuple[set[int | None], tuple[int, ...]]:
        """The ordinals and the weekdays of `BYDAY`: each of the one with each of the other."""
        if not self._has("BYDAY"):
            return {None}, (self._started("weekday"),)
        found: set[tuple[int | None, int]] = set()
        for token in self._parts["BYDAY"].split(","):
            read = _ORDINAL.match(token)
            if not read:
                raise ScheduleError(f"rrule: BYDAY: {token!r} is no weekday such as MO, 1MO or -1FR")
            found.add((int(read[1]) if read[1] else None, _DAYS.index(read[2])))
        ordinals, weekdays = {each for each, _ in found}, {day for _, day in found}
        if len(found) != len(ordinals) * len(weekdays) or (None in ordinals and len(ordinals) > 1):
            raise ScheduleError(
                "rrule: BYDAY must have the same numbers for each weekday; combine two rules by |"
            )
        return ordinals, tuple(sorted(weekdays))

    def _started(self, what: str) -> int:
        if self._start.day is None:
            raise ScheduleError(f"rrule: which {what} is meant? Say it, or give a DTSTART")
        day = self._start.day
        return {"day": day.day, "month": day.month, "weekday": day.weekday()}[what]

    def _times(self) -> tuple[str, ...]:
        own = self._start.second
        hours = self._numbers("BYHOUR", 0, 23, (own // 3600,))
        minutes = self._numbers("BYMINUTE", 0, 59, (own // 60 % 60,))
        seconds = self._numbers("BYSECOND", 0, 59, (own % 60,))
        times = [(hour, minute, second) for hour in hours for minute in minutes for second in seconds]
        first = min(times)
        if self._start.day is not None and first[0] * 3600 + first[1] * 60 + first[2] < own:
            raise ScheduleError("rrule: DTSTART must not be later in the day than the first time of the rule")
        return tuple(f"{hour:02}:{minute:02}:{second:02}" for hour, minute, second in times)

    def _has(self, key: str) -> bool:
        return key in self._parts

    def _numbers(self, key: str, least: int, most: int, otherwise: tuple[int, ...]) -> tuple[int, ...]:
        if key not in self._parts:
            return otherwise
        found = set()
        for token in self._parts[key].split(","):
            number = int(token) if re.fullmatch(r"[+-]?[0-9]{1,6}", token) else None
            if number is None or not least <= number <= most or (number == 0 and least < 0):
                raise ScheduleError(f"rrule: {key} must be {least} to {most}, got {token!r}")
            found.add(number)
        return tuple(sorted(found))


def rrule_text(spec: CalendarSpec | IntervalSpec) -> str:
    """The rule of a schedule, with a line `DTSTART` if it has a first day; a `ScheduleError` if there is none."""
    if isinstance(spec, IntervalSpec):
        if spec.end_s >= DAY_S:
            raise ScheduleError("a window that spans midnight cannot be said as an RRULE")
        parts, times = ["FREQ=DAILY"], tuple(range(spec.start_s, spec.end_s + 1, spec.interval_s))
    else:
        parts, times = [f"FREQ={spec.frequency.upper()}", *_days_text(spec)], spec.at_s
    if spec.every_n > 1:
        parts.insert(1, f"INTERVAL={spec.every_n}")
    rule = ";".join([*parts, *_times_text(times)])
    if not spec.starting:
        return rule
    day = spec.starting.replace("-", "")
    clock = f"{times[0] // 3600:02}{times[0] // 60 % 60:02}{times[0] % 60:02}"
    zone = f";TZID={spec.timezone}" if spec.timezone else ""
    return f"DTSTART{zone}:{day}T{clock}\nRRULE:{rule}"


def _days_text(spec: CalendarSpec) -> Iterable[str]:
    if spec.months:
        yield f"BYMONTH={_listed(spec.months)}"
    if spec.month_days:
        if spec.month_end == "last" and any(not -28 <= day <= 28 for day in spec.month_days):  # noqa: PLR2004
            raise ScheduleError("month_end='last' cannot be said as an RRULE, month_end='skip' can")
        yield f"BYMONTHDAY={_listed(spec.month_days)}"
    if spec.weekdays:
        names = [_DAYS[day] for day in spec.weekdays]
        nth = [f"{each}{name}" for each in spec.nth for name in names]
        yield f"BYDAY={','.join(nth or names)}"


def _times_text(times: tuple[int, ...]) -> Iterable[str]:
    hours = sorted({second // 3600 for second in times})
    minutes = sorted({second // 60 % 60 for second in times})
    seconds = sorted({second % 60 for second in times})
    if len(hours) * len(minutes) * len(seconds) != len(times):
        raise ScheduleError(
            "these times of day cannot be said as one RRULE: combine schedules with fewer by |"
        )
    yield f"BYHOUR={_listed(hours)}"
    yield f"BYMINUTE={_listed(minutes)}"
    if seconds != [0]:
        yield f"BYSECOND={_listed(seconds)}"


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in numbers)
