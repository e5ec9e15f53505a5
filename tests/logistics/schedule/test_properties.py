"""What holds for every schedule and every moment, whatever the expression, the zone and the rules."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actors.clock.zones import names
from actors.clock.zones import zone as zone_named
from actors.schedule.combined import MOST_CANDIDATES
from actors.schedule.cron import CronDays
from actors.schedule.pattern import SEARCH_MONTHS, Pattern
from actors.schedule.spec import DAYS_RULES, FOLD_RULES, GAP_RULES
from logistics import CronError, CronExpression, RecurringSchedule, ScheduleError
from logistics.schedule.occurrences import Occurrences
from tests.support.scale import scaled

pytestmark = [
    pytest.mark.filterwarnings("ignore::logistics.schedule.expression.CronWarning"),
    pytest.mark.no_cover,
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_S = 86_400
MICROSECOND = timedelta(microseconds=1)
MOST = scaled("properties", 150)
SPANS = 12
"""How often a call looks for the next wall time of a pattern, at most: between two changes of clocks once."""


def numbers(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    """A field of cron: lists of numbers, ranges and steps."""
    number = st.integers(low, high)
    item = st.one_of(
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(number, number, st.integers(1, high - low + 1)).map(
            lambda each: f"{each[0]}-{each[1]}/{each[2]}"
        ),
        *(st.just(each) for each in more),
    )
    lists = st.lists(item, min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), st.integers(1, high - low + 1).map(lambda step: f"*/{step}"), lists)


MONTH_DAYS = numbers(1, 31, "L", "L-2", "LW", "15W", "31W")
WEEKDAYS = numbers(0, 6, "mon#1", "friL", "7", "sat-tue")
zones = st.sampled_from(names())
rules = st.fixed_dictionaries({"gap": st.sampled_from(GAP_RULES), "fold": st.sampled_from(FOLD_RULES)})
moments = st.integers(-10_000 * DAY_S, 49_000 * DAY_S).map(lambda second: EPOCH + timedelta(seconds=second))
"""From 1942 to 2104."""


@st.composite
def expressions(draw: st.DrawFn) -> CronExpression:
    """A cron expression with options, in any zone."""
    by_the_second = draw(st.booleans())
    fields = [numbers(0, 59)] * (1 + by_the_second) + [numbers(0, 23), MONTH_DAYS, numbers(1, 12), WEEKDAYS]
    text = " ".join(draw(field) for field in fields)
    options: dict[str, Any] = draw(rules)
    try:
        return CronExpression(
            text,
            timezone=draw(zones),
            seconds="first" if by_the_second else None,
            days=draw(st.sampled_from(DAYS_RULES)),
            apply_to_intervals=draw(st.booleans()),
            **options,
        )
    except CronError as error:
        assert "can never fire" in str(error)  # noqa: PT017 - both days were asked for, and never meet
        assume(False)
        raise


@st.composite
def recurring(draw: st.DrawFn) -> RecurringSchedule:
    """A recurring schedule of any kind, in any zone."""
    options: dict[str, Any] = {"timezone": draw(zones), **draw(rules)}
    at = draw(st.times().map(lambda time: f"{time:%H:%M:%S}"))
    kind = draw(st.sampled_from(("every", "daily", "weekly", "monthly", "yearly")))
    if kind == "every":
        return RecurringSchedule.every(minutes=draw(st.integers(1, 1440)), **options)
    if kind == "daily":
        return RecurringSchedule.daily(
            at=at, every_n=draw(st.integers(1, 9)), starting="2027-01-01", **options
        )
    if kind == "weekly":
        return RecurringSchedule.weekly(on=draw(st.integers(0, 6)), at=at, **options)
    day = draw(st.sampled_from((*range(1, 32), "last")))
    if kind == "monthly":
        return RecurringSchedule.monthly(day=day, at=at, **options)
    return RecurringSchedule.yearly(month=draw(st.integers(1, 12)), day=day, at=at, **options)


@st.composite
def combined(draw: st.DrawFn) -> Occurrences[Any]:
    """Two schedules, united."""
    return draw(expressions()) | draw(recurring())


schedules = st.one_of(expressions(), recurring(), combined())


@settings(max_examples=MOST, deadline=None)
@given(schedule=schedules, moment=moments)
def test_the_next_run_is_later_the_least_and_one_of_those_that_match(
    schedule: Occurrences[Any], moment: datetime
) -> None:
    run = schedule.next_run(moment)
    if run is None:
        return
    assert run > moment
    assert schedule.matches(run)
    before = schedule.previous_run(run)
    assert before is None or before <= moment, "nothing lies between"
    assert schedule.next_run(run - MICROSECOND) == run


@settings(max_examples=MOST, deadline=None)
@given(schedule=schedules, moment=moments)
def test_the_previous_run_inverts_the_next(schedule: Occurrences[Any], moment: datetime) -> None:
    runs = schedule.next_runs(4, moment)
    assert runs == sorted(set(runs))
    back, place = [], runs[-1] + MICROSECOND if runs else moment
    for _ in runs:
        found = schedule.previous_run(place)
        assert found is not None
        back.append(found)
        place = found
    assert back[::-1] == runs
    before = schedule.previous_run(moment)
    if before is not None:
        assert before < moment
        after = schedule.next_run(before)
        assert after is None or after >= moment


@settings(max_examples=MOST, deadline=None)
@given(schedule=schedules, moment=moments, zone=zones)
def test_the_zone_in_which_a_moment_is_given_changes_nothing(
    schedule: Occurrences[Any], moment: datetime, zone: str
) -> None:
    elsewhere = moment.astimezone(zone_named(zone))
    assert schedule.next_run(elsewhere) == schedule.next_run(moment)
    assert schedule.previous_run(elsewhere) == schedule.previous_run(moment)
    assert schedule.matches(elsewhere) == schedule.matches(moment)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What calls do: spans of wall time searched, months looked at."""
    counts: Counter[str] = Counter()

    def count(owner: type[Any], method: str, name: str) -> None:
        before = getattr(owner, method)

        def counted(*args: Any) -> Any:
            counts[name] += 1
            return before(*args)

        monkeypatch.setattr(owner, method, counted)

    count(Pattern, "next_wall", "spans")
    count(Pattern, "previous_wall", "spans")
    count(CronDays, "mask", "months")
    return counts


