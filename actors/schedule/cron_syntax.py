"""Cron expressions as text: what may be written, what it means, and what to say about all the rest.

Sources: crontab(5) of Debian's cron for the fields, ranges, steps and the rule about two day fields; Quartz
for `L`, `W`, `#` and `?`; Jenkins for `H`.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from actors.schedule.cron_advice import counted, unread_alias, unread_value
from actors.schedule.cron_fields import FIELD_ORDER, MONTH_DAY, WEEKDAY, WEEKDAY_NAMES, Field
from actors.schedule.errors import CronError
from actors.schedule.spec import DAYS_RULES, DaysRule

MAX_TEXT = 2_000
_SHOWN = 100
_FIELD_COUNT = 5
_WEEKDAY = "|".join([r"\d", *WEEKDAY_NAMES, *(name[:3] for name in WEEKDAY_NAMES)])
_LAST_WEEKDAY = re.compile(f"l({_WEEKDAY})|({_WEEKDAY})l")

ALIASES = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)


class DayFields(NamedTuple):
    """The days that an expression names; `either` when a day of the month *or* a weekday is enough.

    `before_last` counts from the month's last day (0 is `L`, 3 is `L-3`), `weekday_before_last` means the
    weekday nearest to such a day (`LW`), `nearest` the weekday nearest to a day (`15W`). Weekdays are
    0 = Sunday; `nth` holds (weekday, n) of `d#n`, `last` the weekdays of `dL`.
    """

    month_days: frozenset[int]
    before_last: frozenset[int]
    weekday_before_last: frozenset[int]
    nearest: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]
    last: frozenset[int]
    either: bool


class CronFields(NamedTuple):
    """A parsed expression; `interval` when its minute or hour field begins with `*` in the source text."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: DayFields
    interval: bool


class _Values(NamedTuple):
    """What a field names: plain numbers and, for days, the rest."""

    plain: frozenset[int]
    before_last: frozenset[int]
    weekday_before_last: frozenset[int]
    nearest: frozenset[int]
    nth: frozenset[tuple[int, int]]
    last: frozenset[int]


class _RefusedError(Exception):
    """A token of a field and what is wrong with it; the text around it is not known here."""

    def __init__(self, field: Field, token: str, problem: str) -> None:
        super().__init__(f"{field.name} field: {token[:_SHOWN]!r} {problem}; allowed: {field.allowed}")


def normal_text(text: str) -> str:
    """The expression with one space between its fields: what is stored and shown."""
    return " ".join(_words(text))


def parsed(text: str, *, days: DaysRule = "vixie", seconds: str = "", hash_name: str = "") -> CronFields:
    """Read an expression; a `CronError` names the field, the token and what is allowed."""
    if days not in DAYS_RULES:
        raise CronError(f"days must be one of {', '.join(DAYS_RULES)}, got {days!r}")
    if seconds not in ("", "first"):
        raise CronError(f"seconds must be 'first' (six fields, seconds first) or None, got {seconds!r}")
    words = _fields(text, with_seconds=seconds == "first")
    try:
        values = [_read(field, word, hash_name) for field, word in zip(FIELD_ORDER, words, strict=True)]
    except _RefusedError as refused:
        raise CronError(f"cron {_shown(text)}: {refused}") from None
    second, minute, hour, month_day, month, weekday = values
    return CronFields(
        seconds=second.plain,
        minutes=minute.plain,
        hours=hour.plain,
        days=DayFields(
            month_days=month_day.plain,
            before_last=month_day.before_last,
            weekday_before_last=month_day.weekday_before_last,
            nearest=month_day.nearest,
            months=month.plain,
            weekdays=weekday.plain,
            nth=weekday.nth,
            last=weekday.last,
            either=_either(words[3], words[5], days),
        ),
        interval=words[1][0] in "*?" or words[2][0] in "*?",
    )


def _either(month_days: str, weekdays: str, days: DaysRule) -> bool:
    """Whether one of the two day fields is enough.

    Vixie cron asks for both as soon as one of them begins with `*` (`*/2` too); `or` asks for both only where
    one of them is open, that is, no restriction at all.
    """
    if days == "and":
        return False
    if days == "or":
        opened = ("*", "?", "*/1", "?/1")
        return month_days not in opened and weekdays not in opened
    return month_days[0] not in "*?" and weekdays[0] not in "*?"


