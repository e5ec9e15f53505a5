"""TimezoneManager as users meet it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.clock.errors import TimezoneError
from logistics.schedule.timezone import TimezoneManager


def test_without_a_name_it_is_utc() -> None:
    assert TimezoneManager().timezone == "UTC"
    assert TimezoneManager().now().utcoffset() == timedelta()


def test_now_is_the_present_moment_in_the_zone() -> None:
    earlier, now, later = datetime.now(UTC), TimezoneManager("Asia/Tokyo").now(), datetime.now(UTC)
    assert earlier <= now + timedelta(microseconds=1)
    assert now <= later
    assert now.utcoffset() == timedelta(hours=9)


def test_localize_takes_a_naive_datetime_and_no_other() -> None:
    berlin = TimezoneManager("Europe/Berlin")
    assert berlin.localize(datetime(2026, 7, 1, 12)).isoformat() == "2026-07-01T12:00:00+02:00"  # noqa: DTZ001
    with pytest.raises(TimezoneError, match="to_timezone"):
        berlin.localize(datetime(2026, 7, 1, 12, tzinfo=UTC))
    with pytest.raises(TimezoneError, match="does not exist"):
        berlin.localize(datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001
    moved = berlin.localize(datetime(2026, 3, 29, 2, 30), gap="preserve_offset")  # noqa: DTZ001
    assert moved.isoformat() == "2026-03-29T03:30:00+02:00"


def test_moments_are_shown_in_other_zones_and_in_utc() -> None:
    berlin = TimezoneManager("Europe/Berlin")
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert berlin.to_timezone(moment).isoformat() == "2026-07-01T14:00:00+02:00"
    assert berlin.to_timezone(moment, "Asia/Tokyo").isoformat() == "2026-07-01T21:00:00+09:00"
    there = berlin.to_timezone(moment, "Asia/Tokyo")
    assert berlin.to_utc(there) == moment
    assert berlin.to_utc(there).tzinfo is UTC


@pytest.mark.parametrize("ask", ["to_timezone", "to_utc"])
def test_naive_datetimes_are_refused_elsewhere(ask: str) -> None:
    with pytest.raises(TimezoneError, match="must be aware"):
        getattr(TimezoneManager("Europe/Berlin"), ask)(datetime(2026, 1, 1))  # noqa: DTZ001


def test_unknown_zones_are_refused() -> None:
    with pytest.raises(TimezoneError, match="did you mean Europe/Berlin"):
        TimezoneManager("Europe/berlin")
    with pytest.raises(TimezoneError, match="no timezone 'Mars/Phobos'"):
        TimezoneManager().to_timezone(datetime(2026, 1, 1, tzinfo=UTC), "Mars/Phobos")


def test_it_knows_the_names_of_zones_and_the_release_of_their_rules() -> None:
    assert "Europe/Berlin" in TimezoneManager.names()
    assert TimezoneManager().tzdata_version[:2] == "20"


def test_managers_of_one_zone_are_equal() -> None:
    assert TimezoneManager("Asia/Tokyo") == TimezoneManager("Asia/Tokyo")
    assert TimezoneManager("Asia/Tokyo") != TimezoneManager("UTC")
    assert TimezoneManager("Asia/Tokyo") != "Asia/Tokyo"
    assert len({TimezoneManager("Asia/Tokyo"), TimezoneManager("Asia/Tokyo")}) == 1
    assert repr(TimezoneManager("Asia/Tokyo")) == "TimezoneManager('Asia/Tokyo')"


def test_a_zone_has_one_name_and_others() -> None:
    eastern = TimezoneManager("US/Eastern")
    assert eastern.canonical_name == "America/New_York"
    assert "America/New_York" in eastern.aliases
    assert "US/Eastern" not in eastern.aliases
    assert TimezoneManager("Europe/Zurich").canonical_name == "Europe/Zurich"


def test_every_name_stands_for_one_that_stands_for_itself() -> None:
    for name in TimezoneManager.names():
        canonical = TimezoneManager(name).canonical_name
        assert canonical in TimezoneManager.names()
        assert TimezoneManager(canonical).canonical_name == canonical


def test_the_next_change_of_clocks_is_told() -> None:
    zurich = TimezoneManager("Europe/Zurich")
    change = zurich.next_change(datetime(2027, 1, 1, tzinfo=UTC))
    assert change is not None
    assert change.at == datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert change.at.isoformat() == "2027-03-28T03:00:00+02:00"
    assert change.by == timedelta(hours=1)
    following = zurich.next_change(change.at)
    assert following is not None
    assert (following.at.astimezone(UTC), following.by) == (
        datetime(2027, 10, 31, 1, tzinfo=UTC),
        -timedelta(hours=1),
    )
    assert TimezoneManager("UTC").next_change() is None


def test_near_names_are_suggested() -> None:
    assert TimezoneManager.near_names("europe/zurich") == ("Europe/Zurich",)
    assert "Europe/Zurich" in TimezoneManager.near_names("Zürich")
    assert TimezoneManager.near_names("qqqq") == ()
    with pytest.raises(TimezoneError, match="got 5"):
        TimezoneManager.near_names(5)  # type: ignore[arg-type]
