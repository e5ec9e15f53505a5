"""A schedule in words, as lists and errors show it."""

from __future__ import annotations

from types import MappingProxyType

from actors.clock.zones import to_datetime_somehow
from actors.schedule.recurring_syntax import WEEKDAY_NAMES, described
from actors.schedule.spec import CombinedSpec, CronSpec, DaysSpec, InstantsSpec, ScheduleSpec

SATURDAY_AND_SUNDAY = (5, 6)
_SHOWN = 3
_JOINTS = MappingProxyType({"any": " or ", "all": " and ", "but": " but not "})


def in_words(spec: ScheduleSpec | DaysSpec) -> str:
    """A cron expression as it is, the others in words; zones and rules are left out."""
    if isinstance(spec, CronSpec):
        return spec.text
    if isinstance(spec, DaysSpec):
        return days_in_words(spec)
    if isinstance(spec, InstantsSpec):
        return _instants_in_words(spec)
    if isinstance(spec, CombinedSpec):
        return _JOINTS[spec.how].join(_part_in_words(part) for part in spec.parts)
    return described(spec)


def _part_in_words(part: ScheduleSpec | DaysSpec) -> str:
    return f"({in_words(part)})" if isinstance(part, CombinedSpec | CronSpec) else in_words(part)


def _instants_in_words(spec: InstantsSpec) -> str:
    zone = spec.timezone or "UTC"
    shown = [to_datetime_somehow(zone, at_us).isoformat(sep=" ") for at_us in spec.at_us[:_SHOWN]]
    more = len(spec.at_us) - len(shown)
    return f"at {', '.join(shown)}{f' and {more} more times' if more else ''}"


def days_in_words(spec: DaysSpec) -> str:
    """The days of a calendar."""
    if spec.weekdays == SATURDAY_AND_SUNDAY:
        weekdays = ["weekends"]
    else:
        weekdays = [f"{WEEKDAY_NAMES[day].capitalize()}s" for day in spec.weekdays]
    holidays = [
        f"holidays of {'-'.join(part for part in (each.country, each.subdivision) if part)}"
        for each in spec.holidays
    ]
    return ", ".join([*weekdays, *holidays, *spec.dates]) or "no days"
