"""CronExpression as users meet it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from actors.clock.errors import TimezoneError
from actors.clock.zones import zone
from actors.schedule.errors import CronError, CronWarning, ScheduleError
from actors.schedule.spec import CronSpec
from logistics.schedule.expression import CronExpression

BERLIN = zone("Europe/Berlin")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_snippet_of_the_specification_is_daily_at_midnight() -> None:
    expression = CronExpression("0 0 * * *")
    assert expression.next_run(NEW_YEAR) == datetime(2026, 1, 2, tzinfo=UTC)
    assert expression.timezone is None
    assert str(expression) == "0 0 * * *"


def test_runs_are_aware_datetimes_in_the_zone_of_the_expression() -> None:
    expression = CronExpression("30 2 * * *", timezone="Europe/Berlin")
    run = expression.next_run(NEW_YEAR)
    assert run is not None
    assert run.isoformat() == "2026-01-01T02:30:00+01:00"
    assert str(run.tzinfo) == "Europe/Berlin"
    assert expression.previous_run(NEW_YEAR) == datetime(2025, 12, 31, 1, 30, tzinfo=UTC)
    assert expression.next_runs(3, NEW_YEAR) == [run, run + timedelta(days=1), run + timedelta(days=2)]


def test_after_may_be_in_any_zone_and_its_fold_is_honoured() -> None:
    expression = CronExpression("30 2 * * *", timezone="Europe/Berlin", fold="both")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
    second = expression.next_run(first)
    assert second is not None
    assert second.fold == 1
    assert second.utcoffset() == timedelta(hours=1)
    following = expression.next_run(first.replace(fold=1))
    assert following == datetime(2026, 10, 26, 2, 30, tzinfo=BERLIN)
    assert expression.next_run(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == datetime(
        2026, 1, 1, 2, 30, tzinfo=BERLIN
    )


def test_without_a_moment_it_is_now() -> None:
    expression = CronExpression("* * * * *")
    earlier, run, later = datetime.now(UTC), expression.next_run(), datetime.now(UTC)
    assert run is not None
    assert earlier < run <= later + timedelta(minutes=1)
    before = expression.previous_run()
    assert before is not None
    assert run - before in (timedelta(minutes=1), timedelta(minutes=2))
    assert len(expression.next_runs(3)) == 3


def test_matches_takes_any_moment_of_the_minute() -> None:
    expression = CronExpression("30 2 * * *", timezone="Europe/Berlin")
    assert expression.matches(datetime(2026, 1, 1, 1, 30, 59, tzinfo=UTC))
    assert not expression.matches(datetime(2026, 1, 1, 2, 30, tzinfo=UTC))


@pytest.mark.parametrize("ask", ["next_run", "previous_run", "matches"])
def test_naive_datetimes_are_refused_with_advice(ask: str) -> None:
    with pytest.raises(TimezoneError, match="must be aware, got the naive"):
        getattr(CronExpression("* * * * *"), ask)(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(TimezoneError, match="got str"):
        getattr(CronExpression("* * * * *"), ask)("2026-01-01")


@pytest.mark.parametrize("n", [-1, 1.5, "3", True, 10**9])
def test_the_number_of_runs_is_a_whole_number_within_reason(n: object) -> None:
    with pytest.raises(ScheduleError, match="n must be a whole number"):
        CronExpression("* * * * *").next_runs(n, NEW_YEAR)  # type: ignore[arg-type]


def test_there_may_be_fewer_runs_than_asked_for_and_none_at_all() -> None:
    expression = CronExpression("0 0 1 1 *")
    assert len(expression.next_runs(5, datetime(9997, 6, 1, tzinfo=UTC))) == 2
    assert expression.next_run(datetime(9999, 6, 1, tzinfo=UTC)) is None
    assert expression.previous_run(datetime(1, 1, 1, 12, tzinfo=UTC)) is None
    assert expression.next_runs(0, NEW_YEAR) == []


def test_parse_is_the_constructor() -> None:
    options = {"timezone": "Asia/Tokyo", "gap": "skip", "fold": "both", "days": "or", "seconds": "first"}
    made = CronExpression("0 H 3 * * *", hash_name="backup", apply_to_intervals=True, **options)  # type: ignore[arg-type]
    assert CronExpression.parse("0 H 3 * * *", hash_name="backup", apply_to_intervals=True, **options) == made  # type: ignore[arg-type]


def test_expressions_are_equal_and_hashed_by_what_they_say() -> None:
    same = CronExpression("0  3\t* * *")
    assert same == CronExpression("0 3 * * *")
    assert hash(same) == hash(CronExpression("0 3 * * *"))
    assert same != CronExpression("0 3 * * *", timezone="UTC")
    assert same != "0 3 * * *"
    assert len({same, CronExpression("0 3 * * *"), CronExpression("0 4 * * *")}) == 2


def test_its_repr_makes_it_again() -> None:
    for made in (
        CronExpression("0 3 * * *"),
        CronExpression("0 3 * * mon", timezone="Europe/Berlin", gap="skip", days="and"),
        CronExpression("5 0 3 * * *", seconds="first", hash_name="x", apply_to_intervals=True),
    ):
        assert eval(repr(made), {"CronExpression": CronExpression}) == made
    assert repr(CronExpression("0 3 * * *", fold="both")) == "CronExpression('0 3 * * *', fold='both')"


def test_the_engine_gives_it_a_zone_only_when_it_has_none() -> None:
    assert CronExpression("0 3 * * *").spec == CronSpec("0 3 * * *")
    assert CronExpression("0 3 * * *").spec_for("Asia/Tokyo") == CronSpec("0 3 * * *", timezone="Asia/Tokyo")
    named = CronExpression("0 3 * * *", timezone="Europe/Berlin")
    assert named.spec_for("Asia/Tokyo") == named.spec


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gap": "ignore"}, "gap must be one of shift_forward, preserve_offset, skip, got 'ignore'"),
        ({"fold": "third"}, "fold must be one of first, second, both, got 'third'"),
        ({"days": "xor"}, "days must be one of"),
        ({"seconds": "last"}, "seconds must be 'first'"),
        ({"timezone": "Europe/Berln"}, "did you mean Europe/Berlin"),
        ({"timezone": "../UTC"}, "timezone must be a name"),
        ({"timezone": ""}, "timezone must be a name"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CronExpression("* * * * *", **options)  # type: ignore[arg-type]


def test_an_invalid_text_is_a_cron_error_and_a_value_error() -> None:
    with pytest.raises(CronError, match="minute field: '61' is out of range 0-59"):
        CronExpression("61 * * * *")
    with pytest.raises(ValueError, match="can never fire"):
        CronExpression("0 0 30 2 *")


def test_a_part_that_can_never_match_is_a_warning() -> None:
    with pytest.warns(CronWarning, match="only its weekday field can match") as caught:
        expression = CronExpression("0 0 31 2 0")
    assert caught[0].filename == __file__
    assert expression.next_run(NEW_YEAR) == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("30 2 * * mon-fri", "At 02:30, Monday through Friday"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("@daily", "At 00:00"),
        ("0 9 L * *", "At 09:00, on the last day of the month"),
        ("0 9 1,15 * *", "At 09:00, on day 1 and 15 of the month"),
        ("0 9 13 * 5", "At 09:00, on day 13 of the month, or on Friday"),
        ("0 9 13 * 1-5", "At 09:00, on day 13 of the month, or Monday through Friday"),
        ("0 9 */2 * 1", "At 09:00, every 2 days, but only if that is Monday"),
        (
            "0 9 1,15W 3 *",
            "At 09:00, on day 1 of the month or on the weekday nearest day 15 of the month, only in March",
        ),
        ("0 9 L-2W * *", "At 09:00, on the weekday nearest to 2 days before the last day of the month"),
        ("0 9 L-0 * *", "At 09:00, on the last day of the month"),
        ("0 9 * * fri,mon#1", "At 09:00, on Friday or on the first Monday of the month"),
        ("5-5 ? * * *", "At 5 minutes past the hour"),
    ],
)
def test_an_expression_can_be_said_in_words(text: str, words: str) -> None:
    assert CronExpression(text).describe() == words


def test_the_words_follow_the_rule_about_days_and_the_seconds() -> None:
    assert CronExpression("0 9 13 * 5", days="and").describe() == (
        "At 09:00, on day 13 of the month, but only if that is Friday"
    )
    assert CronExpression("0 9 */2 * 5", days="or").describe() == "At 09:00, every 2 days, or on Friday"
    assert CronExpression("30 0 9 * * *", seconds="first").describe() == "At 09:00:30"


def test_what_cannot_be_said_in_words_is_refused() -> None:
    with pytest.raises(CronError, match="cannot be said in words"):
        CronExpression("H * * * *", hash_name="a").describe()
