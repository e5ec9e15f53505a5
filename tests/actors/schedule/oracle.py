"""An oracle for firings: it looks at every minute (or second), and knows nothing of how the product does it.

Expressions are made together with their meaning, as functions of plain numbers and dates, so that no parser
is needed. Zones are asked by the round trip of PEP 495, not by offset changes.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from actors.clock.zones import zone

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

Test = Callable[[int], bool]
DateTest = Callable[[date], bool]


@dataclass(frozen=True)
class Expression:
    """A cron text and what it means."""

    text: str
    second: Test
    minute: Test
    hour: Test
    day: DateTest
    interval: bool
    seconds: str = ""

    def names(self, wall: datetime) -> bool:
        return (
            self.minute(wall.minute)
            and self.hour(wall.hour)
            and self.second(wall.second)
            and self.day(wall.date())
        )


def cron_weekday(day: date) -> int:
    return day.isoweekday() % 7


def last_day(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def nearest_weekday(day: date, target: int) -> bool:
    """Whether `day` is the weekday nearest to the `target`-th of its month, never leaving the month."""
    if not 1 <= target <= last_day(day):
        return False
    weekdays = [each for each in range(1, last_day(day) + 1) if day.replace(day=each).weekday() < 5]
    return day.day == min(weekdays, key=lambda each: abs(each - target))


def number_field(rng: random.Random, low: int, high: int, names: list[str] | None = None) -> tuple[str, Test]:
    """A list of numbers, ranges (also wrapped) and steps of a field, and its meaning."""
    if rng.random() < 0.25:
        step = rng.choice([1, 1, 2, 3, 5, high - low + 1])
        if step == 1:
            return rng.choice(["*", "*", "?", "*/1"]), lambda _: True
        return f"*/{step}", lambda value: (value - low) % step == 0
    items = [number_item(rng, low, high, names) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    tests = [test for _, test in items]
    return ",".join(text for text, _ in items), lambda value: any(test(value) for test in tests)


def number_item(rng: random.Random, low: int, high: int, names: list[str] | None) -> tuple[str, Test]:
    cycle = high - low + 1

    def shown(value: int) -> str:
        if names is not None and rng.random() < 0.4:
            return rng.choice([str.lower, str.upper, str.title])(names[value - low])
        return f"{value:02}" if rng.random() < 0.1 else str(value)

    first, last = rng.randint(low, high), rng.randint(low, high)
    step = rng.randint(1, cycle)
    kind = rng.choice(["one", "one", "range", "stepped", "to the end"])
    if kind == "one":
        return shown(first), lambda value: value == first
    if kind == "to the end":
        return f"{shown(first)}/{step}", lambda value: value >= first and (value - first) % step == 0
    length = (last - first) % cycle
    if kind == "range":
        return f"{shown(first)}-{shown(last)}", lambda value: (value - first) % cycle <= length
    return (
        f"{shown(first)}-{shown(last)}/{step}",
        lambda value: (value - first) % cycle <= length and (value - first) % cycle % step == 0,
    )


def month_day_item(rng: random.Random) -> tuple[str, DateTest]:
    number = rng.randint(1, 31)
    back = rng.randint(0, 30)
    return rng.choice(
        [
            ("L", lambda day: day.day == last_day(day)),
            (f"L-{back}", lambda day: day.day == last_day(day) - back),
            ("LW", lambda day: nearest_weekday(day, last_day(day))),
            (f"L-{back}W", lambda day: nearest_weekday(day, last_day(day) - back)),
            (f"{number}W", lambda day: nearest_weekday(day, number)),
            (str(number), lambda day: day.day == number),
        ]
    )


def weekday_item(rng: random.Random) -> tuple[str, DateTest]:
    weekday, nth = rng.randint(0, 6), rng.randint(1, 5)
    name = rng.choice([str(weekday), WEEKDAYS[weekday], "7" if weekday == 0 else str(weekday)])

    def on_nth(day: date) -> bool:
        earlier = [each for each in range(1, day.day + 1) if cron_weekday(day.replace(day=each)) == weekday]
        return cron_weekday(day) == weekday and len(earlier) == nth

    def on_last(day: date) -> bool:
        return cron_weekday(day) == weekday and (day + timedelta(days=7)).month != day.month

    return rng.choice(
        [
            (f"{name}#{nth}", on_nth),
            (f"{name}L", on_last),
            (f"L{name}", on_last),
            (name, lambda day: cron_weekday(day) == weekday),
        ]
    )


def month_day_field(rng: random.Random) -> tuple[str, DateTest]:
    if rng.random() < 0.3:
        items = [month_day_item(rng) for _ in range(rng.choice([1, 1, 2]))]
        tests = [test for _, test in items]
        return ",".join(text for text, _ in items), lambda day: any(test(day) for test in tests)
    text, test = number_field(rng, 1, 31)
    return text, lambda day: test(day.day)


def weekday_field(rng: random.Random) -> tuple[str, DateTest]:
    if rng.random() < 0.3:
        items = [weekday_item(rng) for _ in range(rng.choice([1, 1, 2]))]
        tests = [test for _, test in items]
        return ",".join(text for text, _ in items), lambda day: any(test(day) for test in tests)
    text, test = number_field(rng, 0, 6, WEEKDAYS)
    return text, lambda day: test(cron_weekday(day))


def day_fields(rng: random.Random, days: str) -> tuple[str, str, str, DateTest]:
    """The three fields that name days, and their meaning under a rule for two of them."""
    month_day_text, month_day = month_day_field(rng) if rng.random() < 0.4 else ("*", lambda _: True)
    weekday_text, weekday = weekday_field(rng) if rng.random() < 0.4 else ("*", lambda _: True)
    month_text, month = number_field(rng, 1, 12, MONTHS) if rng.random() < 0.15 else ("*", lambda _: True)
    if days == "vixie":
        either = month_day_text[0] not in "*?" and weekday_text[0] not in "*?"
    elif days == "or":
        either = not {month_day_text, weekday_text} & {"*", "?", "*/1"}
    else:
        either = False

    def named(day: date) -> bool:
        both = (month_day(day), weekday(day))
        return month(day.month) and (any(both) if either else all(both))

    return month_day_text, month_text, weekday_text, named


def expression(rng: random.Random, *, days: str, near_hour: int = 2, seconds: str = "") -> Expression:
    """A random expression and its meaning; many of them fire near the hour in which clocks are changed."""
    minute_text, minute = number_field(rng, 0, 59)
    if rng.random() < 0.7:
        around = [(near_hour + ahead) % 24 for ahead in (-2, -1, 0, 1)]
        hours = sorted(rng.sample(around, rng.randint(1, 3)))
        hour_text: str = ",".join(str(hour) for hour in hours)
        hour: Test = lambda value: value in hours  # noqa: E731 - one of two ways to make it
    else:
        hour_text, hour = number_field(rng, 0, 23)
    month_day_text, month_text, weekday_text, named = day_fields(rng, days)
    second_text, second = "0", lambda value: value == 0
    if seconds:
        second_text, second = number_item(rng, 0, 59, None)
    fields = [minute_text, hour_text, month_day_text, month_text, weekday_text]
    return Expression(
        text=" ".join([second_text, *fields] if seconds else fields),
        second=second,
        minute=minute,
        hour=hour,
        day=named,
        interval=minute_text[0] in "*?" or hour_text[0] in "*?",
        seconds=seconds,
    )


def instants_of(wall: datetime, name: str) -> list[datetime]:
    """The instants at which the zone's wall shows this, by the round trip of PEP 495."""
    tz = zone(name)
    found = set()
    for fold in (0, 1):
        instant = wall.replace(tzinfo=tz, fold=fold).astimezone(UTC)
        if instant.astimezone(tz).replace(tzinfo=None, fold=0) == wall:
            found.add(instant)
    return sorted(found)


