"""A calendar of clock changes: every change of UTC offset of every zone of the world in one year.

Plain functions that `dst_calendar.toml` makes a workflow of. All zone data comes from the installed
`tzdata` package, never from the machine, so the same package gives the same files everywhere:

- `dst_calendar.csv`, with the header `zone,utc_instant,offset_before,offset_after,country_codes`;
- `dst_calendar.sqlite`, with the same columns in the table `offset_changes`.

Both are sorted by zone and instant. Instants are UTC like `2027-03-28T01:00:00Z`, offsets like `+01:00` (with
seconds where a zone has them), country codes are joined by a space.
"""

from __future__ import annotations

import csv
import io
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

COLUMNS = ("zone", "utc_instant", "offset_before", "offset_after", "country_codes")

# The offset is looked at this often, and what lies between two unequal looks is found by bisection. No zone
# of the package ever changed its offset and changed it back within six days; a test holds that.
STRIDE_S = 12 * 3600

# What datetime can hold, with a day to spare on both sides.
FIRST_YEAR, LAST_YEAR = 2, 9998


# --- extract ----------------------------------------------------------------------------------------------


def extract() -> list[dict[str, Any]]:
    """The zones of `zone1970.tab` by name: `{"zone": "Africa/Lagos", "country_codes": ["NG", "AO", …]}`."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone1970.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    zones = [{"zone": name, "country_codes": codes.split(",")} for codes, _, name, *_ in rows]
    return sorted(zones, key=lambda each: str(each["zone"]))


# --- transform --------------------------------------------------------------------------------------------


def transform(extract: list[dict[str, Any]], year: int) -> list[dict[str, Any]]:
    """Every change of UTC offset in the UTC year, its start included and its end not, zone by zone.

    A change of the zone's abbreviation or of its daylight saving flag alone is none.
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"year must be from {FIRST_YEAR} to {LAST_YEAR}, got {year}")
    start, end = _timestamp(year), _timestamp(year + 1)
    return [
        {
            "zone": each["zone"],
            "utc_instant": datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "offset_before": format_offset(before),
            "offset_after": format_offset(after),
            "country_codes": " ".join(each["country_codes"]),
        }
        for each in extract
        for instant, before, after in offset_changes(_zone(each["zone"]), start, end)
    ]


def changes_of(item: dict[str, Any], year: int) -> list[dict[str, Any]]:
    """The changes of one zone: what is done for all of them at the same time."""
    return transform([item], year)


def join(changes: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The changes of all zones, zone by zone."""
    return [change for each in changes for change in each]


def offset_changes(zone: ZoneInfo, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Instants from `start` to before `end` at which the UTC offset changes, with both offsets (seconds)."""
    known, before = start - 1, _offset(zone, start - 1)
    while known < end - 1:
        look = min(known + STRIDE_S, end - 1)
        after = _offset(zone, look)
        if after != before:
            yield from _between(zone, (known, before), (look, after))
        known, before = look, after


def _between(zone: ZoneInfo, left: tuple[int, int], right: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """The changes after `left` and up to `right`: two instants with their offsets, which are not equal."""
    early, late = left, right
    while late[0] - early[0] > 1:
        middle = (early[0] + late[0]) // 2
        offset = _offset(zone, middle)
        if offset == left[1]:
            early = middle, offset
        else:
            late = middle, offset
    yield late[0], early[1], late[1]
    if late[1] != right[1]:
        yield from _between(zone, late, right)


def format_offset(seconds: int) -> str:
    """`+05:30`, `-03:30`, `+00:00`, and `-00:44:30` where there are seconds."""
    minutes, rest = divmod(abs(seconds), 60)
    text = f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{rest:02}" if rest else text


def _zone(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _offset(zone: ZoneInfo, timestamp: int) -> int:
    offset = datetime.fromtimestamp(timestamp, zone).utcoffset()
    return 0 if offset is None else offset.days * 86400 + offset.seconds


def _timestamp(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


# --- load -------------------------------------------------------------------------------------------------


def load(transform: list[dict[str, Any]], output: str) -> dict[str, Any]:
    """Write both files into the folder `output`, each whole or not at all, and return a summary.

    The same changes give the same bytes, however often this is done and wherever an earlier attempt ended.
    """
    rows = sorted(tuple(str(each[column]) for column in COLUMNS) for each in transform)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"dst_calendar.csv": csv_bytes(rows), "dst_calendar.sqlite": sqlite_bytes(rows)}
    for name, data in files.items():
        _write_whole(folder / name, data)
    return {
        "files": [str(folder / name) for name in files],
        "changes": len(rows),
        "zones": len({zone for zone, *_ in rows}),
        "table": {"columns": ["month", "changes", "zones", "first", "last"], "rows": _months(rows)},
    }


def csv_bytes(rows: Iterable[tuple[str, ...]]) -> bytes:
    """The CSV file: UTF-8, lines ended by a line feed alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def sqlite_bytes(rows: Iterable[tuple[str, ...]]) -> bytes:
    """The SQLite file, made in memory: its bytes depend on the rows and SQLite's version alone."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        # secure_delete: what a page does not use is zero, not what was in memory before.
        connection.executescript(
            "PRAGMA page_size = 4096; PRAGMA encoding = 'UTF-8';"
            "PRAGMA secure_delete = ON; PRAGMA user_version = 1;"
            f"CREATE TABLE offset_changes ({', '.join(f'{name} TEXT NOT NULL' for name in COLUMNS)}, "
            "PRIMARY KEY (zone, utc_instant)) WITHOUT ROWID; BEGIN;"
        )
        connection.executemany("INSERT INTO offset_changes VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
        return connection.serialize()
    finally:
        connection.close()


def _months(rows: list[tuple[str, ...]]) -> list[list[Any]]:
    changes = Counter(instant[:7] for _, instant, *_ in rows)
    return [
        [
            month,
            changes[month],
            len({zone for zone, instant, *_ in rows if instant.startswith(month)}),
            min(instant for _, instant, *_ in rows if instant.startswith(month)),
            max(instant for _, instant, *_ in rows if instant.startswith(month)),
        ]
        for month in sorted(changes)
    ]


def _write_whole(path: Path, data: bytes) -> None:
    # A fixed name for the part: what a killed attempt left is written over, and nothing strange stays behind.
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
