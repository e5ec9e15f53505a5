"""Combinations of schedules, held against plain set operations on the firings of their parts."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import islice

import pytest

from actors.clock.zones import to_datetime
from actors.schedule.combined import MOST_CANDIDATES, Search, fire_beyond
from actors.schedule.errors import ScheduleError
from actors.schedule.firing import check, fires, matches, next_fire, previous_fire
from actors.schedule.missed import count_fires, counted
from actors.schedule.spec import (
    FOLD_RULES,
    GAP_RULES,
    CalendarSpec,
    Combination,
    CombinedSpec,
    CronSpec,
    DaysSpec,
    Firing,
    Holidays,
    InstantsSpec,
    IntervalSpec,
    ScheduleSpec,
    is_cron,
    is_zoned,
    zoned,
)
from tests.actors.schedule.world import DAY, HOUR, MINUTE, MINUTELY, at
from tests.support.scale import scaled

ZURICH = "Europe/Zurich"
NIGHTLY = CronSpec("30 2 * * *", timezone=ZURICH)
WEEKENDS = DaysSpec(weekdays=(5, 6))
NEVER_MEET = CombinedSpec("all", (CronSpec("0 * * * *"), CronSpec("1 * * * *")))


def walked(step: Callable[[int], Firing | None], at_us: int, is_inside: Callable[[int], bool]) -> list[int]:
    """The firings of a window, by steps; a search that gives up beyond the last of them has ended, too."""
    found: list[int] = []
    with contextlib.suppress(ScheduleError):
        while (firing := step(at_us)) is not None and is_inside(firing.at_us):
            found.append(at_us := firing.at_us)
    return found


def between(spec: ScheduleSpec, start: int, end: int) -> list[int]:
    return walked(lambda at_us: next_fire(spec, at_us), start, lambda at_us: at_us <= end)


def backwards(spec: ScheduleSpec, start: int, end: int) -> list[int]:
    return walked(lambda at_us: previous_fire(spec, at_us), end + 1, lambda at_us: at_us > start)[::-1]


def holds(days: DaysSpec, zone: str, at_us: int) -> bool:
    day = to_datetime(zone, at_us).date()
    return day.weekday() in days.weekdays or day.isoformat() in days.dates


def a_part(rng: random.Random, zone: str, around: date) -> ScheduleSpec:
    kind = rng.randrange(4)
    if kind == 0:
        minute, step = rng.choice((0, 15, 30)), rng.choice((1, 2, 3))
        return CronSpec(f"{minute} */{step} * * *", timezone=zone, apply_to_intervals=rng.random() < 0.5)
    if kind == 1:
        return IntervalSpec(rng.choice((15, 30, 45)) * 60, timezone=zone)
    if kind == 2:
        return CalendarSpec("daily", at_s=(rng.randrange(0, 4) * 3600, 9_000), timezone=zone)
    noon = at(f"{around.isoformat()}T12:00")
    return InstantsSpec(tuple(sorted({noon + rng.randrange(-96, 96) * 15 * MINUTE for _ in range(9)})), zone)


def expected(spec: CombinedSpec, start: int, end: int) -> list[int]:
    schedules = [set(between(part, start, end)) for part in spec.parts if not isinstance(part, DaysSpec)]
    days = [part for part in spec.parts if isinstance(part, DaysSpec)]
    if spec.how == "any":
        found = set().union(*schedules)
    elif spec.how == "all":
        found = set.intersection(*schedules)
        found = {each for each in found if all(holds(part, spec.timezone, each) for part in days)}
    else:
        found = schedules[0].difference(*schedules[1:])
        found = {each for each in found if not any(holds(part, spec.timezone, each) for part in days)}
    return sorted(found)


@pytest.mark.no_cover
def test_a_combination_fires_when_sets_of_firings_say_so() -> None:
    for seed in range(scaled("combinations", 60)):
        rng = random.Random(seed)
        zone = rng.choice((ZURICH, "America/New_York", "Australia/Lord_Howe", "America/Havana"))
        around = rng.choice((date(2027, 3, 14), date(2027, 3, 28), date(2027, 10, 31), date(2027, 11, 7)))
        how: Combination = rng.choice(("any", "all", "but"))
        parts = [a_part(rng, zone, around) for _ in range(rng.randint(2, 3))]
        days = DaysSpec((rng.randrange(7),), ((around + timedelta(days=rng.randrange(-2, 3))).isoformat(),))
        spec = CombinedSpec(how, (*parts, days) if how != "any" else tuple(parts), zone)
        start = at(f"{(around - timedelta(days=3)).isoformat()}T00:00")
        end = start + 6 * DAY
        wanted = expected(spec, start, end)
        assert between(spec, start, end) == wanted, seed
        assert backwards(spec, start, end) == wanted, seed
        if wanted:
            assert count_fires(spec, start, wanted[-1]) == len(wanted), seed
        assert all(matches(spec, each) for each in wanted[:5]), seed


def test_days_are_those_of_the_first_parts_zone_and_are_leapt_over() -> None:
    tokyo = CronSpec("* * * * *", timezone="Asia/Tokyo")
    spec = CombinedSpec("but", (tokyo, WEEKENDS), "Asia/Tokyo")
    friday_evening = at("2027-01-08T14:59")  # 23:59 in Tokyo
    found = next_fire(spec, friday_evening)
    assert found is not None
    assert found.at_us == at("2027-01-10T15:00")  # Monday, 00:00 in Tokyo


def test_the_rule_of_a_gap_or_fold_comes_with_the_firing() -> None:
    spec = CombinedSpec("but", (NIGHTLY, WEEKENDS), ZURICH)
    spring = CombinedSpec("but", (NIGHTLY, DaysSpec((5,))), ZURICH)
    found = next_fire(spring, at("2027-03-27T12:00"))
    assert found == (at("2027-03-28T01:00"), "gap.shift_forward")
    assert next_fire(spec, at("2027-03-27T12:00")) == (at("2027-03-29T00:30"), "")


def test_listed_instants_come_in_order_and_end() -> None:
    spec = InstantsSpec((10, 20, 30), "UTC")
    assert [firing.at_us for firing in fires(spec, 10)] == [20, 30]
    assert next_fire(spec, 30) is None
    assert previous_fire(spec, 30) == (20, "")
    assert previous_fire(spec, 10) is None
    assert count_fires(spec, 0, 20) == 2


def walked_beyond(spec: ScheduleSpec, at_us: int, sign: int) -> Firing | None:
    """The oracle: instant by instant."""
    if not isinstance(spec, CombinedSpec):
        return next_fire(spec, at_us) if sign > 0 else previous_fire(spec, at_us)
    walk = Search(sign, lambda part, us: walked_beyond(part, us, sign), lambda _first, _other, us, _sign: us)
    return fire_beyond(spec, at_us, walk)


def a_dense_part(rng: random.Random, zone: str) -> CronSpec | IntervalSpec:
    if rng.random() < 0.3:
        window = rng.choice(((0, 86_399), (9 * 3600, 17 * 3600), (79_200, 100_800), (3600, 89_700)))
        gap, every_n = rng.choice(GAP_RULES), rng.choice((1, 1, 2))
        return IntervalSpec(rng.choice((300, 600)), *window, zone, gap=gap, every_n=every_n)
    fields = rng.choice(("*/5 *", "*/10 0-3", "*/15 1-22", "0,30 *")), rng.choice(("* *", "*/2 *"))
    return CronSpec(
        f"{fields[0]} {fields[1]} *",
        timezone=zone,
        gap=rng.choice(GAP_RULES),
        fold=rng.choice(FOLD_RULES),
        apply_to_intervals=rng.random() < 0.5,
    )


@pytest.mark.no_cover
def test_what_is_leapt_over_is_what_a_walk_finds_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.schedule.combined.MOST_CANDIDATES", 300)  # how far the walk goes
    for seed in range(scaled("leaps", 40)):
        rng = random.Random(seed)
        zone = rng.choice((ZURICH, "Australia/Lord_Howe", "America/Havana", "America/Santiago", "UTC"))
        around = rng.choice(("2027-03-14", "2027-03-28", "2027-04-03", "2027-10-31", "2027-11-07"))
        elsewhere = rng.choice((zone, zone, "Asia/Kathmandu", "Pacific/Kiritimati"))
        part, one, two = (a_dense_part(rng, there) for there in (zone, elsewhere, zone))
        base: ScheduleSpec = part
        if rng.random() < 0.3:
            base = CombinedSpec("any", (base, a_dense_part(rng, elsewhere)), zone)
        others = rng.choice(((one,), (one, two), (CombinedSpec("any", (one, two), zone),)))
        spec = CombinedSpec("but", (base, *others), zone)
        if rng.random() < 0.3:
            spec = CombinedSpec("but", (CombinedSpec("all", (base, two), zone), one), zone)
        for _ in range(2):
            at_us = at(f"{around}T00:00") + rng.randrange(-DAY, 2 * DAY)
            for sign, found in ((1, next_fire), (-1, previous_fire)):
                with contextlib.suppress(ScheduleError):
                    assert found(spec, at_us) == walked_beyond(spec, at_us, sign), (seed, at_us, sign)


AUGUST = CronSpec("* * * 8 *", ZURICH)


@pytest.mark.parametrize(
    "base",
    [
        CronSpec("* * * * *", "Asia/Tokyo"),
        CombinedSpec(
            "any", (CronSpec("* * * * *", ZURICH), CronSpec("*/7 * * * *", "Asia/Kathmandu")), ZURICH
        ),
    ],
)
def test_a_month_of_another_zone_or_for_one_of_several_is_leapt_over(base: CronSpec | CombinedSpec) -> None:
    """A schedule that met more than ten thousand times in a row that were left out stood still for ever."""
    spec = CombinedSpec("but", (base, AUGUST), ZURICH)
    july, september = at("2026-07-31T21:59"), at("2026-08-31T22:00")
    assert next_fire(spec, july) == (september, "")
    assert previous_fire(spec, september) == (july, "")


OVER_MIDNIGHT = IntervalSpec(60, 22 * 3600, 28 * 3600, ZURICH)


def test_a_month_or_a_window_is_leapt_over_by_a_window_that_spans_midnight() -> None:
    spec = CombinedSpec("but", (OVER_MIDNIGHT, AUGUST), ZURICH)
    july, september = at("2026-07-31T21:59"), at("2026-08-31T22:00")
    assert next_fire(spec, july) == (september, "")
    assert previous_fire(spec, september) == (july, "")
    every_fortnight = IntervalSpec(60, 22 * 3600, 28 * 3600, ZURICH, every_n=14, starting="2026-07-31")
    but_one = CombinedSpec("but", (CombinedSpec("any", (OVER_MIDNIGHT,), ZURICH), every_fortnight), ZURICH)
    assert next_fire(but_one, at("2026-07-31T19:59")) == (at("2026-08-01T20:00"), "")
    assert previous_fire(but_one, at("2026-08-01T20:00")) == (at("2026-07-31T02:00"), "")


def test_a_combination_is_counted_as_one_by_one() -> None:
    for seed in range(scaled("counts", 20)):
        rng = random.Random(seed)
        zone = rng.choice(
            (ZURICH, "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Africa/Casablanca")
        )
        around = rng.choice(
            ("2026-03-28", "2026-10-25", "2026-04-05", "2026-03-08", "2011-12-30", "2026-02-15")
        )
        start, end = (at(f"{around}T00:00") + rng.randrange(-2 * DAY, 2 * DAY) for _ in range(2))
        days = [DaysSpec(tuple(rng.sample(range(7), 3)), (around,)) for _ in range(2)]
        base: ScheduleSpec = a_dense_part(rng, zone)
        some = [each.at_us for each in islice(fires(base, min(start, end)), 40)]
        instants = InstantsSpec(tuple(sorted({*rng.sample(some, 5), start})), zone)
        if rng.random() < 0.5:
            base = CombinedSpec("all", (base, days[1]), zone)
        spec = CombinedSpec("all", (base, days[0]), zone)
        if rng.random() < 0.6:
            spec = CombinedSpec("but", (base, days[0], instants), zone)
            beside = a_dense_part(rng, rng.choice((zone, "Asia/Kathmandu", "America/New_York")))
            if rng.random() < 0.5:
                spec = CombinedSpec(rng.choice(("all", "but")), (spec, beside), zone)
            both = {*between(spec, start, end), *between(beside, start, end)}
            assert count_fires(CombinedSpec("any", (spec, beside), zone), start, end) == len(both), seed
        assert count_fires(spec, start, end) == len(between(spec, start, end)), seed


def test_years_are_counted_without_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[int] = []

    def noting(spec: ScheduleSpec, after_us: int) -> Iterator[Firing]:
        walked.append(after_us)
        return fires(spec, after_us)

    monkeypatch.setattr("actors.schedule.alike.fires", noting)
    monkeypatch.setattr("actors.schedule.missed.MOST_DAYS", 400)
    spec = CombinedSpec(
        "but", (CronSpec("* * * * *", "UTC"), WEEKENDS, InstantsSpec((at("2026-01-05"),))), "UTC"
    )
    begin = at("2026-01-05") - 1
    assert count_fires(spec, begin, begin + 52 * 7 * DAY) == 52 * 5 * 1440 - 1
    assert count_fires(spec, begin, begin + 1000 * 365 * DAY) == (400 // 7 * 5 + 1) * 1440 - 1
    lunch, begin_us = CronSpec("* 12 * * 1-5", ZURICH), at("2026-01-04T23:00")
    but_lunch = CombinedSpec("but", (CronSpec("* * * * *", ZURICH), lunch), ZURICH)
    assert count_fires(but_lunch, begin_us - 1, begin_us + 52 * 7 * DAY - 1) == 52 * (7 * 1440 - 5 * 60)
    assert len(walked) < 30, "days that are alike are walked once"
    monkeypatch.setattr("actors.schedule.missed.MOST_WALKED", 1)
    assert counted(but_lunch, begin_us - 1, begin_us + 52 * 7 * DAY) == (60, begin_us + HOUR - 1)


BUSY = CronSpec("* * 9-17 * * *", "UTC", seconds="first")


def test_a_month_and_the_seconds_of_a_day_are_leapt_over() -> None:
    """Ten thousand times in a row are no more than a week of minutes, or three hours of seconds."""
    but_august = CombinedSpec("but", (CronSpec("* * * * *", "UTC"), CronSpec("* * * 8 *", "UTC")), "UTC")
    july, september = at("2026-07-31T23:59"), at("2026-09-01T00:00")
    assert next_fire(but_august, july) == (september, "")
    assert previous_fire(but_august, september) == (july, "")
    every_second = CronSpec("* * * * * *", "UTC", seconds="first")
    free = CombinedSpec("but", (every_second, BUSY), "UTC")
    assert next_fire(free, at("2026-07-31T08:59:59")) == (at("2026-07-31T18:00"), "")
    assert previous_fire(free, at("2026-07-31T18:00")) == (at("2026-07-31T08:59:59"), "")


def test_parts_that_never_meet_are_found_out() -> None:
    with pytest.raises(ScheduleError, match=rf"{MOST_CANDIDATES} times in a row"):
        next_fire(zoned(NEVER_MEET, "UTC"), 0)
    with pytest.raises(ScheduleError, match="times in a row"):
        previous_fire(zoned(NEVER_MEET, "UTC"), 0)


def test_an_intersection_with_what_has_ended_has_ended() -> None:
    spec = CombinedSpec("all", (CronSpec("0 * * * *", "UTC"), InstantsSpec((HOUR,), "UTC")), "UTC")
    assert [firing.at_us for firing in fires(spec, 0)] == [HOUR]


def test_what_keeps_to_dates_has_ended_behind_the_last_of_them() -> None:
    """It was said to fire never, or far too rarely to be told."""
    dates = DaysSpec(dates=("2026-12-24", "2026-12-31"))
    spec = CombinedSpec("all", (CronSpec("0 9,21 * * *", "Asia/Tokyo"), dates), "Asia/Tokyo")
    first, last = at("2026-12-24T00:00"), at("2026-12-31T12:00")
    assert between(spec, first - 1, last) == [first, first + 12 * HOUR, last - 12 * HOUR, last]
    assert next_fire(spec, last) is None
    assert previous_fire(spec, first) is None
    with pytest.raises(ScheduleError, match="fires never"):
        next_fire(CombinedSpec("all", (MINUTELY, DaysSpec()), "UTC"), 0)


def test_days_alone_are_no_schedule() -> None:
    with pytest.raises(ScheduleError, match="days by themselves"):
        next_fire(CombinedSpec("any", (WEEKENDS,), "UTC"), 0)


def test_holidays_are_those_that_the_package_knows() -> None:
    daily = CalendarSpec("daily", at_s=(9 * 3600,), timezone=ZURICH)
    spec = CombinedSpec("but", (daily, DaysSpec(holidays=(Holidays("CH", "ZH"),))), ZURICH)
    check(spec)
    shown = [to_datetime(ZURICH, each).day for each in between(spec, at("2027-03-24"), at("2027-03-31"))]
    assert shown == [24, 25, 27, 28, 30]  # Good Friday and Easter Monday are missing
    for wrong in (Holidays("XX"), Holidays("CH", "QQ")):
        with pytest.raises(ScheduleError, match="expected an ISO 3166 code"):
            check(CombinedSpec("but", (daily, DaysSpec(holidays=(wrong,))), ZURICH))


def test_zones_are_filled_in_wherever_they_are_missing() -> None:
    spec = CombinedSpec("any", (CronSpec("0 9 * * *"), CronSpec("0 9 * * *", timezone="Asia/Tokyo")))
    assert not is_zoned(spec)
    filled = zoned(spec, ZURICH)
    assert is_zoned(filled)
    assert filled.timezone == ZURICH
    assert isinstance(filled, CombinedSpec)
    assert [part.timezone for part in filled.parts if not isinstance(part, DaysSpec)] == [
        ZURICH,
        "Asia/Tokyo",
    ]


def test_cron_expressions_stay_cron_whatever_they_leave_out() -> None:
    instants = InstantsSpec((1,), "UTC")
    assert is_cron(CombinedSpec("but", (NIGHTLY, WEEKENDS, instants), ZURICH))
    assert is_cron(CombinedSpec("all", (NIGHTLY, WEEKENDS), ZURICH))
    assert not is_cron(CombinedSpec("any", (NIGHTLY, instants), ZURICH))
