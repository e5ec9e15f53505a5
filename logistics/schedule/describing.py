"""A cron expression as an English sentence.

The package cron_descriptor says it, one field at a time: of several together it takes two day fields for alternatives
whatever the rule, and in a list it takes no heed of the forms with `L`, `W` and `#`.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from actors.schedule.cron_syntax import ALIASES, parsed
from actors.schedule.errors import CronError
from actors.schedule.spec import CronSpec

NEEDED = "pip install 'logistics[describe]'"
MIDNIGHT = "At 00:00"
OPEN = ("*", "?")
BEFORE_LAST = re.compile(r"l-(\d+)(w?)", re.IGNORECASE)
SAME_TWICE = re.compile(r"(\d+)-(\d+)")


def cron_in_words(spec: CronSpec) -> str:
    """Return an expression in words; a `CronError` if it cannot be said."""
    try:
        package: Any = importlib.import_module("cron_descriptor")
    except ModuleNotFoundError as error:
        raise CronError(f"describing an expression needs the package cron-descriptor: {NEEDED}") from error
    if spec.hash_name:
        raise CronError(f"cron {spec.text!r} cannot be said in words: H stands for what a name hashes to")
    try:
        return _Words(package).of(spec)
    except Exception as error:
        raise CronError(f"cron {spec.text!r} cannot be said in words: {error}") from error


class _Words:
    """Asks the package for single fields."""

    def __init__(self, package: Any) -> None:
        self._package = package
        self._options = package.Options()
        self._options.use_24hour_time_format = True

    def of(self, spec: CronSpec) -> str:
        text = ALIASES.get(spec.text.lower(), spec.text)
        *times, day, month, weekday = (_plain(field) for field in text.split())
        said = [self._package.get_description(f"{' '.join(times)} * * *", self._options)]
        said.append(self._days(spec, day, weekday))
        if month != "*":
            said.append(self._part(f"0 0 * {month} *"))
        return ", ".join(filter(None, said))

    def _days(self, spec: CronSpec, day: str, weekday: str) -> str:
        days = "" if day == "*" else " or ".join(self._day(item) for item in _items(day, "lw"))
        weekdays = "" if weekday == "*" else self._weekdays(weekday)
        if not days or not weekdays:
            return days or weekdays
        either = parsed(spec.text, days=spec.days, seconds=spec.seconds).days.either
        return (
            f"{days}, or {weekdays}"
            if either
            else f"{days}, but only if that is {weekdays.removeprefix('on ')}"
        )

    def _day(self, item: str) -> str:
        found = BEFORE_LAST.fullmatch(item)
        if found is None:
            return self._part(f"0 0 {item} * *")
        before, nearest = int(found[1]), found[2]
        if not nearest:
            return self._part(f"0 0 {item if before else 'L'} * *")
        days = f"{before} day{'s' if before > 1 else ''} before " if before else ""
        return f"on the weekday nearest to {days}the last day of the month"

    def _weekdays(self, weekday: str) -> str:
        parts = (self._part(f"0 0 * * {item}") for item in _items(weekday, "l#"))
        return " or ".join(part.removeprefix("only ") for part in parts)

    def _part(self, text: str) -> str:
        """Return what a field adds to a sentence."""
        said: str = self._package.get_description(text, self._options)
        return said.removeprefix(MIDNIGHT).removeprefix(", ")


def _items(field: str, special: str) -> list[str]:
    """Return the items of a list of which one is special, each by itself; else the list as it is."""
    return field.split(",") if any(each in field.lower() for each in special) else [field]


def _plain(field: str) -> str:
    """Return a field as the package reads it: an open one is a star, a range of one value is that value."""
    if field in OPEN:
        return "*"
    return ",".join(SAME_TWICE.sub(_once, item) for item in field.split(","))


def _once(found: re.Match[str]) -> str:
    return found[1] if found[1] == found[2] else found[0]