def end_of_gap(wall: datetime, name: str) -> datetime:
    """The first instant after the gap that this wall time lies in, looked for second by second."""
    tz = zone(name)
    instant = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
    before = instant.astimezone(tz).utcoffset()
    for step in (timedelta(minutes=10), timedelta(seconds=1)):
        while (instant + step).astimezone(tz).utcoffset() == before:
            instant += step
    return instant + timedelta(seconds=1)


def firings_of_wall(wall: datetime, name: str, gap: str, fold: str) -> list[tuple[datetime, str]]:
    """What one wanted wall time fires: instants, and the rule that touched them."""
    instants = instants_of(wall, name)
    if not instants:
        if gap == "shift_forward":
            return [(end_of_gap(wall, name), "gap.shift_forward")]
        if gap == "preserve_offset":
            return [(wall.replace(tzinfo=zone(name), fold=0).astimezone(UTC), "gap.preserve_offset")]
        return []
    if len(instants) == 1:
        return [(instants[0], "")]
    kept = {"first": instants[:1], "second": instants[1:], "both": instants}[fold]
    return [(instant, f"fold.{fold}") for instant in kept]


def wall_minutes(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    wall = start
    while wall <= end:
        yield wall
        wall += step


def expected_firings(
    names: Callable[[datetime], bool],
    name: str,
    rules: tuple[str, str],
    window: tuple[datetime, datetime],
    *,
    step: timedelta = MINUTE,
) -> list[tuple[int, str]]:
    """(instant in µs, rule) of all firings in `[start, end)`, each wall time of the window looked at."""
    start, end = window
    found: dict[datetime, str] = {}
    wide = timedelta(hours=50) if step == MINUTE else timedelta(hours=16)
    first = (start - wide).replace(tzinfo=None, second=0)
    for wall in wall_minutes(first, (end + wide).replace(tzinfo=None), step):
        if names(wall):
            for instant, rule in firings_of_wall(wall, name, *rules):
                if start <= instant < end and not found.get(instant, "").startswith("gap."):
                    found[instant] = rule
    return [((instant - EPOCH) // timedelta(microseconds=1), found[instant]) for instant in sorted(found)]
