"""The calendar of clock changes is right, by an oracle of its own, and its files are always the same."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from actors.runtime.values import decode_call, encode_call, encode_result
from tests.support.scale import scaled

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "dst_calendar.py"


@cache
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dst_calendar_under_test", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _file(*path: str) -> bytes:
    return resources.files("tzdata").joinpath("zoneinfo", *path).read_bytes()


# --- the oracle: TZif files and POSIX rules, read without zoneinfo ----------------------------------------


class Change(NamedTuple):
    instant: int
    before: int
    after: int


class TzFile(NamedTuple):
    """RFC 9636: the transitions of the 64-bit block, and the rule for the time after them."""

    changes: list[Change]
    last_transition: int
    last_offset: int
    rule: str


def _read_tzif(data: bytes) -> TzFile:
    def counts(at: int) -> tuple[int, ...]:
        return struct.unpack(">4sc15x6l", data[at : at + 44])[2:]

    is_utc, is_std, leaps, times, kinds, chars = counts(0)
    at = 44 + times * 5 + kinds * 6 + chars + leaps * 8 + is_std + is_utc
    is_utc, is_std, leaps, times, kinds, chars = counts(at)
    at += 44
    instants = struct.unpack(f">{times}q", data[at : at + 8 * times])
    at += 8 * times
    indices = data[at : at + times]
    at += times
    offsets = [struct.unpack(">l", data[at + 6 * i : at + 6 * i + 4])[0] for i in range(kinds)]
    at += 6 * kinds + chars + leaps * 12 + is_std + is_utc
    sequence = [offsets[0], *(offsets[index] for index in indices)]
    changes = [
        Change(instant, before, after)
        for instant, (before, after) in zip(instants, pairwise(sequence), strict=True)
        if before != after
    ]
    last = instants[-1] if instants else -(2**62)
    return TzFile(changes, last, sequence[-1], data[at:].strip().decode())


RULE = re.compile(
    r"(?:<[^>]+>|[A-Za-z]+)(?P<std>[-+]?[\d:]+)"
    r"(?:(?:<[^>]+>|[A-Za-z]+)(?P<dst>[-+]?[\d:]+)?,(?P<start>[^,]+),(?P<end>[^,]+))?"
)


def _seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


def _local(rule: str, year: int) -> int:
    """Seconds since 1970 of the local time at which a rule like `M3.5.0/1` or `J60` or `59` applies."""
    day, _, time = rule.partition("/")
    if day.startswith("M"):
        month, week, weekday = map(int, day[1:].split("."))
        first = date(year, month, 1)
        found = first + timedelta(days=(weekday - first.isoweekday()) % 7 + 7 * (week - 1))
        if found.month != month:
            found -= timedelta(days=7)
    elif day.startswith("J"):
        found = date(2001, 1, 1) + timedelta(days=int(day[1:]) - 1)
        found = found.replace(year=year)
    else:
        found = date(year, 1, 1) + timedelta(days=int(day))
    return (found - date(1970, 1, 1)).days * 86400 + _seconds(time or "2")


def _rule_changes(rule: str, year: int) -> Iterator[Change]:
    match = RULE.fullmatch(rule)
    assert match is not None, rule
    if match["start"] is None:
        return
    standard = -_seconds(match["std"])
    summer = -_seconds(match["dst"]) if match["dst"] else standard + 3600
    yield Change(_local(match["start"], year) - standard, standard, summer)
    yield Change(_local(match["end"], year) - summer, summer, standard)


@cache
def _tz_file(zone: str) -> TzFile:
    return _read_tzif(_file(*zone.split("/")))


def _expected(zone: str, year: int) -> list[Change]:
    file = _tz_file(zone)
    start, end = (int(datetime(each, 1, 1, tzinfo=UTC).timestamp()) for each in (year, year + 1))
    changes = list(file.changes)
    for each_year in (year - 1, year, year + 1):
        changes += [
            each for each in _rule_changes(file.rule, each_year) if each.instant > file.last_transition
        ]
    return sorted({each for each in changes if start <= each.instant < end})


def _zones() -> list[str]:
    lines = _file("zone1970.tab").decode().splitlines()
    return sorted(line.split("\t")[2] for line in lines if line and line[0] != "#")


def _stamp(instant: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sign(seconds: int) -> str:
    hours, rest = divmod(abs(seconds), 3600)
    text = f"{'+' if seconds >= 0 else '-'}{hours:02d}:{rest // 60:02d}"
    return text + (f":{rest % 60:02d}" if rest % 60 else "")


def _expected_rows(zones: list[str], year: int) -> list[tuple[str, str, str, str]]:
    return [
        (zone, _stamp(each.instant), _sign(each.before), _sign(each.after))
        for zone in zones
        for each in _expected(zone, year)
    ]


def _found_rows(zones: list[str], year: int) -> list[tuple[str, str, str, str]]:
    rows = example().transform([{"zone": zone, "country_codes": ["XX"]} for zone in zones], year)
    return [(each["zone"], each["utc_instant"], each["offset_before"], each["offset_after"]) for each in rows]


# --- extract and transform --------------------------------------------------------------------------------


def test_extract_gives_every_zone_with_its_countries() -> None:
    zones = example().extract()
    assert [each["zone"] for each in zones] == _zones()
    codes = {each["zone"]: each["country_codes"] for each in zones}
    assert "CH" in codes["Europe/Zurich"]
    assert codes["Antarctica/Troll"] == ["AQ"]
    assert all(re.fullmatch("[A-Z]{2}", code) for each in codes.values() for code in each)


@pytest.mark.parametrize("year", [2026, 2027])
def test_the_calendar_of_the_world_is_what_the_files_say(year: int) -> None:
    assert _found_rows(_zones(), year) == _expected_rows(_zones(), year)


REMARKABLE = [
    "Africa/Abidjan",  # nothing since 1912
    "Africa/Cairo",
    "Africa/Casablanca",  # Ramadan
    "Africa/El_Aaiun",
    "Africa/Monrovia",  # offsets with seconds until 1972
    "America/Asuncion",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",  # changes at negative times of the rule's day
    "America/Santiago",
    "Antarctica/Troll",  # two hours
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Manila",
    "Australia/Lord_Howe",  # half an hour
    "Australia/Sydney",
    "Europe/Dublin",  # summer time is standard time
    "Europe/Lisbon",
    "Europe/London",
    "Europe/Vienna",
    "Europe/Zurich",
    "Pacific/Apia",  # a day left out at the end of 2011
    "Pacific/Auckland",
    "Pacific/Kwajalein",
]


@pytest.mark.parametrize(
    "year",
    [1883, 1912, 1945, 1953, 1968, 1972, 1999, 2000, 2011, 2012, 2018, 2024, 2037, 2038, 2100, 2400, 9998],
)
def test_remarkable_zones_are_right_in_years_long_ago_and_to_come(year: int) -> None:
    zones = [zone for zone in REMARKABLE if zone in _zones()]
    assert len(zones) > 20
    assert _found_rows(zones, year) == _expected_rows(zones, year)


@pytest.mark.parametrize("zone", ["Europe/Zurich", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kolkata"])
def test_a_look_at_every_minute_sees_the_same(zone: str) -> None:
    year = 2027
    look = example()._zone(zone)
    start = datetime(year, 1, 1, tzinfo=UTC)
    minutes = 365 * 24 * 60
    seen = []
    before = (start - timedelta(minutes=1)).astimezone(look).utcoffset()
    for minute in range(minutes):
        instant = start + timedelta(minutes=minute)
        after = instant.astimezone(look).utcoffset()
        if after != before:
            seen.append(_stamp(int(instant.timestamp())))
            before = after
    assert [row[1] for row in _found_rows([zone], year)] == seen


def test_kinds_of_change_that_are_easy_to_get_wrong() -> None:
    offsets = {row[0]: {row[2], row[3]} for row in _found_rows(_zones(), 2024)}
    assert offsets["Antarctica/Troll"] == {"+00:00", "+02:00"}
    assert offsets["Australia/Lord_Howe"] == {"+10:30", "+11:00"}
    assert offsets["Europe/Dublin"] == {"+00:00", "+01:00"}
    assert "Asia/Kolkata" not in offsets
    assert "Africa/Abidjan" not in offsets


def test_a_change_of_flag_or_abbreviation_alone_is_no_change() -> None:
    # On 1968-10-27 British Summer Time became British Standard Time, at the same offset.
    assert [row[1] for row in _found_rows(["Europe/London"], 1968)] == ["1968-02-18T02:00:00Z"]


def test_the_year_begins_with_its_first_second_and_ends_before_the_next() -> None:
    find = example().offset_changes
    zone = example()._zone("Europe/Zurich")
    change = int(datetime(2027, 3, 28, 1, tzinfo=UTC).timestamp())
    assert list(find(zone, change, change + 1)) == [(change, 3600, 7200)]
    assert list(find(zone, change - 1, change)) == []
    assert list(find(zone, change + 1, change + 9)) == []
    assert list(find(zone, change, change)) == []
    assert [each[0] for each in find(zone, change, change + 3 * 86400)] == [change]
    inuvik = ("America/Inuvik", "1953-01-01T00:00:00Z", "+00:00", "-08:00")
    assert inuvik in _found_rows(["America/Inuvik"], 1953)
    assert inuvik not in _found_rows(["America/Inuvik"], 1952)


def test_changes_a_second_apart_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ((0, 0), (1000, 3600), (1001, 1800), (2500, 7200))

    def offset(_: Any, timestamp: int) -> int:
        return [value for since, value in steps if since <= timestamp][-1]

    monkeypatch.setattr(example(), "_offset", offset)
    found = list(example().offset_changes(None, 1, 50_000))
    assert found == [(1000, 0, 3600), (1001, 3600, 1800), (2500, 1800, 7200)]


def test_no_zone_changes_twice_within_what_the_search_steps_over() -> None:
    stride = example().STRIDE_S
    for zone in _zones():
        file = _tz_file(zone)
        later = [each for year in (2050, 2051) for each in _rule_changes(file.rule, year)]
        for changes in (file.changes, sorted(later)):
            instants = [each.instant for each in changes]
            assert all(late - early > 6 * 86400 for early, late in pairwise(instants)), zone
    assert stride < 6 * 86400


@pytest.mark.parametrize("year", [1, 0, -5, 9999, 10_000])
def test_a_year_that_cannot_be_looked_at_is_refused(year: int) -> None:
    with pytest.raises(ValueError, match=f"year must be from 2 to 9998, got {year}"):
        example().transform([], year)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "+00:00"),
        (3600, "+01:00"),
        (-12600, "-03:30"),
        (20700, "+05:45"),
        (-2670, "-00:44:30"),
        (-60, "-00:01"),
    ],
)
def test_offsets_are_written_with_seconds_only_where_there_are_some(seconds: int, text: str) -> None:
    assert example().format_offset(seconds) == text


# --- load -------------------------------------------------------------------------------------------------

ROWS = [
    {
        "zone": zone,
        "utc_instant": instant,
        "offset_before": "+01:00",
        "offset_after": "+02:00",
        "country_codes": "CH DE LI",
    }
    for zone in ("Europe/Zurich", "Africa/Cairo")
    for instant in ("2027-10-31T01:00:00Z", "2027-03-28T01:00:00Z")
]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_both_files_hold_the_sorted_rows(tmp_path: Path) -> None:
    summary = example().load(ROWS, str(tmp_path / "new" / "folder"))
    csv_path, sqlite_path = map(Path, summary["files"])
    assert csv_path.read_bytes().splitlines(keepends=True)[0] == (
        b"zone,utc_instant,offset_before,offset_after,country_codes\n"
    )
    lines = list(csv.reader(io.StringIO(csv_path.read_text(encoding="utf-8"))))
    assert lines[1] == ["Africa/Cairo", "2027-03-28T01:00:00Z", "+01:00", "+02:00", "CH DE LI"]
    assert lines[1:] == sorted(lines[1:])
    connection = sqlite3.connect(sqlite_path)
    try:
        stored = connection.execute("SELECT * FROM offset_changes").fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    finally:
        connection.close()
    assert [list(row) for row in stored] == lines[1:]


def test_the_summary_is_short_and_can_be_stored(tmp_path: Path) -> None:
    summary = example().load(ROWS, str(tmp_path))
    assert encode_result(summary)
    assert (summary["changes"], summary["zones"]) == (4, 2)
    assert summary["table"]["columns"] == ["month", "changes", "zones", "first", "last"]
    assert summary["table"]["rows"] == [
        ["2027-03", 2, 2, "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z"],
        ["2027-10", 2, 2, "2027-10-31T01:00:00Z", "2027-10-31T01:00:00Z"],
    ]


def test_a_year_without_changes_gives_files_with_a_header_alone(tmp_path: Path) -> None:
    summary = example().load([], str(tmp_path))
    assert summary["changes"] == 0
    assert (tmp_path / "dst_calendar.csv").read_text().count("\n") == 1


AGAIN = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("calendar_again", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
waste = [bytes([x % 251]) * 4096 for x in range(2000)]
del waste
zones = [each for each in module.extract() if each["zone"].startswith(("America/", "Europe/"))]
module.load(list(reversed(module.transform(zones, 2027))), sys.argv[2])
"""