def test_no_call_takes_more_steps_than_it_may(steps: Counter[str]) -> None:
    """A bound in steps, which no busy host changes: at most so many spans of 480 months. 29 February is the worst."""
    worst: Counter[str] = Counter()
    texts = (
        "0 0 29 2 *",
        "0 0 29 2 5",
        "30 2 29 2 mon#5",
        "0 0 31 * 1#1",
        "59 23 31 12 7",
        "* * * * *",
        "30 2 * * *",
    )
    for text in texts:
        for zone in names()[::7]:
            for days in DAYS_RULES:
                try:
                    expression = CronExpression(text, timezone=zone, days=days)
                except CronError:
                    continue
                for year in (1901, 1972, 2026, 2099):
                    for ask in (expression.next_run, expression.previous_run):
                        steps.clear()
                        ask(datetime(year, 3, 28, 1, 30, tzinfo=UTC))
                        worst |= steps
    assert worst["spans"] <= SPANS
    assert worst["months"] <= SPANS * (SEARCH_MONTHS + 1)
    assert worst["months"] > 100


def test_parts_that_never_meet_end_a_call_after_a_bounded_search(steps: Counter[str]) -> None:
    never = CronExpression("0 * * * *") & CronExpression("30 * * * *")
    with pytest.raises(ScheduleError, match="fires never"):
        never.next_run(datetime(2027, 1, 1, tzinfo=UTC))
    assert steps["spans"] <= 3 * MOST_CANDIDATES
