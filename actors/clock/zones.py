"""Time zones: the one reader of the tz database, always the one of the `tzdata` package.

The host's own zone files are never read, so that two machines agree and the version is known. Instants are
integer microseconds (`_us`) or seconds (`_s`) since 1970-01-01 UTC. A *wall* time is what a clock on the wall
of the zone shows, counted as if that wall were in UTC; one wall time may be no instant, one, or two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped] # it carries no type information

from actors.clock.errors import TimezoneError

SECOND_US = 1_000_000
DAY_S = 86_400
YEAR_S = 31_556_952
"""The mean year of the Gregorian calendar: offset changes are found and kept by spans of it."""

MARGIN_S = 3 * DAY_S
"""No gap or fold is wider than a day: what lies further away than this cannot reach into a year."""
_STRIDE_S = 3 * DAY_S
SEARCH_YEARS = 40

FIRST_S = -62_135_510_400
"""0001-01-03: before it a local time may leave the years that `datetime` can hold."""
LAST_S = 253_402_128_000
"""9999-12-30: after it a local time may leave the years that `datetime` can hold."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - what wall times are counted from
_MICROSECOND = timedelta(microseconds=1)
_PART = r"[A-Za-z0-9][A-Za-z0-9_+\-]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*\Z", re.ASCII)
_LONGEST_NAME = 100


class Change(NamedTuple):
    """An instant at which the offset of a zone changes: east of UTC is positive, all in seconds."""

    at_s: int
    before_s: int
    after_s: int


class Segment(NamedTuple):
    """A span of constant offset: `start_us` is part of it, `end_us` is not."""

    start_us: int
    end_us: int
    offset_us: int


class Zone(ZoneInfo):
    """A zone of the `tzdata` package, which unlike others read from a file can be copied and pickled."""

    def __reduce__(self) -> tuple[Callable[[str], Zone], tuple[str]]:
        return zone, (str(self.key),)


def tzdata_version() -> str:
    """The release of the tz database in use, such as `2026a`."""
    return str(tzdata.IANA_VERSION)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """All names of the tz database in use, in order; links such as `US/Eastern` are among them."""
    listing = resources.files("tzdata").joinpath("zones").read_text(encoding="ascii")
    return tuple(sorted(listing.split()))


@lru_cache(maxsize=1024)
def zone(name: str) -> Zone:
    """The zone of that name; a `TimezoneError` that suggests near names if there is none."""
    check_name(name)
    path = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    try:
        with path.open("rb") as file:
            return Zone.from_file(file, key=name)
    except OSError as error:
        raise TimezoneError(
            f"the tzdata package (release {tzdata_version()}) lists timezone {name!r} but cannot give it: "
            f"{error}; install the package again"
        ) from error


def check_name(name: str) -> None:
    """Refuse what is no name of a zone, path tricks among them, before any file is touched."""
    if not isinstance(name, str):
        raise TimezoneError(f"timezone must be a name such as 'Europe/Berlin', got {type(name).__name__}")
    if len(name) > _LONGEST_NAME:
        raise TimezoneError(f"timezone must be a name such as 'Europe/Berlin', got {len(name)} characters")
    if name in _known():
        return
    near = near_names(name)
    advice = f"; did you mean {' or '.join(near)}?" if near else ""
    if not _NAME.match(name):
        raise TimezoneError(
            f"timezone must be a name such as 'Europe/Berlin' or 'UTC' (letters, digits, '_', '+', '-' and "
            f"'/' between parts), got {name!r}{advice}"
        )
    raise TimezoneError(f"there is no timezone {name!r} in release {tzdata_version()} of tzdata{advice}")


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(names())


@lru_cache(maxsize=1)
def _links() -> Mapping[str, str]:
    """What each other name of a zone stands for, as the tz database's own text says."""
    text = resources.files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text(encoding="ascii")
    links = (line.split()[1:3] for line in text.splitlines() if line.startswith("L "))
    return MappingProxyType({other: name for name, other in links})


def canonical_name(name: str) -> str:
    """The name that a zone goes by: `America/New_York` for `US/Eastern`; a name that is one stays."""
    check_name(name)
    links = _links()
    while name in links:
        name = links[name]
    return name


def aliases(name: str) -> tuple[str, ...]:
    """The other names of a zone, in order."""
    wanted = canonical_name(name)
    return tuple(other for other in names() if other != name and canonical_name(other) == wanted)


def near_names(name: str, *, limit: int = 3) -> tuple[str, ...]:
    """Names of zones that look like this one, the most alike first."""
    lowered = name.lower()
    exact = tuple(known for known in names() if known.lower() == lowered)
    if exact:
        return exact
    wanted = _pairs(lowered)
    scored = [(-_likeness(wanted, lowered, known.lower()), known) for known in names()]
    return tuple(known for score, known in sorted(scored)[:limit] if score <= -0.5)  # noqa: PLR2004 - half alike


def _likeness(wanted: frozenset[str], lowered: str, known: str) -> float:
    whole = _alike(wanted, _pairs(known))
    city = known.rpartition("/")[2]
    return max(whole, _alike(_pairs(lowered.rpartition("/")[2]), _pairs(city)) * 0.9)


def _pairs(text: str) -> frozenset[str]:
    padded = f"^{text.replace(' ', '_')}$"
    return frozenset(padded[index : index + 2] for index in range(len(padded) - 1))


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))


def utc_offset_s(name: str, at_s: int) -> int:
    """How far the zone's wall is ahead of UTC at that instant, in seconds."""
    return _offset_s(_shown_epoch(name), at_s)


@lru_cache(maxsize=1024)
def _shown_epoch(name: str) -> datetime:
    return _NAIVE_EPOCH.replace(tzinfo=zone(name))


