"""What to say about a cron expression that cannot be read: what is wrong, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from actors.schedule.cron_fields import FIELD_ORDER, MONTH_NAMES, WEEKDAY_NAMES, Field

_HOLDS_SECONDS = "if the first of them is seconds, as in Quartz and Spring, say seconds='first'"
_NO_YEAR = "there is no year field: leave it out and give the schedule start= and end="
_NO_COMMAND = "what follows the fields in a crontab, a user or a command, is no part of the expression"
_INTERVAL = "for an interval there is RecurringSchedule(interval_minutes=…)"
_YEARS = re.compile(r"\d{4}([-,/]\d+)*")
_DAY_FORM = re.compile(r"(l|\d+)?w|l(-\d+)?w?")
_CLOCK_TIME = re.compile(r"\d{1,2}(:\d\d)?(am|pm)|\d{1,2}:\d\d")
_SPAN = re.compile(r"\d+(s|m|h|d)")
_FIVE = len(FIELD_ORDER) - 1


def counted(words: Sequence[str], aliases: Sequence[str], *, with_seconds: bool) -> str:
    """Say that there are too few fields, or too many, and why that may be."""
    fields = FIELD_ORDER if with_seconds else FIELD_ORDER[1:]
    names = " ".join(field.name for field in fields)
    got = len(words)
    if with_seconds:
        text = f"seconds='first' takes six fields ({names}), got {got}"
    else:
        text = f"expected five fields ({names}), got {got}"
    why = (
        _too_many(words, with_seconds=with_seconds) if got > len(fields) else _too_few(words, aliases, fields)
    )
    return f"{text}; {why}" if why else text


def _too_few(words: Sequence[str], aliases: Sequence[str], fields: Sequence[Field]) -> str:
    lowered = [word.lower() for word in words]
    if not lowered:
        return ""
    if f"@{lowered[0]}" in aliases:
        return f"'@{lowered[0]}' is written with an '@'"
    if lowered[0] in ("every", "each") or any(_SPAN.fullmatch(word) for word in lowered):
        return _INTERVAL
    if any(_CLOCK_TIME.fullmatch(word) for word in lowered):
        return "02:30 each day is '30 2 * * *'"
    return f"missing: {', '.join(field.name for field in fields[len(words) :])}"


def _too_many(words: Sequence[str], *, with_seconds: bool) -> str:
    last = words[-1].lower()
    if any(word.startswith(",") or word.endswith(",") for word in words):
        return "a list has no spaces in it: mon,fri"
    if _is_name(last) and _is_name(words[-2].lower()):
        return f"a list has commas: {words[-2]},{words[-1]}"
    if _YEARS.fullmatch(last):
        return _NO_YEAR if len(words) == _FIVE + 1 or with_seconds else f"{_HOLDS_SECONDS}; {_NO_YEAR}"
    if len(words) > _FIVE + 2 or (last[0].isalpha() and not _is_name(last)) or last.startswith("/"):
        return _NO_COMMAND
    if with_seconds or len(words) == _FIVE + 2:
        return _NO_YEAR
    return f"{_HOLDS_SECONDS}; there is no year field, give the schedule an end= instead"


def _is_name(word: str) -> bool:
    return any(word in (name, name[:3]) for name in (*MONTH_NAMES, *WEEKDAY_NAMES))


def unread_alias(words: Sequence[str], aliases: Sequence[str]) -> str:
    """Say what is wrong with a text that begins with `@`."""
    name = words[0].lower()
    if name == "@reboot":
        return "is not supported: call the function when the program starts"
    if name == "@every":
        return "is not supported: use RecurringSchedule(interval_minutes=…)"
    if name not in aliases:
        return f"is unknown; allowed: {', '.join(aliases)}"
    return f"stands alone, got {' '.join(words[1:])!r} after it"


def unread_value(field: Field, item: str, word: str) -> str:
    """Say what is wrong with a token of a field in which one part is no value of it."""
    lowered = word.lower()
    if not word:
        return _missing(item)
    if "-" in word:
        return _too_many_dashes(field, lowered)
    if "*" in word or "?" in word:
        sign = "*" if "*" in word else "?"
        return f"has a {sign!r} that is not alone: it means each value, and takes nothing but a step, as in {sign}/5"
    if re.fullmatch(r"\d+\.\d*", word):
        return "is no whole number"
    if re.fullmatch(r"\+\d+", word):
        return "has a sign: write the number alone"
    if "~" in word:
        return "has a '~', which is another time in each process to some crons; use H, which hashes the schedule's name"
    if _CLOCK_TIME.fullmatch(lowered):
        return (
            "is a time of day: the minute and the hour, 0 to 23, are fields of their own, as in '30 2 * * *'"
        )
    said = _elsewhere(field, lowered) or _unknown(field, word)
    return said if word == item else f"holds {word!r}, which {said}"


def _missing(item: str) -> str:
    if re.fullmatch(r"-\d+(-.*)?", item):
        return "is negative, and no field has negative numbers"
    if item.endswith("-"):
        return "is a range without an end"
    if item.startswith("#"):
        return "needs a weekday before the '#', as in fri#2"
    return "has no number where one is needed"


def _too_many_dashes(field: Field, lowered: str) -> str:
    if _DAY_FORM.fullmatch(lowered):
        return _elsewhere(field, lowered)
    return "has more than one '-': a range is written a-b"


def _elsewhere(field: Field, lowered: str) -> str:
    """Say where it belongs, if it is right in another field."""
    if lowered == "l":
        return "belongs into the day-of-month field, or behind a weekday, as in friL"
    if _DAY_FORM.fullmatch(lowered):
        return "belongs into the day-of-month field"
    if "#" in lowered or re.fullmatch(r"\d+l", lowered):
        return "belongs into the weekday field"
    for other, names in (("month", MONTH_NAMES), ("weekday", WEEKDAY_NAMES)):
        if field.name != other and any(lowered in (name, name[:3]) for name in names):
            return f"is a {other}, which belongs into the {other} field"
    return ""


def _unknown(field: Field, word: str) -> str:
    if not field.names:
        return "is no number"
    near = [name for name in field.names if len(word) > 1 and name.startswith(word[:3].lower())]
    names = f": write {near[0][:3]} or {near[0]}" if near else ""
    return f"is no {field.name}{names}"
