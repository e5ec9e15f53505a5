"""Checking what users give: each check returns the value as the engine wants it, or says what is wrong."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from actors.runtime.errors import InputError

Duration: TypeAlias = int | float | timedelta
"""Seconds, or a `timedelta`."""

NAME_LENGTH = 200
TEXT_LENGTH = 10_000
"""Characters of a description."""
MAX_DURATION_S = 100 * 366 * 86_400
"""A century: longer is a mistake in the unit."""
YEAR_S = 31_556_952
A_TIMESTAMP_S = 1_000_000_000
"""From so many seconds on (September 2001) a number is taken for what `time.time()` says."""
MAX_PRIORITY = 2**31
LARGEST = 1e300
COUNTLESS = 2**53
"""A bound that nobody reaches: no error needs to name it."""
"""Of an amount: sums of it are still numbers."""
_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_OF_STEP = re.compile(r"[0-9a-f]{24}(\.[0-9]{1,9}(:([0-9]{1,9}|undo))?)+")
"""The ids of jobs of a run whose id nobody has chosen."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.: -]{0,199}\Z")
"""Most names, known at a glance."""
_COMPONENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_name(what: str, name: object) -> str:
    """Return a name of 1 to 200 characters without control characters; names of our own begin with `@`."""
    if type(name) is str and _NAME.match(name):
        return name
    if not isinstance(name, str):
        msg = f"{what}: expected a name, got {name!r}"
        raise InputError(msg)
    if not 1 <= len(name) <= NAME_LENGTH or not name.strip() or _CONTROL.search(name):
        msg = (
            f"{what}: expected 1 to {NAME_LENGTH} characters, none of them control characters, "
            f"got {short(name)}"
        )
        raise InputError(msg)
    if name.startswith("@"):
        msg = f"{what}: names that begin with '@' are the engine's own, got {short(name)}"
        raise InputError(msg)
    return name


def check_component(what: str, name: object) -> str:
    """Return a name that is one component of a path: it leads nowhere else."""
    if not isinstance(name, str) or not _COMPONENT.fullmatch(name):
        msg = (
            f"{what}: expected one path component of 1 to 200 of A-Z a-z 0-9 . _ -, not beginning with a dot, "
            f"got {short(name)}"
        )
        raise InputError(msg)
    return name


def check_text(what: str, text: object) -> str:
    """Return a text for people, which may be empty and have many lines."""
    if not isinstance(text, str) or len(text) > TEXT_LENGTH or "\x00" in text or not _is_unicode(text):
        msg = f"{what}: expected a text of at most {TEXT_LENGTH} characters, got {short(text)}"
        raise InputError(msg)
    return text


def check_arguments(args: object) -> tuple[Any, ...]:
    """Return positional arguments as a tuple."""
    if type(args) is tuple:
        return args
    if isinstance(args, str | bytes | bytearray) or not isinstance(args, Sequence):
        name = "kwargs=" if isinstance(args, Mapping) else ""
        hint = f"{name}{short(args)}" if name else f"args=[{short(args)}]"
        msg = f"args: expected a list or tuple of arguments, got {short(args)}; write {hint}"
        raise InputError(msg)
    return tuple(args)


def check_named(what: str, named: object) -> dict[str, Any]:
    """Return arguments or parameters by name, as a dict; None means that there are none."""
    if named is None:
        return {}
    if not isinstance(named, Mapping) or not all(isinstance(name, str) for name in named):
        msg = f"{what}: expected a mapping of names to arguments, got {short(named)}; write {what}={{'name': value}}"
        raise InputError(msg)
    return dict(named)