def _offset_s(epoch: datetime, at_s: int) -> int:
    tz = epoch.tzinfo
    if at_s < FIRST_S or at_s > LAST_S:
        at_s = min(max(at_s, FIRST_S), LAST_S)
    offset = tz.fromutc(epoch + timedelta(seconds=at_s)).utcoffset() if tz else None
    if offset is None:
        raise AssertionError("a zone of the tz database has an offset at any instant")
    return offset.days * DAY_S + offset.seconds


@lru_cache(maxsize=4096)
def changes_around(name: str, year: int) -> tuple[Change, ...]:
    """The changes in the `year`-th span of `YEAR_S` seconds since 1970, and `MARGIN_S` before and after it.

    The offset is read every few days and the second of a change found by halving. Nothing is missed: no two
    changes of any zone are less than six days apart (a test reads the zone files to see that it stays so).
    """
    found = []
    epoch = _shown_epoch(name)
    low = year * YEAR_S - MARGIN_S - 1
    end = (year + 1) * YEAR_S + MARGIN_S - 1
    before = _offset_s(epoch, low)
    while low < end:
        high = min(low + _STRIDE_S, end)
        after = _offset_s(epoch, high)
        if after != before:
            found.append(Change(_first_second_with(epoch, after, low, high), before, after))
        low, before = high, after
    return tuple(found)


def _first_second_with(epoch: datetime, offset_s: int, low: int, high: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_s(epoch, middle) == offset_s:
            high = middle
        else:
            low = middle
    return high


def offset_changes(name: str, from_s: int, to_s: int) -> tuple[Change, ...]:
    """The changes of offset at instants from `from_s` on and before `to_s`, in order."""
    found = []
    for year in range(from_s // YEAR_S, (to_s - 1) // YEAR_S + 1):
        start, end = max(from_s, year * YEAR_S), min(to_s, (year + 1) * YEAR_S)
        found += [change for change in changes_around(name, year) if start <= change.at_s < end]
    return tuple(found)


def next_change(name: str, after_us: int) -> Change | None:
    """The first change of offset after an instant; `None` if there is none for `SEARCH_YEARS` years."""
    first_s = max(after_us // SECOND_US + 1, FIRST_S)
    for year in range(first_s // YEAR_S, min(first_s // YEAR_S + SEARCH_YEARS, LAST_S // YEAR_S) + 1):
        found = [
            each for each in offset_changes(name, year * YEAR_S, (year + 1) * YEAR_S) if each.at_s >= first_s
        ]
        if found:
            return found[0]
    return None


def transitions(name: str, from_us: int, to_us: int) -> tuple[Segment, ...]:
    """The spans of constant offset that make up `[from_us, to_us)`, in order; none if that is empty."""
    if from_us >= to_us:
        return ()
    first_s = from_us // SECOND_US
    changes = offset_changes(name, first_s + 1, -(-to_us // SECOND_US))
    starts = [from_us, *(change.at_s * SECOND_US for change in changes)]
    ends = [*starts[1:], to_us]
    offsets = [utc_offset_s(name, first_s), *(change.after_s for change in changes)]
    return tuple(
        Segment(start, end, offset * SECOND_US)
        for start, end, offset in zip(starts, ends, offsets, strict=True)
    )


def instant_to_wall(name: str, at_us: int) -> int:
    """The wall time of an instant, in microseconds."""
    return at_us + utc_offset_s(name, at_us // SECOND_US) * SECOND_US


def wall_to_instants(name: str, wall_us: int) -> tuple[int, ...]:
    """The instants at which the zone's wall shows this: none in a gap, two in a fold, in order."""
    wall_s = wall_us // SECOND_US
    offsets = {utc_offset_s(name, wall_s - 2 * DAY_S), utc_offset_s(name, wall_s + 2 * DAY_S)}
    candidates = sorted(wall_us - offset * SECOND_US for offset in offsets)
    return tuple(at_us for at_us in candidates if instant_to_wall(name, at_us) == wall_us)


def to_datetime(name: str, at_us: int) -> datetime:
    """The instant as an aware `datetime` of the zone; `fold` says which of two equal wall times it is."""
    if not FIRST_S * SECOND_US <= at_us <= LAST_S * SECOND_US:
        raise TimezoneError(f"{at_us} µs since 1970 is outside of the years 1 to 9999")
    tz = zone(name)
    return tz.fromutc(_NAIVE_EPOCH.replace(tzinfo=tz) + timedelta(microseconds=at_us))


def to_datetime_somehow(name: str, at_us: int) -> datetime:
    """As `to_datetime`, and in UTC if this tz database does not have the zone any more."""
    try:
        return to_datetime(name, at_us)
    except TimezoneError:
        return to_datetime("UTC", at_us)


def instant_of(moment: datetime, *, what: str = "the date and time") -> int:
    """The instant of an aware `datetime`, in microseconds; `fold` is honoured, a naive one refused."""
    if not isinstance(moment, datetime):
        raise TimezoneError(f"{what} must be an aware datetime, got {type(moment).__name__}")
    if moment.utcoffset() is None:
        raise TimezoneError(
            f"{what} must be aware, got the naive {moment.isoformat(sep=' ')}: give it a tzinfo, as in "
            "datetime(…, tzinfo=UTC) or TimezoneManager('Europe/Berlin').localize(…)"
        )
    return (moment - _EPOCH) // _MICROSECOND


def wall_of(moment: datetime) -> int:
    """The date and time that a `datetime` shows, in microseconds of wall time; its zone is not looked at."""
    return (moment.replace(tzinfo=None) - _NAIVE_EPOCH) // _MICROSECOND
