"""Public holidays: the one user of the package `holidays`, which is loaded when a schedule first asks for it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from actors.schedule.errors import ScheduleError
from actors.schedule.spec import Holidays

NEEDED = "pip install 'logistics[holidays]'"


def holiday_name(calendar: Holidays, day: date) -> str | None:
    """What the day is called if it is a holiday there, else `None`."""
    return _year(calendar, day.year).get(day)


def check_holidays(calendar: Holidays) -> None:
    """Refuse a country or a part of one that the package does not know; and that the package is missing."""
    _year(calendar, 2000)


@lru_cache(maxsize=1024)
def _year(calendar: Holidays, year: int) -> Mapping[date, str]:
    package = _package()
    try:
        found = package.country_holidays(
            calendar.country, subdiv=calendar.subdivision or None, years=year, expand=False
        )
    except NotImplementedError as error:
        raise ScheduleError(
            f"holidays: {error}; expected an ISO 3166 code such as 'CH' and a part of it such as 'ZH', got "
            f"{calendar.country!r} and {calendar.subdivision!r}"
        ) from error
    except Exception as error:
        name = "-".join(filter(None, (calendar.country, calendar.subdivision)))
        raise ScheduleError(f"holidays: {name} of {year} cannot be told: {error!r}") from error
    return dict(found)


def _package() -> Any:
    try:
        return importlib.import_module("holidays")
    except ImportError as error:
        raise ScheduleError(
            f"a calendar of holidays needs the package holidays: {NEEDED} ({error})"
        ) from error