def _words(text: str) -> list[str]:
    if not isinstance(text, str):
        raise CronError(f"a cron expression is text such as '0 3 * * mon-fri', got {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise CronError(
            f"a cron expression has at most {MAX_TEXT} characters, got {len(text)}: {text[:_SHOWN]!r}…"
        )
    spaced = text.replace("\t", " ")
    if not (spaced.isascii() and spaced.isprintable()):
        place = next(place for place, each in enumerate(spaced) if not " " <= each <= "~")
        raise CronError(
            f"cron {_shown(text)}: {text[place]!r} at position {place} is not allowed; fields are ASCII, "
            "separated by spaces or tabs"
        )
    return spaced.split()


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"


def _fields(text: str, *, with_seconds: bool) -> list[str]:
    """The six fields, seconds first; an alias and five fields get the second 0."""
    words = _words(text)
    if words and words[0].startswith("@"):
        return ["0", *_alias(text, words).split()]
    if words and "=" in words[0]:
        zone = words[0].partition("=")[2] or "Europe/Berlin"
        raise CronError(f"cron {_shown(text)}: {words[0]!r} is no field; say the zone with timezone={zone!r}")
    expected = _FIELD_COUNT + 1 if with_seconds else _FIELD_COUNT
    if len(words) != expected:
        said = counted(words, tuple(ALIASES), with_seconds=with_seconds)
        raise CronError(f"cron {_shown(text)}: {said}")
    return words if with_seconds else ["0", *words]


def _alias(text: str, words: list[str]) -> str:
    name = words[0].lower()
    if name not in ALIASES or len(words) > 1:
        raise CronError(f"cron {_shown(text)}: {words[0]!r} {unread_alias(words, tuple(ALIASES))}")
    return ALIASES[name]


def _read(field: Field, word: str, hash_name: str) -> _Values:
    return _values(field, word, hash_name if "h" in word.lower() else "")


@lru_cache(maxsize=4096)
def _values(field: Field, word: str, hash_name: str) -> _Values:
    """The same few fields make up most expressions: each is read once."""
    return _Reader(field, word, hash_name).values()


