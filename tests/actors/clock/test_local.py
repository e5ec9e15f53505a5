"""A naive local time is placed in its zone, or the error says why that would be a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.clock.errors import TimezoneError
from actors.clock.local import localized


def naive(*fields: int, fold: int = 0) -> datetime:
    return datetime(*fields, fold=fold)  # type: ignore[arg-type]  # noqa: DTZ001


def test_an_ordinary_time_gets_the_offset_of_its_season() -> None:
    assert localized(naive(2026, 1, 1, 12), "Europe/Berlin").isoformat() == "2026-01-01T12:00:00+01:00"
    assert localized(naive(2026, 7, 1, 12), "Europe/Berlin").isoformat() == "2026-07-01T12:00:00+02:00"


def test_of_two_equal_times_fold_says_which() -> None:
    first = localized(naive(2026, 10, 25, 2, 30), "Europe/Berlin")
    second = localized(naive(2026, 10, 25, 2, 30, fold=1), "Europe/Berlin")
    assert first.utcoffset() == timedelta(hours=2)
    assert second.utcoffset() == timedelta(hours=1)


def test_a_time_in_a_gap_is_refused_with_what_can_be_said() -> None:
    with pytest.raises(TimezoneError) as caught:
        localized(naive(2026, 3, 29, 2, 30), "Europe/Berlin")
    assert "2026-03-29 02:30:00 does not exist in Europe/Berlin" in str(caught.value)
    assert "put forward to 2026-03-29 03:00:00+02:00" in str(caught.value)
    assert "gap='shift_forward'" in str(caught.value)


@pytest.mark.parametrize(("gap", "expected"), [("shift_forward", "03:00"), ("preserve_offset", "03:30")])
def test_a_time_in_a_gap_goes_where_the_rule_says(gap: str, expected: str) -> None:
    found = localized(naive(2026, 3, 29, 2, 30), "Europe/Berlin", gap=gap)  # type: ignore[arg-type]
    assert f"{found:%H:%M}" == expected


def test_a_whole_day_that_was_skipped_goes_to_its_end() -> None:
    found = localized(naive(2011, 12, 30, 12), "Pacific/Apia", gap="shift_forward")
    assert found.isoformat() == "2011-12-31T00:00:00+14:00"


def test_what_is_no_naive_datetime_is_refused() -> None:
    with pytest.raises(TimezoneError, match="takes a naive datetime, got the aware"):
        localized(datetime(2026, 1, 1, tzinfo=UTC), "UTC")
    with pytest.raises(TimezoneError, match="got str"):
        localized("2026-01-01", "UTC")  # type: ignore[arg-type]
    with pytest.raises(TimezoneError, match="gap must be"):
        localized(naive(2026, 1, 1), "UTC", gap="skip")  # type: ignore[arg-type]
    with pytest.raises(TimezoneError, match="too close to the ends"):
        localized(naive(9999, 12, 31, 23), "UTC")
