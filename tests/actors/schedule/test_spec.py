"""Specs as data: what is stored, in which order, and that it is never read as anything else."""

from __future__ import annotations

import msgspec
import pytest

from actors.schedule.spec import CalendarSpec, CronSpec, Firing, IntervalSpec, ScheduleSpec

STORED: list[tuple[ScheduleSpec, list[object]]] = [
    (
        CronSpec("0 3 * * *", timezone="Europe/Berlin"),
        ["schedule.cron", "0 3 * * *", "Europe/Berlin", "shift_forward", "first", False, "vixie", "", ""],
    ),
    (
        CronSpec("0 H 3 * * *", "UTC", "skip", "both", True, "and", "first", "backup"),
        ["schedule.cron", "0 H 3 * * *", "UTC", "skip", "both", True, "and", "first", "backup"],
    ),
    (
        IntervalSpec(1800, 32_400, 61_200, "UTC"),
        ["schedule.interval", 1800, 32_400, 61_200, "UTC", "skip", "both", 1, ""],
    ),
    (
        CalendarSpec("monthly", (3600,), "UTC", nth=(-1,), weekdays=(4,)),
        [
            *("schedule.calendar", "monthly", [3600], "UTC", "shift_forward", "first", 1, ""),
            *([4], [-1], [], [], "last"),
        ],
    ),
]


@pytest.mark.parametrize(("spec", "stored"), STORED)
def test_a_spec_is_stored_in_this_order_for_ever(spec: ScheduleSpec, stored: list[object]) -> None:
    data = msgspec.msgpack.encode(spec)
    assert msgspec.msgpack.decode(data) == stored
    back = msgspec.msgpack.decode(data, type=ScheduleSpec)
    assert back == spec
    assert hash(back) == hash(spec)
    assert type(back) is type(spec)


def test_equal_specs_are_equal_and_others_are_not() -> None:
    assert CronSpec("0 3 * * *") == CronSpec("0 3 * * *")
    assert CronSpec("0 3 * * *") != CronSpec("0 3 * * *", timezone="UTC")
    assert CronSpec("0 3 * * *") != CronSpec("0 3 * * *", days="and")


@pytest.mark.parametrize(
    "stored",
    [
        ["schedule.cron", "0 3 * * *", "UTC", "guess"],
        ["schedule.other", "0 3 * * *"],
        ["schedule.calendar", "hourly"],
        ["schedule.interval", "often"],
    ],
)
def test_what_is_no_spec_is_not_read_as_one(stored: list[object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(stored), type=ScheduleSpec)


def test_a_firing_is_an_instant_and_the_rule_that_touched_it() -> None:
    assert Firing(5, "gap.shift_forward") == (5, "gap.shift_forward")
