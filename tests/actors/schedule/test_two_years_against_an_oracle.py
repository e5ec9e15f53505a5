"""Random expressions in many zones over two years, under each rule, against a table of every minute.

`LOGISTICS_TEST_YEAR_ZONES=600 LOGISTICS_TEST_YEAR_WALK=1000000` looks at all zones, and walks all there is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import pytest

from actors.clock.zones import names
from actors.schedule.errors import CronError
from actors.schedule.firing import fires, matches, next_fire, previous_fire, ready
from actors.schedule.missed import count_fires
from actors.schedule.spec import DAYS_RULES, FOLD_RULES, GAP_RULES, CronSpec, PatternSpec
from tests.actors.schedule import oracle
from tests.actors.schedule.two_years import Firings, Wanted, Years, changes, expected
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

MINUTE_US = 60_000_000
EXPRESSIONS = scaled("year_expressions", 300)
ZONES = scaled("year_zones", 20)
WALK = scaled("year_walk", 300)
"""Walk through all firings of two years if there are at most so many; else through those around changes."""
NEAR = 5 * 60
"""Minutes before and after a change of clocks that are looked at under each rule."""
NEARER = 80
"""The same for what fires often: an hour that is lost or comes again, and some minutes more."""
OFTEN = 60
PROBES = 6


@dataclass(frozen=True)
class Asked:
    """An expression with its meaning and the rules that are no part of its text."""

    meaning: oracle.Expression
    days: str
    apply_to_intervals: bool

    def spec(self, zone: str, rules: tuple[str, str]) -> CronSpec:
        gap, fold = rules
        return CronSpec(
            self.meaning.text,
            zone,
            gap,  # type: ignore[arg-type]
            fold,  # type: ignore[arg-type]
            self.apply_to_intervals,
            self.days,  # type: ignore[arg-type]
        )

    def effective(self, rules: tuple[str, str]) -> tuple[str, str]:
        return ("skip", "both") if self.meaning.interval and not self.apply_to_intervals else rules


@lru_cache(maxsize=1)
def asked() -> tuple[Asked, ...]:
    found = []
    for seed in range(EXPRESSIONS):
        rng = random.Random(f"two years {seed}")
        while True:
            days = rng.choice(DAYS_RULES)
            near_hour = rng.choice((0, 1, 2, 2, 3))
            one = Asked(oracle.expression(rng, days=days, near_hour=near_hour), days, rng.random() < 0.3)
            try:
                ready(one.spec("UTC", ("skip", "both")))
            except CronError as error:
                assert "can never fire" in str(error), one  # noqa: PT017 - a valid one is made anew
            else:
                break
        found.append(one)
    return tuple(found)


def rules_for(number: int) -> list[tuple[str, str]]:
    """Three pairs that hold each rule once: gaps and folds are months apart, so more show nothing more."""
    turn = number % len(FOLD_RULES)
    return list(zip(GAP_RULES, (*FOLD_RULES[turn:], *FOLD_RULES[:turn]), strict=True))


def zones_and_years() -> list[tuple[str, Years]]:
    """Zones by chance, four of five with clocks that change in the years; a few years, shared by the zones."""
    rng = random.Random("zones")
    some = [Years(first) for first in (1974, 1996, 2027, 2096)]
    pool = rng.sample(names(), len(names()))
    found: list[tuple[str, Years]] = []
    quiet = 0
    for number, zone in enumerate(pool):
        years = next((each for each in (some[number % 4], *some) if changes(zone, each)), None)
        quiet += years is None
        if years is not None or quiet <= ZONES // 5 or len(pool) <= ZONES:
            found.append((zone, years or some[number % 4]))
        if len(found) == ZONES:
            break
    return found


@lru_cache(maxsize=2048)
def wanted(number: int, years: Years) -> Wanted:
    return Wanted(asked()[number].meaning, years)


def walked(spec: PatternSpec, start: int, end: int) -> list[tuple[int, str]]:
    found = []
    for firing in fires(spec, start * MINUTE_US - 1):
        if firing.at_us >= end * MINUTE_US:
            break
        assert firing.at_us % MINUTE_US == 0
        found.append((firing.at_us // MINUTE_US, firing.rule))
    return found


def check_all(spec: PatternSpec, firings: Firings, years: Years) -> None:
    """Every firing, or where there are too many their number and what is found from a few instants."""
    start, end = years.start, years.end
    total = firings.count(start, end)
    assert count_fires(spec, start * MINUTE_US - 1, end * MINUTE_US - 1) == total, spec
    if total <= WALK:
        assert walked(spec, start, end) == list(firings.among(start, end)), spec
    rng = random.Random(f"{spec}")
    for _ in range(PROBES):
        at = rng.randrange(start, end)
        check_at(spec, firings, at, years)


def check_at(spec: PatternSpec, firings: Firings, at: int, years: Years) -> None:
    """What is next and what was before, strictly, and whether the minute matches."""
    at_us = at * MINUTE_US
    later = next(firings.among(at + 1, years.end), None)
    found = next_fire(spec, at_us)
    if later is not None:
        assert found is not None, (spec, at)
        assert (found.at_us // MINUTE_US, found.rule) == later, (spec, at)
        assert previous_fire(spec, found.at_us + 1) == found, (spec, at)
    else:
        assert found is None or found.at_us >= years.end * MINUTE_US, (spec, at)
    place = firings.minutes.rfind(1, years.start - firings.first, at - firings.first)
    before = previous_fire(spec, at_us)
    if place >= 0:
        assert before is not None, (spec, at)
        assert before.at_us == (place + firings.first) * MINUTE_US, (spec, at)
    else:
        assert before is None or before.at_us < years.start * MINUTE_US, (spec, at)
    assert matches(spec, at_us) == bool(firings.count(at, at + 1)), (spec, at)


def check_near(spec: PatternSpec, firings: Firings, change: int, years: Years) -> None:
    near = NEAR if firings.count(change - NEAR, change + NEAR) <= OFTEN else NEARER
    start, end = max(years.start, change - near), min(years.end, change + near)
    told = list(firings.among(start, end))
    assert walked(spec, start, end) == told, spec
    assert count_fires(spec, start * MINUTE_US - 1, end * MINUTE_US - 1) == len(told), spec


@pytest.mark.parametrize(("zone", "years"), zones_and_years(), ids=str)
def test_two_years_fire_as_a_look_at_every_minute_says(zone: str, years: Years) -> None:
    leaps = changes(zone, years)
    for number, one in enumerate(asked()):
        table = wanted(number, years).table()
        for turn, rules in enumerate(rules_for(number)):
            firings = expected(table, zone, years, one.effective(rules))
            spec = one.spec(zone, rules)
            if turn == number % 3:
                check_all(spec, firings, years)
            for change in leaps:
                check_near(spec, firings, change, years)


def test_the_zones_asked_change_their_clocks_and_all_rules_are_met() -> None:
    chosen = zones_and_years()
    assert len(chosen) == min(ZONES, len(names()))
    assert sum(bool(changes(*each)) for each in chosen) >= min(len(chosen) * 2 // 3, 100)
    met = {rules for number in range(3) for rules in rules_for(number)}
    assert len(met) == len(GAP_RULES) * len(FOLD_RULES)


def test_the_oracle_tells_every_rule_from_every_other() -> None:
    years, zone = Years(2026), "Europe/Zurich"
    night = oracle.Expression(
        "30 2 * * *",
        lambda _: True,
        lambda minute: minute == 30,
        lambda hour: hour == 2,
        lambda _: True,
        False,
    )
    pairs = [(gap, fold) for gap in GAP_RULES for fold in FOLD_RULES]
    for rules in pairs:
        firings = expected(Wanted(night, years).table(), zone, years, rules)
        told = list(firings.among(years.start, years.end))
        same = [
            other
            for other in pairs
            if walked(CronSpec(night.text, zone, *other), years.start, years.end) == told
        ]
        assert same == [rules]
