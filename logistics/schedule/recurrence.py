"""RecurringSchedule: every so many minutes, or daily, weekly, monthly, yearly, without a line of cron."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import TypeAlias

from actors.schedule.errors import ScheduleError
from actors.schedule.recurring_syntax import (
    Anchor,
    Weekday,
    calendar_spec,
    check_fires,
    day_of_month,
    instants_spec,
    interval_spec,
    months_of,
    weekdays_of,
)
from actors.schedule.rrule import rrule_spec, rrule_text
from actors.schedule.spec import CalendarSpec, FoldRule, GapRule, InstantsSpec, IntervalSpec, MonthEnd
from logistics.schedule.occurrences import Occurrences
from logistics.schedule.words import in_words

TimeOfDay: TypeAlias = str | time
Times: TypeAlias = TimeOfDay | Iterable[TimeOfDay]


class RecurringSchedule(Occurrences[IntervalSpec | CalendarSpec | InstantsSpec]):
    """Every `interval_minutes`, all day from 00:00 or from `start_time` to `end_time`, both included.

    Each local day begins anew; an `end_time` before `start_time` is on the next day. An interval follows the
    wall clock: nothing is made up where clocks are put forward, the hour that comes twice is served twice.
    Naming `gap` or `fold` gives it that rule instead (see `CronExpression`). `starting` is the first day.

    Weekdays are English names (any case, long or short) or numbers with 0 = Monday; cron's are 0 = Sunday.
    Times are `HH:MM` or `HH:MM:SS`, one or a list. What cannot be is a `ScheduleError` (a `ValueError`).
    """

    __slots__ = ()

    def __init__(
        self,
        interval_minutes: float,
        start_time: TimeOfDay | None = None,
        end_time: TimeOfDay | None = None,
        timezone: str | None = None,
        *,
        gap: GapRule | None = None,
        fold: FoldRule | None = None,
        starting: date | str | None = None,
    ) -> None:
        anchor = Anchor(timezone=timezone, gap=gap, fold=fold, starting=starting)
        super().__init__(interval_spec(interval_minutes, start_time, end_time, anchor))

    @classmethod
    def _of(cls, spec: IntervalSpec | CalendarSpec | InstantsSpec) -> RecurringSchedule:
        check_fires(spec)
        made = cls.__new__(cls)
        Occurrences.__init__(made, spec)
        return made

    @classmethod
    def every(
        cls,
        minutes: float,
        start_time: TimeOfDay | None = None,
        end_time: TimeOfDay | None = None,
        *,
        timezone: str | None = None,
        gap: GapRule | None = None,
        fold: FoldRule | None = None,
        every_n: int = 1,
        starting: date | str | None = None,
    ) -> RecurringSchedule:
        """Every so many minutes, as the constructor has it, on every n-th day."""
        anchor = Anchor(timezone=timezone, gap=gap, fold=fold, every_n=every_n, starting=starting)
        return cls._of(interval_spec(minutes, start_time, end_time, anchor))

    @classmethod
    def daily(
        cls,
        at: Times = "00:00",
        *,
        timezone: str | None = None,
        gap: GapRule | None = None,
        fold: FoldRule | None = None,
        every_n: int = 1,
        starting: date | str | None = None,
    ) -> RecurringSchedule:
        """At these times of each day, or of every n-th day."""
        anchor = Anchor(timezone=timezone, gap=gap, fold=fold, every_n=every_n, starting=starting)
        return cls._of(calendar_spec("daily", at, anchor))

    @classmethod
    def weekly(
        cls,
        on: Weekday | Iterable[Weekday],
        at: Times = "00:00",
        *,
        timezone: str | None = None,
        gap: GapRule | None = None,
        fold: FoldRule | None = None,
        every_n: int = 1,
        starting: date | str | None = None,
    ) -> RecurringSchedule:
        """On these weekdays of each week, or of every n-th; weeks begin on Monday."""
        anchor = Anchor(timezone=timezone, gap=gap, fold=fold, every_n=every_n, starting=starting)
        return cls._of(calendar_spec("weekly", at, anchor, weekdays=weekdays_of(on)))

    @classmethod
    def monthly(
        cls,
        *,
        day: int | str | Iterable[int | str] | None = None,
        nth: int | Iterable[int] | None = None,
        weekday: Weekday | Iterable[Weekday] | None = None,
        at: Times = "00:00",
        month_end: MonthEnd = "last",
        timezone: str | None = None,
        gap: GapRule | None = None,
        fold: FoldRule | None = None,
        every_n: int = 1,
        starting: date | str | None = None,
    ) -> RecurringSchedule:
        """On a `day` (1 to 31, `'last'`, -1 for the last) or the `nth` (1 to 5, -1 to -5) `weekday`.

        A month without the `day` has it on its last day; with `month_end="skip"` it has none. A month
        without a fifth weekday has none.
        """
        anchor = Anchor(timezone=timezone, gap=gap, fold=fold, every_n=every_n, starting=starting)
        days = day_of_month(day, nth, weekday)
        return cls._of(calendar_spec("monthly", at, anchor, days=days, month_end=month_end))

    @classmethod
    def yearly(
        cls,
        *,
        month: int | str | Iterable[int | str],
        day: int | str | Iterable[int | str] | None = None,
        nth: int | Iterable[int] | None = None,
        weekday: Weekday | Iterable[Weekday] | None = None,
        at: Times = "00:00",
        month_end: MonthEnd = "last",
        timezone: str | None = None,
        gap: GapRule | None = None,
        fold: FoldRule | None = None,
        every_n: int = 1,
        starting: date | str | None = None,
    ) -> RecurringSchedule:
        """In these months (1 to 12, or English names) of each year, on days as `monthly` has them."""
        anchor = Anchor(timezone=timezone, gap=gap, fold=fold, every_n=every_n, starting=starting)
        days = day_of_month(day, nth, weekday)
        spec = calendar_spec("yearly", at, anchor, days=days, months=months_of(month), month_end=month_end)
        return cls._of(spec)

    @classmethod
    def once(cls, at: datetime | Iterable[datetime], *, timezone: str | None = None) -> RecurringSchedule:
        """At one moment, or at each of a list of them: aware datetimes. `timezone` is how they are shown."""
        return cls._of(instants_spec(at, timezone))

    @classmethod
    def from_rrule(cls, text: str, *, timezone: str | None = None) -> RecurringSchedule:
        """A rule of RFC 5545: `FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=16`, after a line `DTSTART…` or not.

        `FREQ` is DAILY to YEARLY; `INTERVAL`, `BYDAY`, `BYMONTHDAY`, `BYMONTH`, `BYHOUR`, `BYMINUTE` and
        `BYSECOND` are understood, the rest is a `ScheduleError` that says what to do instead. `DTSTART` is the
        first day and the time of day. Gaps are the RFC's, `preserve_offset`; missing days are left out.
        """
        return cls._of(rrule_spec(text, timezone))

    def to_rrule(self) -> str:
        """The rule of RFC 5545 that says this, `ScheduleError` if none does. It knows no rules for gaps and folds."""
        if isinstance(self._spec, InstantsSpec):
            raise ScheduleError("single moments cannot be said as an RRULE")
        return rrule_text(self._spec)

    def __str__(self) -> str:
        """What it says, in words."""
        return in_words(self._spec)

    def __repr__(self) -> str:
        zone = f" in {self._spec.timezone}" if self._spec.timezone else ""
        return f"<RecurringSchedule {self}{zone}>"
