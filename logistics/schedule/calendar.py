"""Calendar: whole days, to leave out of a schedule or to keep it to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TypeAlias

from actors.schedule.days import check_days
from actors.schedule.errors import ScheduleError
from actors.schedule.recurring_syntax import DATE, WEEKDAY_NAMES, weekdays_of
from actors.schedule.spec import DaysSpec, Holidays
from logistics.schedule.words import SATURDAY_AND_SUNDAY, days_in_words

Day: TypeAlias = date | str

WEEKENDS = "weekends"


class Calendar:
    """Days by date (`date` or `YYYY-MM-DD`), weekday (`"sat"`, `"Saturday"`) or `"weekends"`.

    `schedule - calendar` leaves them out, `schedule & calendar` keeps to them, `calendar | calendar` is the
    days of both; the option `exclude` takes them too. Days are those of the schedule's own zone. What names no
    day is a `ScheduleError`.
    """

    __slots__ = ("_spec",)

    def __init__(self, *days: Day) -> None:
        self._spec = _days(days)

    @classmethod
    def holidays(cls, country: str, subdivision: str | None = None) -> Calendar:
        """The public holidays of a country, by its ISO 3166 code, or of a part of it: `("CH", "ZH")`.

        The package `holidays` knows them (`pip install 'logistics[holidays]'`). What is stored is the code:
        a newer release of the package may know better.
        """
        for what, value in (("country", country), ("subdivision", subdivision or "-")):
            if not isinstance(value, str) or not value.strip():
                raise ScheduleError(f"{what} must be a code such as 'CH' or 'ZH', got {value!r}")
        return cls._of(DaysSpec(holidays=(Holidays(country, subdivision or ""),)))

    @classmethod
    def _of(cls, spec: DaysSpec) -> Calendar:
        check_days(spec)
        made = cls()
        made._spec = spec
        return made

    @property
    def spec(self) -> DaysSpec:
        """The days as data."""
        return self._spec

    def __or__(self, other: object) -> Calendar:
        if not isinstance(other, Calendar):
            return NotImplemented
        mine, theirs = self._spec, other.spec
        return Calendar._of(
            DaysSpec(
                tuple(sorted({*mine.weekdays, *theirs.weekdays})),
                tuple(sorted({*mine.dates, *theirs.dates})),
                tuple(dict.fromkeys((*mine.holidays, *theirs.holidays))),
            )
        )

    def __eq__(self, other: object) -> bool:
        return other.spec == self._spec if isinstance(other, Calendar) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._spec)

    def __repr__(self) -> str:
        return f"<Calendar of {days_in_words(self._spec)}>"


def _days(days: Iterable[object]) -> DaysSpec:
    weekdays: set[int] = set()
    dates: set[str] = set()
    for day in days:
        if isinstance(day, date) and not isinstance(day, datetime):
            dates.add(day.isoformat())
        elif not isinstance(day, str):
            raise _no_day(day)
        elif DATE.match(day):
            dates.add(_existing(day))
        elif day.strip().lower() == WEEKENDS:
            weekdays.update(SATURDAY_AND_SUNDAY)
        elif day.strip().lower() in {known[:length] for known in WEEKDAY_NAMES for length in (3, None)}:
            weekdays.update(weekdays_of(day))
        else:
            raise _no_day(day)
    return DaysSpec(tuple(sorted(weekdays)), tuple(sorted(dates)))


def _existing(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError as error:
        raise ScheduleError(f"a calendar's day must be a date that exists, got {day!r}: {error}") from error


def _no_day(day: object) -> ScheduleError:
    return ScheduleError(
        f"a calendar's day must be a date, 'YYYY-MM-DD', a weekday such as 'sat', or 'weekends', got {day!r}"
    )
