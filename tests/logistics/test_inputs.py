"""What users give: each check takes it as it should be, or says what was expected and what was got."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics import Job, OrchestrationEngine, Queue, ScheduleManager
from logistics.errors import InputError, LogisticsError
from logistics.inputs import (
    MAX_DURATION_S,
    as_datetime,
    check_id,
    check_int,
    check_name,
    check_positive,
    check_text,
    duration_us,
    instant_us,
    timeout_s,
)
from tests.logistics.audit import functions

CONTROL = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0))]


def refused(error: str) -> Any:
    return pytest.raises(InputError, match=error)


def test_bad_input_is_a_value_error_and_one_of_ours() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(InputError, LogisticsError)


# -- names and ids ---------------------------------------------------------------------------------------

ODD = ["a", "ä", "名", "a b", "../up", "a/b", "x" * 200, "\u202ertl", "🙂", "-", ".", "a@b", "%s", "'"]
WRONG = ["", " ", "   ", "\u3000", "x" * 201, "a\nb", "a\x00b", "\x7f", "\x85", "\ud800", "\t", "@", "@steps"]


@pytest.mark.parametrize("name", ODD)
def test_a_name_may_be_almost_any_text(name: str) -> None:
    assert check_name("queue", name) == name


@pytest.mark.parametrize("name", [*WRONG, None, 7, b"name", True, ["name"]])
def test_other_names_are_refused(name: object) -> None:
    with refused("^queue: (expected|names that begin)"):
        check_name("queue", name)


def test_the_error_says_what_was_expected_and_what_was_got() -> None:
    with refused("^queue: expected a name, got 7$"):
        check_name("queue", 7)
    with refused(r"^queue: expected 1 to 200 characters, none of them control characters, got 'a\\nb'$"):
        check_name("queue", "a\nb")
    with refused("^queue: names that begin with '@' are the engine's own, got '@steps'$"):
        check_name("queue", "@steps")
    with refused(r"^queue: expected 1 to 200 characters.*, got 'x{56}…$"):
        check_name("queue", "x" * 1_000_000)


@given(st.text(max_size=210))
def test_whatever_passes_as_a_name_can_be_stored_and_shown_on_a_line(text: str) -> None:
    try:
        name = check_name("name", text)
    except InputError:
        bad = not 1 <= len(text) <= 200 or text.startswith("@") or not text.strip()
        assert bad or any(each in text for each in CONTROL)
        return
    assert name.encode().decode() == text
    assert not any(each in name for each in CONTROL)
    assert 1 <= len(name) <= 200


@pytest.mark.parametrize("value", ["a", "A.b_c:d-9", "0", "..", "-", "x" * 200])
def test_an_id_is_made_of_a_few_characters(value: str) -> None:
    assert check_id("job_id", value) == value


@pytest.mark.parametrize("value", [*WRONG, "a b", "a/b", "../up", "ä", "a\n", "٣", "a@b", None, 7, b"a"])
def test_other_ids_are_refused(value: object) -> None:
    with refused("^job_id: expected 1 to 200 of the characters A-Z a-z 0-9 . _ : -, got "):
        check_id("job_id", value)


@given(st.text(max_size=210))
def test_an_id_is_what_its_rule_says(text: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-")
    try:
        check_id("id", text)
    except InputError:
        assert not 1 <= len(text) <= 200 or not set(text) <= allowed
    else:
        assert 1 <= len(text) <= 200
        assert set(text) <= allowed


def test_a_text_for_people_may_have_lines_and_be_empty() -> None:
    for text in ("", "two\nlines", "x" * 10_000):
        assert check_text("description", text) == text
    for wrong in (None, 7, "x" * 10_001, "\x00", "\ud800"):
        with refused("^description: expected a text of at most 10000 characters, got "):
            check_text("description", wrong)


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("mute")


@pytest.mark.parametrize(("value", "shown"), [(Mute(), "Mute"), (10**5_000, "int")], ids=["mute", "long"])
def test_what_cannot_be_shown_is_named_by_its_type(value: object, shown: str) -> None:
    with refused(f"got an object of type {shown}$"):
        check_id("job_id", value)
    with refused(f"got an object of type {shown}$"):
        check_int("priority", value, least=0, most=10)


# -- numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, -1, 11, math.nan, 10**400])
def test_a_whole_number_is_within_bounds_and_no_truth_value(value: object) -> None:
    with refused("^priority: expected a whole number from 0 to 10, got "):
        check_int("priority", value, least=0, most=10)


def test_bounds_belong_to_the_range() -> None:
    assert [check_int("n", value, least=0, most=10) for value in (0, 10)] == [0, 10]


@pytest.mark.parametrize("value", [0, -1, 0.0, -0.0, math.nan, math.inf, -math.inf, True, "1", None, 10**400])
def test_an_amount_is_finite_and_above_zero(value: object) -> None:
    with refused("^amount: expected a number above 0, got "):
        check_positive("amount", value)


def test_an_amount_is_a_float() -> None:
    assert check_positive("amount", 2) == 2.0
    assert isinstance(check_positive("amount", 2), float)


# -- durations and instants --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "us"),
    [(0, 0), (1, 1_000_000), (0.000001, 1), (1.5, 1_500_000), (timedelta(minutes=1), 60_000_000)],
)
def test_a_duration_is_seconds_or_a_timedelta(value: Any, us: int) -> None:
    assert duration_us("timeout", value) == us


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, [1], b"1"])
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with refused("^timeout: expected seconds or a timedelta, got "):
        duration_us("timeout", value)


@pytest.mark.parametrize("value", [-1, -0.000001, timedelta(seconds=-1), MAX_DURATION_S + 1, 1e300, 10**400])
def test_a_duration_is_neither_negative_nor_longer_than_a_century(value: Any) -> None:
    with refused("^timeout: expected 0 to 3162240000 seconds, got "):
        duration_us("timeout", value)


def test_no_timeout_waits_for_ever() -> None:
    assert timeout_s("timeout", None) is None
    assert timeout_s("timeout", timedelta(milliseconds=5)) == 0.005


@given(
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5.5)), ZoneInfo("Europe/Zurich")]))
)
def test_an_instant_comes_back_as_it_was(moment: datetime) -> None:
    assert as_datetime(instant_us("when", moment)) == moment.astimezone(UTC)


def test_a_naive_datetime_is_refused_with_advice() -> None:
    with refused(
        "^when: .* has no zone, so which instant is meant would be a guess; give it one, as in "
    ) as caught:
        instant_us("when", datetime(2026, 1, 1))  # noqa: DTZ001 -- what is refused
    assert "TimezoneManager('Europe/Zurich').localize(…)" in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, "2026-01-01", datetime(2026, 1, 1, tzinfo=UTC).date()])
def test_an_instant_is_a_datetime(value: object) -> None:
    with refused("^when: expected an aware datetime, got "):
        instant_us("when", value)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_an_instant_that_utc_has_no_date_for_is_refused_and_goes_nowhere(moment: datetime) -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue(engine=engine)
        ScheduleManager(engine=engine).schedule_cron(
            "daily", "0 0 * * *", functions.one, timezone="Pacific/Kiritimati"
        )
        for ask in (
            lambda: queue.schedule(Job("late", functions.one), moment),
            lambda: engine.as_of(moment),
            lambda: engine.as_of().rehearse(moment),
            lambda: engine.why("schedule:daily", at=moment),
            lambda: engine.why("schedule:daily", at=moment.isoformat()),
        ):
            with pytest.raises(InputError, match="in the years 1 to 9999 in UTC"):
                ask()
        with pytest.raises(InputError, match="in the years 1 to 9999 of Pacific"):
            engine.why("schedule:daily", at=datetime.max.replace(tzinfo=UTC))
        assert queue.size() == 0