def test_the_files_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    seen = []
    for seed in range(scaled("calendars", 2)):
        folder = tmp_path / str(seed)
        subprocess.run(
            [sys.executable, "-c", AGAIN, str(EXAMPLE), str(folder)],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "TZ": ["UTC", "Asia/Kolkata"][seed % 2]},
            check=True,
            timeout=120,
        )
        seen.append(_contents(folder))
    assert all(each == seen[0] for each in seen)
    assert list(seen[0]) == ["dst_calendar.csv", "dst_calendar.sqlite"]


def test_what_a_killed_attempt_left_behind_is_replaced(tmp_path: Path) -> None:
    example().load(ROWS, str(tmp_path / "undisturbed"))
    disturbed = tmp_path / "disturbed"
    disturbed.mkdir()
    (disturbed / ".dst_calendar.csv.part").write_bytes(b"half a fi" * 10_000)
    (disturbed / ".dst_calendar.sqlite.part").write_bytes(b"SQLite")
    (disturbed / "dst_calendar.csv").write_bytes(b"an older one")
    example().load(ROWS, str(disturbed))
    assert _contents(disturbed) == _contents(tmp_path / "undisturbed")


def test_a_failure_leaves_the_older_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example().load(ROWS, str(tmp_path))
    before = _contents(tmp_path)

    def broken(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(example().os, "fsync", broken)
    with pytest.raises(OSError, match="no space left"):
        example().load(ROWS[:1], str(tmp_path))
    after = _contents(tmp_path)
    assert {name: after[name] for name in before} == before


def test_the_steps_work_on_what_the_store_gives_back(tmp_path: Path) -> None:
    module = example()

    def call(func: Any, *args: Any) -> Any:
        again, _ = decode_call(encode_call(args, {}), func)
        return func(*again)

    zones = [each for each in call(module.extract) if each["zone"].startswith("Antarctica/")]
    summary = call(module.load, call(module.transform, zones, 2027), str(tmp_path))
    assert summary["changes"] == len(_expected_rows([each["zone"] for each in zones], 2027))