class _Reader:
    """Reads one field."""

    def __init__(self, field: Field, word: str, hash_name: str) -> None:
        self._field = field
        self._word = word
        self._hash_name = hash_name
        self._plain_values: set[int] = set()
        self._before_last: set[int] = set()
        self._weekday_before_last: set[int] = set()
        self._nearest: set[int] = set()
        self._nth: set[tuple[int, int]] = set()
        self._last: set[int] = set()

    def values(self) -> _Values:
        for item in self._word.split(","):
            if not item:
                self._refuse(self._word, "has an empty place in its list")
            self._item(item)
        return _Values(
            plain=frozenset(self._plain_values),
            before_last=frozenset(self._before_last),
            weekday_before_last=frozenset(self._weekday_before_last),
            nearest=frozenset(self._nearest),
            nth=frozenset(self._nth),
            last=frozenset(self._last),
        )

    def _refuse(self, token: str, problem: str) -> NoReturn:
        raise _RefusedError(self._field, token, problem)

    def _item(self, item: str) -> None:
        base, slash, step = item.partition("/")
        is_special = (self._field is MONTH_DAY and self._month_day(base)) or (
            self._field is WEEKDAY and self._weekday(base)
        )
        if is_special:
            if slash:
                self._refuse(item, "names single days, which take no step")
            return
        self._plain_values.update(self._plain(item, base, self._step(item, step) if slash else 0))

    def _plain(self, item: str, base: str, step: int) -> frozenset[int]:
        field = self._field
        if base in ("*", "?"):
            return frozenset(range(field.low, field.last + 1, step or 1))
        if base[:1] in ("h", "H") and not base[1:2].isalpha():
            return self._hashed(item, base, step)
        if re.fullmatch(r"[rR](\(.*\))?", base):
            self._refuse(
                item, "would be another time in each process; use H, which hashes the schedule's name"
            )
        first, dash, last = base.partition("-")
        low = self._value(item, first)
        if dash:
            return self._range(low, self._value(item, last), step or 1)
        if not step:
            return frozenset({self._cyclic(low)})
        return frozenset(self._cyclic(value) for value in range(low, max(field.last, low) + 1, step))

    def _range(self, low: int, high: int, step: int) -> frozenset[int]:
        """The values of `low-high/step`; one that wraps goes on in phase: `23-3/2` is 23, 1, 3.

        For weekdays `5-7` ends with Sunday and `7-2` begins with it.
        """
        field = self._field
        if high < low == field.high != field.last:
            low = self._cyclic(low)
        end = high if low <= high else high + field.cycle
        return frozenset(self._cyclic(value) for value in range(low, end + 1, step))

    def _cyclic(self, value: int) -> int:
        return (value - self._field.low) % self._field.cycle + self._field.low

    def _value(self, item: str, word: str) -> int:
        field = self._field
        if word.isdigit():
            value = int(word) if len(word) <= 4 else -1  # noqa: PLR2004 - nothing longer is in range
            if not field.low <= value <= field.high:
                self._refuse(item, f"is out of range {field.low}-{field.high}")
            return value
        lowered = word.lower()
        for place, name in enumerate(field.names):
            if lowered in (name, name[:3]):
                return field.low + place
        raise _RefusedError(field, item, unread_value(field, item, word))

    def _step(self, item: str, step: str) -> int:
        if "/" in step:
            self._refuse(item, "has more than one '/': a step is written */n or a-b/n")
        if not step.isdigit() or not int(step[:9]):
            self._refuse(item, f"needs a whole number of at least 1 after the '/', got {step!r}")
        value = int(step[:9])
        if value > self._field.cycle:
            self._refuse(
                item, f"has a step of {step[:9]}, more than the {self._field.cycle} values there are"
            )
        return value

    def _hashed(self, item: str, base: str, step: int) -> frozenset[int]:
        """`H`, `H(a-b)`, each with `/step`: a place that depends on the schedule's name alone.

        As in Jenkins, `H` in the day-of-month is 1 to 28, so that each month has it.
        """
        field = self._field
        low, high = field.low, 28 if field is MONTH_DAY else field.last
        if base[1:]:
            bounds = re.fullmatch(r"\(([^-()]+)-([^-()]+)\)", base[1:])
            if not bounds:
                self._refuse(item, "is no H, H(a-b), H/n or H(a-b)/n")
            low, high = self._value(item, bounds[1]), self._value(item, bounds[2])
            if low > high:
                self._refuse(item, "has a range that runs backwards")
        if not self._hash_name:
            self._refuse(item, "hashes the schedule's name, and there is none: give hash_name='…'")
        span = high - low + 1
        start = low + self._hash() % min(step or span, span)
        return frozenset(self._cyclic(value) for value in range(start, high + 1, step or span))

    def _hash(self) -> int:
        digest = hashlib.sha256(f"{self._field.name}\0{self._hash_name}".encode()).digest()
        return int.from_bytes(digest[:8], "big")

    def _month_day(self, base: str) -> bool:
        """`L`, `L-n`, `LW`, `L-nW`, `nW`; the nearest weekday never leaves its month."""
        lowered = base.lower()
        last = re.fullmatch(r"l(?:-(\d+))?(w?)", lowered)
        if last:
            back = int(last[1][:9]) if last[1] else 0
            if back > 30:  # noqa: PLR2004 - a month has at most 31 days
                self._refuse(base, "goes back more than 30 days from the last")
            (self._weekday_before_last if last[2] else self._before_last).add(back)
            return True
        nearest = re.fullmatch(r"(\d+)w", lowered)
        if nearest:
            self._nearest.add(self._value(base, nearest[1]))
            return True
        if "w" in lowered:
            self._refuse(base, "is no nearest weekday: write 15W, LW or L-3W, one day each")
        if "l" in lowered:
            if re.fullmatch(r"\dl", lowered):
                self._refuse(base, "belongs into the weekday field, where 5L is the last Friday")
            self._refuse(base, "is no last day: write L, L-3 (three before the last), LW or L-3W")
        return False

    def _weekday(self, base: str) -> bool:
        """`d#n`, `dL` and `Ld`; a lone `L` is Saturday to some and nothing to others, so it is refused."""
        lowered = base.lower()
        day, hash_sign, nth = lowered.partition("#")
        if hash_sign:
            if nth == "l":
                self._refuse(base, f"is no n-th weekday; the last one is written {day}L")
            if nth not in ("1", "2", "3", "4", "5"):
                self._refuse(base, "needs a number from 1 to 5 after the '#'")
            if "-" in day:
                self._refuse(base, "takes one weekday before the '#'; write a list, as in mon#1,tue#1")
            self._nth.add((self._cyclic(self._value(base, day)), int(nth)))
            return True
        if re.fullmatch(r"(\d+|l|l-\d+)w", lowered):
            self._refuse(base, "belongs into the day-of-month field")
        if lowered == "l":
            self._refuse(base, "needs a weekday: 5L is the last Friday of the month, 6 is Saturday")
        last = _LAST_WEEKDAY.fullmatch(lowered)
        if last:
            self._last.add(self._cyclic(self._value(base, last[1] or last[2])))
            return True
        return False
