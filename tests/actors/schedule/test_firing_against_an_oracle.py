"""Firings of random expressions in all zones, around gaps and folds and elsewhere, against an oracle."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from actors.clock.zones import YEAR_S, changes_around, names, offset_changes
from actors.schedule.errors import CronError
from actors.schedule.firing import fires, matches, next_fire, previous_fire, ready
from actors.schedule.missed import count_fires, missed
from actors.schedule.spec import DAYS_RULES, FOLD_RULES, GAP_RULES, CronSpec, Firing, ScheduleSpec
from tests.actors.schedule import oracle
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def a_window(rng: random.Random, zone: str, hours: int) -> tuple[datetime, datetime]:
    """Hours around a change of offset between 1970 and 2100, if the zone has one in the years drawn."""
    middle = 0
    for _ in range(8):
        year = rng.randint(0, 130)
        changes = changes_around(zone, year)
        middle = rng.choice(changes).at_s if changes else year * YEAR_S
        if changes or rng.random() < 0.1:
            break
    start = EPOCH + timedelta(seconds=middle - rng.randint(1, hours) * 3600 - rng.randint(0, 3599))
    return start, start + timedelta(hours=hours)


def between(spec: ScheduleSpec, window: tuple[datetime, datetime]) -> list[Firing]:
    found = []
    for firing in fires(spec, to_us(window[0]) - 1):
        if firing.at_us >= to_us(window[1]):
            break
        found.append(firing)
    return found


@dataclass(frozen=True)
class Case:
    """A schedule, its meaning, the rules that apply to it, and where to look."""

    seed: int
    spec: CronSpec
    meaning: oracle.Expression
    rules: tuple[str, str]
    window: tuple[datetime, datetime]
    rng: random.Random


def a_case(seed: int, *, hours: int, seconds: str = "") -> Case:
    rng = random.Random(seed)
    zone = rng.choice(names())
    window = a_window(rng, zone, hours)
    changes = offset_changes(zone, to_us(window[0]) // 1_000_000, to_us(window[1]) // 1_000_000)
    near_hour = (changes[0].at_s + changes[0].before_s) // 3600 % 24 if changes else 2
    while True:
        days = rng.choice(DAYS_RULES)
        made = oracle.expression(rng, days=days, near_hour=near_hour, seconds=seconds)
        gap, fold = rng.choice(GAP_RULES), rng.choice(FOLD_RULES)
        spec = CronSpec(
            made.text,
            timezone=zone,
            gap=gap,
            fold=fold,
            days=days,
            apply_to_intervals=rng.random() < 0.3,
            seconds="first" if seconds else "",
        )
        try:
            ready(spec)
        except CronError as error:
            assert "can never fire" in str(error), made.text  # noqa: PT017 - a valid one is made anew
            continue
        by_wall_clock = made.interval and not spec.apply_to_intervals
        return Case(seed, spec, made, ("skip", "both") if by_wall_clock else (gap, fold), window, rng)


@pytest.mark.parametrize("chunk", range(10))
def test_firings_are_those_that_a_look_at_every_minute_finds(chunk: int) -> None:
    count = max(1, scaled("oracle_cases", 250) // 10)
    for seed in range(chunk * count, (chunk + 1) * count):
        case = a_case(seed, hours=60)
        expected = oracle.expected_firings(case.meaning.names, case.spec.timezone, case.rules, case.window)
        assert between(case.spec, case.window) == expected, case
        check_backwards(case.spec, case.window, expected)
        check_counts(case, expected)


def test_firings_with_seconds_are_those_that_a_look_at_every_second_finds() -> None:
    for seed in range(scaled("oracle_second_cases", 10)):
        case = a_case(seed, hours=3, seconds="first")
        second = timedelta(seconds=1)
        expected = oracle.expected_firings(
            case.meaning.names, case.spec.timezone, case.rules, case.window, step=second
        )
        assert between(case.spec, case.window) == expected, case
        check_backwards(case.spec, case.window, expected)


def check_backwards(
    spec: CronSpec, window: tuple[datetime, datetime], expected: list[tuple[int, str]]
) -> None:
    found: list[Firing] = []
    firing = previous_fire(spec, to_us(window[1]))
    while firing is not None and firing.at_us >= to_us(window[0]) and len(found) <= len(expected):
        found.append(firing)
        firing = previous_fire(spec, firing.at_us)
    assert found[::-1] == expected, (spec, window)


def check_counts(case: Case, expected: list[tuple[int, str]]) -> None:
    spec, window, rng = case.spec, case.window, case.rng
    start, end = to_us(window[0]) - 1, to_us(window[1]) - 1
    assert count_fires(spec, start, end) == len(expected), (spec, window)
    limit = rng.randint(0, 5)
    kept, dropped = missed(spec, start, end, limit=limit)
    assert list(kept) == expected[max(0, len(expected) - limit) :], (spec, window)
    assert dropped == len(expected) - len(kept), (spec, window)
    at = {instant for instant, _ in expected}
    for instant, _ in rng.sample(expected, min(3, len(expected))):
        assert matches(spec, instant), (spec, instant)
        minute_later = instant + 60_000_000
        later = range(minute_later, minute_later + 60_000_000)
        if not any(each in later for each in at) and minute_later + 60_000_000 <= end:
            assert not matches(spec, minute_later), (spec, minute_later)


def test_the_cases_meet_every_rule() -> None:
    found = {
        firing.rule
        for seed in range(400)
        for case in [a_case(seed, hours=60)]
        for firing in between(case.spec, case.window)
    }
    assert found == {"", *(f"gap.{gap}" for gap in GAP_RULES[:2]), *(f"fold.{fold}" for fold in FOLD_RULES)}


@pytest.mark.parametrize("gap", GAP_RULES)
@pytest.mark.parametrize("fold", FOLD_RULES)
def test_each_zone_keeps_a_nightly_job_in_gap_and_fold(gap: str, fold: str) -> None:
    rng = random.Random(f"{gap} {fold}")
    every = scaled("oracle_zones", 12)
    for zone in rng.sample(names(), min(every, len(names()))):
        window = a_window(rng, zone, 30)
        hour, minute = rng.randint(0, 3), rng.choice([0, 15, 30, 59])
        spec = CronSpec(f"{minute} {hour} * * *", timezone=zone, gap=gap, fold=fold)  # type: ignore[arg-type]

        def named(wall: datetime, hour: int = hour, minute: int = minute) -> bool:
            return (wall.hour, wall.minute) == (hour, minute)

        assert between(spec, window) == oracle.expected_firings(named, zone, (gap, fold), window), (
            spec,
            window,
        )


def test_next_is_strictly_later_and_nothing_lies_between() -> None:
    for seed in range(scaled("oracle_order", 300)):
        case = a_case(seed, hours=60)
        spec = case.spec
        at = case.rng.randint(0, 4_000_000_000_000_000)
        found = next_fire(spec, at)
        if found is None:
            continue
        assert found.at_us > at
        assert previous_fire(spec, found.at_us + 1) == found
        assert next_fire(spec, found.at_us - 1) == found
        before = previous_fire(spec, found.at_us)
        assert before is None or before.at_us <= at, (spec, at)
        assert count_fires(spec, at, found.at_us) == 1
