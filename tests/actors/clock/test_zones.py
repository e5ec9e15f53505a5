"""Zones come from the tzdata package, whole and unchanged; names are checked before any file is touched."""

from __future__ import annotations

import copy
import pickle
import random
import struct
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from itertools import pairwise

import pytest

from actors.clock import zones
from actors.clock.errors import TimezoneError
from actors.clock.zones import Change, Segment, Zone
from eventstore.errors import LogisticsError
from tests.support.scale import scaled

SECOND = 1_000_000
HOUR = 3600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(*fields: int) -> int:
    return zones.instant_of(datetime(*fields, tzinfo=UTC))  # type: ignore[misc, arg-type]


def changes_in_file(name: str) -> list[Change]:
    """The changes of offset that the TZif file of a zone lists (RFC 8536), read by this test itself."""
    data = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    counts = struct.unpack(">6l", data[20:44])
    isutc, isstd, leap, times, types, chars = counts
    second = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isutc
    isutc, isstd, leap, times, types, chars = struct.unpack(">6l", data[second + 20 : second + 44])
    start = second + 44
    instants = struct.unpack(f">{times}q", data[start : start + 8 * times])
    kinds = data[start + 8 * times : start + 9 * times]
    table = start + 9 * times
    offsets = [struct.unpack(">l", data[table + 6 * kind : table + 6 * kind + 4])[0] for kind in range(types)]
    found = []
    offset = offsets[0]
    for at, kind in zip(instants, kinds, strict=True):
        if offsets[kind] != offset:
            found.append(Change(at, offset, offsets[kind]))
        offset = offsets[kind]
    return found


def a_sample_of_zones(count: int) -> list[str]:
    return random.Random(7).sample(zones.names(), min(scaled("zones", count), len(zones.names())))


def test_the_listing_is_that_of_the_package_and_each_name_of_it_opens() -> None:
    assert len(zones.names()) > 590
    assert all(zones.zone(name).key == name for name in zones.names())
    assert {"UTC", "Europe/Berlin", "US/Eastern", "Etc/GMT+12"} <= set(zones.names())