def check_options(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse an option that there is not, and say which one was meant, most likely."""
    names = list(known)
    for name in given:
        if name not in names:
            msg = (
                f"{what}: there is no option {name!r}{hint(name, names) or ', expected ' + ', '.join(names)}"
            )
            raise InputError(msg)


def hint(name: str, known: Sequence[str]) -> str:
    """Return which of the known names was meant, most likely; empty for none."""
    close = get_close_matches(name, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def check_id(what: str, value: object) -> str:
    """Return an id: 1 to 200 letters, digits, `.`, `_`, `:` or `-`."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        msg = f"{what}: expected 1 to 200 of the characters A-Z a-z 0-9 . _ : -, got {short(value)}"
        raise InputError(msg)
    return value


def check_job_id(what: str, value: object) -> str:
    """Return an id that a caller gives to a job; those of steps are the engine's, which looks no more for others."""
    job_id = check_id(what, value)
    if _OF_STEP.fullmatch(job_id):
        other = job_id.replace(".", "-", 1)
        msg = (
            f"{what}: {job_id!r} is what the engine calls a job of a run; expected another one, as {other!r}"
        )
        raise InputError(msg)
    return job_id


def check_path(what: str, path: object, *, of: str) -> str:
    """Return a path as a text, which may stand for something that is not there. `InputError`."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\x00" in text:
        msg = f"{what}: expected the path of a {of}, got {path!r}"
        raise InputError(msg)
    return text


def absolute(what: str, text: str) -> str:
    """Return a path from the root on, with `~` for the home of somebody. `InputError` if there is no such way."""
    try:
        return str(Path(text).expanduser().resolve())
    except (RuntimeError, OSError) as error:
        msg = f"{what}: {text!r}: {error}"
        raise InputError(msg) from error


def check_int(what: str, value: object, *, least: int, most: int) -> int:
    """Return a whole number within bounds; `True` is no number."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bounds = f"of at least {least}" if most >= COUNTLESS else f"from {least} to {most}"
        msg = f"{what}: expected a whole number {bounds}, got {short(value)}"
        raise InputError(msg)
    return value


def check_positive(what: str, value: object) -> float:
    """Return a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value <= LARGEST):
        msg = f"{what}: expected a number above 0, got {short(value)}"
        raise InputError(msg)
    return float(value)


def duration_us(what: str, value: Duration, *, least_us: int = 0, most_s: int = MAX_DURATION_S) -> int:
    """Return a duration in whole microseconds."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or (isinstance(seconds, float) and not math.isfinite(seconds))
    ):
        msg = f"{what}: expected seconds or a timedelta, got {short(value)}"
        raise InputError(msg)
    if not 0 <= seconds <= most_s or (result := round(seconds * 1_000_000)) < least_us:
        low = "more than 0 and at most" if least_us == 1 else f"{least_us / 1e6:g} to"
        msg = f"{what}: expected {low} {most_s} seconds, got {short(value)}"
        raise InputError(msg)
    return result


def span_us(what: str, value: Duration, *, least_us: int = 0) -> int:
    """Return how long something is ahead, where an instant might have been given, too: in whole microseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        msg = f"{what}: expected an aware datetime, a timedelta, or seconds from now, got {short(value)}"
        raise InputError(msg)
    if not isinstance(value, timedelta) and A_TIMESTAMP_S <= value < math.inf:
        msg = (
            f"{what}: {value} seconds from now are {value / YEAR_S:.0f} years; if that counts from 1970, as "
            "time.time() does, give datetime.fromtimestamp(…, tz=timezone.utc)"
        )
        raise InputError(msg)
    return duration_us(what, value, least_us=least_us)


def timeout_s(what: str, value: Duration | None) -> float | None:
    """Return how long to wait in seconds; None waits for ever."""
    return None if value is None else duration_us(what, value) / 1e6


def instant_us(what: str, value: object) -> int:
    """Return an aware datetime as microseconds since 1970 UTC."""
    if not isinstance(value, datetime):
        msg = f"{what}: expected an aware datetime, got {short(value)}"
        raise InputError(msg)
    if value.tzinfo is None or value.utcoffset() is None:
        msg = (
            f"{what}: {value!r} has no zone, so which instant is meant would be a guess; "
            "give it one, as in datetime(…, tzinfo=timezone.utc) or "
            "TimezoneManager('Europe/Zurich').localize(…)"
        )
        raise InputError(msg)
    instant = (value - _EPOCH) // timedelta(microseconds=1)
    try:
        as_datetime(instant)
    except OverflowError as error:
        msg = f"{what}: expected an instant that is in the years 1 to 9999 in UTC, too, got {value!r}"
        raise InputError(msg) from error
    return instant


def as_datetime(instant: int) -> datetime:
    """Return microseconds since 1970 as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def short(value: object) -> str:
    """Return a value as it is shown in a line of text."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 -- a user's object may raise anything
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 -- a line of an error message