def test_no_two_changes_of_a_zone_are_so_close_that_the_search_could_miss_one() -> None:
    for name in zones.names():
        changes = changes_in_file(name)
        assert all(later.at_s - change.at_s > 6 * 86_400 for change, later in pairwise(changes)), name
        assert all(abs(change.after_s - change.before_s) <= 86_400 for change in changes), name


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "Africa/Casablanca", "Pacific/Apia", *a_sample_of_zones(60)]
)
def test_the_changes_found_are_those_of_the_zone_file(name: str) -> None:
    listed = [change for change in changes_in_file(name) if change.at_s > us(1900, 1, 1) // SECOND]
    if not listed:
        return
    last = listed[-1].at_s
    assert list(zones.offset_changes(name, us(1900, 1, 1) // SECOND + 1, last + 1)) == listed


def test_after_the_last_listed_change_the_rule_of_the_zone_goes_on() -> None:
    (spring, autumn) = zones.offset_changes(
        "Europe/Berlin", us(2099, 1, 1) // SECOND, us(2100, 1, 1) // SECOND
    )
    assert EPOCH + timedelta(seconds=spring.at_s) == datetime(2099, 3, 29, 1, tzinfo=UTC)
    assert EPOCH + timedelta(seconds=autumn.at_s) == datetime(2099, 10, 25, 1, tzinfo=UTC)
    assert (spring.before_s, spring.after_s) == (autumn.after_s, autumn.before_s) == (HOUR, 2 * HOUR)


def test_segments_of_constant_offset_fill_the_span_that_was_asked_for() -> None:
    start, end = us(2026, 3, 1) + 17, us(2026, 11, 1) + 3
    found = zones.transitions("Europe/Berlin", start, end)
    assert found == (
        Segment(start, us(2026, 3, 29, 1), HOUR * SECOND),
        Segment(us(2026, 3, 29, 1), us(2026, 10, 25, 1), 2 * HOUR * SECOND),
        Segment(us(2026, 10, 25, 1), end, HOUR * SECOND),
    )
    assert zones.transitions("Europe/Berlin", end, end) == ()
    assert zones.transitions("UTC", start, end) == (Segment(start, end, 0),)
    assert zones.transitions("Europe/Berlin", us(2026, 3, 29, 1), us(2026, 3, 29, 2)) == (
        Segment(us(2026, 3, 29, 1), us(2026, 3, 29, 2), 2 * HOUR * SECOND),
    )


@pytest.mark.parametrize("name", a_sample_of_zones(40))
def test_wall_time_and_instants_agree_with_the_round_trip_of_pep_495(name: str) -> None:
    rng = random.Random(name)
    tz = zones.zone(name)
    changes = changes_in_file(name)
    for _ in range(50):
        middle = rng.choice(changes).at_s if changes and rng.random() < 0.8 else rng.randint(0, 4_000_000_000)
        wall = datetime(1970, 1, 1) + timedelta(seconds=middle + rng.randint(-90_000, 90_000))  # noqa: DTZ001
        both = {
            instant
            for fold in (0, 1)
            for instant in [wall.replace(tzinfo=tz, fold=fold).astimezone(UTC)]
            if instant.astimezone(tz).replace(tzinfo=None) == wall
        }
        expected = tuple(sorted((instant - EPOCH) // timedelta(microseconds=1) for instant in both))
        wall_us = zones.wall_of(wall)
        assert zones.wall_to_instants(name, wall_us) == expected
        assert all(zones.instant_to_wall(name, instant) == wall_us for instant in expected)


def test_a_wall_time_in_a_gap_is_no_instant_and_one_in_a_fold_is_two() -> None:
    gap, fold = (
        zones.wall_of(datetime(2026, 3, 29, 2, 30)),  # noqa: DTZ001
        zones.wall_of(datetime(2026, 10, 25, 2, 30)),  # noqa: DTZ001
    )
    assert zones.wall_to_instants("Europe/Berlin", gap) == ()
    assert zones.wall_to_instants("Europe/Berlin", fold) == (us(2026, 10, 25, 0, 30), us(2026, 10, 25, 1, 30))
    first, second = (
        zones.to_datetime("Europe/Berlin", at) for at in zones.wall_to_instants("Europe/Berlin", fold)
    )
    assert (first.fold, second.fold) == (0, 1)
    assert first.replace(tzinfo=None) == second.replace(tzinfo=None, fold=0) == datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001


def test_a_day_that_a_zone_skipped_has_no_instants() -> None:
    for hour in range(24):
        wall = zones.wall_of(datetime(2011, 12, 30, hour))  # noqa: DTZ001
        assert zones.wall_to_instants("Pacific/Apia", wall) == ()


def test_an_instant_and_its_datetime_are_the_same_and_fold_is_honoured() -> None:
    rng = random.Random(3)
    for name in a_sample_of_zones(100):
        at = rng.randint(us(1900, 1, 1), us(2200, 1, 1))
        assert zones.instant_of(zones.to_datetime(name, at)) == at
    tz = zones.zone("Europe/Berlin")
    early, late = (datetime(2026, 10, 25, 2, 30, tzinfo=tz, fold=fold) for fold in (0, 1))
    assert zones.instant_of(late) - zones.instant_of(early) == HOUR * SECOND
    assert zones.instant_of(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == us(2026, 1, 1)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Europe/berlin", "did you mean Europe/Berlin?"),
        ("europe/BERLIN", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("America/New_Yrok", "America/New_York"),
        ("New York", "America/New_York"),
        ("utc", "did you mean UTC?"),
        ("GMT+2", "Etc/GMT+2"),
        ("Mars/Phobos", "there is no timezone 'Mars/Phobos'"),
    ],
)
def test_an_unknown_zone_is_refused_with_names_near_it(name: str, advice: str) -> None:
    with pytest.raises(TimezoneError) as caught:
        zones.zone(name)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/localtime",
        "../../etc/passwd",
        "Europe/../UTC",
        "Europe//Berlin",
        "Europe/Berlin/",
        "Europe/Berlin\n",
        "Europe/Berlin\0",
        "\0",
        ".",
        "..",
        "C:\\zone",
        "Europe\\Berlin",
        "zone.tab",
        "__init__.py",
        "tzdata.zi",
        "Европа/Москва",
        "A" * 10_000,
        "Europe",
        "+02:00",
    ],
)
def test_what_is_no_name_of_a_zone_never_becomes_a_path(name: str) -> None:
    with pytest.raises(TimezoneError, match="timezone") as caught:
        zones.zone(name)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, LogisticsError)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", [None, 3, b"UTC", UTC])
def test_a_zone_is_named_by_text(name: object) -> None:
    with pytest.raises(TimezoneError, match="must be a name"):
        zones.check_name(name)  # type: ignore[arg-type]


def test_a_zone_that_the_package_lists_and_cannot_give_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zones, "_known", lambda: frozenset({"Atlantis/Capital"}))
    with pytest.raises(TimezoneError, match="install the package again"):
        zones.zone("Atlantis/Capital")


def test_zones_are_kept_and_can_be_copied_and_pickled_with_their_datetimes() -> None:
    tz = zones.zone("Asia/Tokyo")
    assert zones.zone("Asia/Tokyo") is tz
    assert copy.deepcopy(tz) is tz
    assert pickle.loads(pickle.dumps(tz)) is tz
    moment = zones.to_datetime("Asia/Tokyo", 0)
    assert pickle.loads(pickle.dumps(moment)) == moment
    assert isinstance(moment.tzinfo, Zone)


def test_naive_datetimes_are_refused_with_advice() -> None:
    with pytest.raises(TimezoneError, match="must be aware, got the naive 2026-01-02 03:04:00") as caught:
        zones.instant_of(datetime(2026, 1, 2, 3, 4))  # noqa: DTZ001
    assert "localize" in str(caught.value)
    with pytest.raises(TimezoneError, match="must be an aware datetime, got str"):
        zones.instant_of("2026-01-02")  # type: ignore[arg-type]


def test_instants_beyond_the_calendar_are_refused_and_their_offsets_are_those_at_its_ends() -> None:
    with pytest.raises(TimezoneError, match="years 1 to 9999"):
        zones.to_datetime("Asia/Tokyo", (zones.LAST_S + 1) * SECOND)
    with pytest.raises(TimezoneError, match="years 1 to 9999"):
        zones.to_datetime("Asia/Tokyo", (zones.FIRST_S - 1) * SECOND)
    assert zones.utc_offset_s("Asia/Tokyo", 10**15) == 9 * HOUR
    assert zones.utc_offset_s("Etc/GMT+12", -(10**15)) == -12 * HOUR


def test_the_version_of_the_database_is_a_year_and_a_letter() -> None:
    version = zones.tzdata_version()
    assert version[:4].isdigit()
    assert version[4:].isalpha()
