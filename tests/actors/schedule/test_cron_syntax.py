"""What may be written as a cron expression, what it means, and what is said about all the rest."""

from __future__ import annotations

import pytest

from actors.schedule.cron_syntax import ALIASES, CronFields, normal_text, parsed
from actors.schedule.errors import CronError
from actors.schedule.firing import check
from actors.schedule.spec import CronSpec
from eventstore.errors import LogisticsError

ALL_MINUTES = set(range(60))
ALL_HOURS = set(range(24))
ALL_DAYS = set(range(1, 32))
ALL_MONTHS = set(range(1, 13))
ALL_WEEKDAYS = set(range(7))

FIELDS = [
    # field, token, values
    ("minute", "*", ALL_MINUTES),
    ("minute", "?", ALL_MINUTES),
    ("minute", "*/1", ALL_MINUTES),
    ("minute", "*/15", {0, 15, 30, 45}),
    ("minute", "?/30", {0, 30}),
    ("minute", "*/60", {0}),
    ("minute", "5-5", {5}),
    ("minute", "1-1", {1}),
    ("minute", "5-5/3", {5}),
    ("minute", "10/15", {10, 25, 40, 55}),
    ("minute", "59/15", {59}),
    ("minute", "0,30,30", {0, 30}),
    ("minute", "05", {5}),
    ("minute", "0007", {7}),
    ("minute", "50-10/5", {50, 55, 0, 5, 10}),
    ("minute", "55-5/7", {55, 2}),
    ("minute", "1-10/3,*/30", {1, 4, 7, 10, 0, 30}),
    ("hour", "22-3", {22, 23, 0, 1, 2, 3}),
    ("hour", "23-3/2", {23, 1, 3}),
    ("hour", "20-4/3", {20, 23, 2}),
    ("hour", "9-17", set(range(9, 18))),
    ("hour", "9-17/4", {9, 13, 17}),
    ("hour", "*/5", {0, 5, 10, 15, 20}),
    ("day", "1-1", {1}),
    ("day", "30-2", {30, 31, 1, 2}),
    ("day", "28-5/3", {28, 31, 3}),
    ("day", "*/10", {1, 11, 21, 31}),
    ("day", "15/8", {15, 23, 31}),
    ("month", "jan,MAR,December", {1, 3, 12}),
    ("month", "nov-feb", {11, 12, 1, 2}),
    ("month", "oct-apr/2", {10, 12, 2, 4}),
    ("month", "may/3", {5, 8, 11}),
    ("month", "DEC/3", {12}),
    ("month", "Jan-Jan", {1}),
    ("weekday", "0", {0}),
    ("weekday", "7", {0}),
    ("weekday", "0,7", {0}),
    ("weekday", "7-7", {0}),
    ("weekday", "0-7", ALL_WEEKDAYS),
    ("weekday", "1-7", ALL_WEEKDAYS),
    ("weekday", "5-7", {5, 6, 0}),
    ("weekday", "7-2", {0, 1, 2}),
    ("weekday", "7-2/2", {0, 2}),
    ("weekday", "1-7/2", {1, 3, 5, 0}),
    ("weekday", "sat-tue", {6, 0, 1, 2}),
    ("weekday", "sat-tue/2", {6, 1}),
    ("weekday", "mon-sun", ALL_WEEKDAYS),
    ("weekday", "Sun-Sun", {0}),
    ("weekday", "sun-sat", ALL_WEEKDAYS),
    ("weekday", "Friday", {5}),
    ("weekday", "MON-fri", {1, 2, 3, 4, 5}),
    ("weekday", "2/2", {2, 4, 6}),
    ("weekday", "7/2", {0}),
]


def values_of(fields: CronFields, field: str) -> set[int]:
    found = {
        "minute": fields.minutes,
        "hour": fields.hours,
        "day": fields.days.month_days,
        "month": fields.days.months,
        "weekday": fields.days.weekdays,
    }
    return set(found[field])


@pytest.mark.parametrize(("field", "token", "values"), FIELDS)
def test_a_field_names_these_values_and_the_others_all_of_theirs(
    field: str, token: str, values: set[int]
) -> None:
    names = ["minute", "hour", "day", "month", "weekday"]
    text = " ".join(token if name == field else "*" for name in names)
    full = dict(zip(names, [ALL_MINUTES, ALL_HOURS, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS], strict=True)) | {
        field: values
    }
    fields = parsed(text)
    assert {name: values_of(fields, name) for name in names} == full
    assert fields.seconds == {0}


@pytest.mark.parametrize(
    ("token", "field", "values"),
    [
        ("L", "before_last", {0}),
        ("l-3", "before_last", {3}),
        ("L-0", "before_last", {0}),
        ("LW", "weekday_before_last", {0}),
        ("lw", "weekday_before_last", {0}),
        ("L-2W", "weekday_before_last", {2}),
        ("15W", "nearest", {15}),
        ("1w,31W", "nearest", {1, 31}),
        ("3,L,15W", "month_days", {3}),
    ],
)
def test_last_days_and_nearest_weekdays_may_stand_in_a_list(token: str, field: str, values: set[int]) -> None:
    days = parsed(f"0 0 {token} * *").days
    assert getattr(days, field) == values


@pytest.mark.parametrize(
    ("token", "nth", "last"),
    [
        ("mon#1", {(1, 1)}, set()),
        ("7#5", {(0, 5)}, set()),
        ("Friday#2,TUE#3", {(5, 2), (2, 3)}, set()),
        ("5L", set(), {5}),
        ("L5", set(), {5}),
        ("friL", set(), {5}),
        ("LFriday", set(), {5}),
        ("7l", set(), {0}),
        ("1#1,5L", {(1, 1)}, {5}),
    ],
)
def test_nth_and_last_weekdays_may_stand_in_a_list(
    token: str, nth: set[tuple[int, int]], last: set[int]
) -> None:
    days = parsed(f"0 0 * * {token}").days
    assert [set(days.nth), set(days.last), set(days.weekdays)] == [nth, last, set()]


@pytest.mark.parametrize(
    ("text", "days", "either"),
    [
        ("0 0 1 * 1", "vixie", True),
        ("0 0 1-31 * 1", "vixie", True),
        ("0 0 */2 * 1", "vixie", False),
        ("0 0 1 * */2", "vixie", False),
        ("0 0 ?/2 * 1", "vixie", False),
        ("0 0 L * 5L", "vixie", True),
        ("0 0 * * 1", "vixie", False),
        ("0 0 1 * ?", "vixie", False),
        ("0 0 */2 * 1", "or", True),
        ("0 0 * * 1", "or", False),
        ("0 0 1 * */1", "or", False),
        ("0 0 1 * 1", "or", True),
        ("0 0 1 * 1", "and", False),
    ],
)
def test_two_day_fields_are_joined_by_the_rule_given(text: str, days: str, either: bool) -> None:
    assert parsed(text, days=days).days.either is either  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("* * * * *", True),
        ("*/5 2 * * *", True),
        ("30 * * * *", True),
        ("30 */2 * * *", True),
        ("? 2 * * *", True),
        ("0 0-23 * * *", False),
        ("0-59/5 2 * * *", False),
        ("0,*/20 2 * * *", False),
        ("30 2 * * *", False),
        ("@hourly", True),
        ("@daily", False),
    ],
)
def test_an_interval_job_is_one_whose_minute_or_hour_begins_with_a_star(text: str, interval: bool) -> None:
    assert parsed(text).interval is interval


def test_seconds_come_first_and_only_when_said() -> None:
    fields = parsed("*/20 1 2 3 4 5", seconds="first")
    assert [set(fields.seconds), set(fields.minutes), set(fields.hours)] == [{0, 20, 40}, {1}, {2}]
    days = fields.days
    assert [set(days.month_days), set(days.months), set(days.weekdays)] == [{3}, {4}, {5}]
    assert parsed("@daily", seconds="first") == parsed("0 0 * * *")


def test_aliases_are_what_they_stand_for_in_any_case() -> None:
    for alias, text in ALIASES.items():
        assert parsed(alias) == parsed(alias.upper()) == parsed(f" {alias}\t") == parsed(text)


def test_spaces_and_tabs_separate_and_are_stored_as_one_space() -> None:
    assert normal_text("\t0  3 *\t\t* mon ") == "0 3 * * mon"
    assert parsed("\t0  3 *\t\t* mon ") == parsed("0 3 * * mon")


def test_hashed_fields_depend_on_the_name_alone_and_are_spread() -> None:
    assert parsed("H H * * *", hash_name="backup") == parsed("h h * * *", hash_name="backup")
    minutes = {next(iter(parsed("H * * * *", hash_name=f"job {number}").minutes)) for number in range(1000)}
    assert minutes == ALL_MINUTES
    days = {
        next(iter(parsed("0 0 H * *", hash_name=f"job {number}").days.month_days)) for number in range(1000)
    }
    assert days == set(range(1, 29))


def test_hashed_fields_are_what_they_were_when_they_were_first_stored() -> None:
    fields = parsed("H H(0-7) H H H", hash_name="backup")
    found = (
        *fields.minutes,
        *fields.hours,
        *fields.days.month_days,
        *fields.days.months,
        *fields.days.weekdays,
    )
    assert found == (52, 0, 24, 3, 6)


@pytest.mark.parametrize("number", range(20))
def test_hashed_ranges_and_steps_stay_in_their_bounds(number: int) -> None:
    name = f"job {number}"
    (one,) = parsed("H(10-20) * * * *", hash_name=name).minutes
    assert 10 <= one <= 20
    stepped = sorted(parsed("H/15 * * * *", hash_name=name).minutes)
    assert stepped == [stepped[0] + 15 * place for place in range(4)]
    assert stepped[0] < 15
    within = sorted(parsed("H(30-59)/10 * * * *", hash_name=name).minutes)
    assert within == [within[0] + 10 * place for place in range(3)]
    assert 30 <= within[0] < 40
    in_list = parsed("5,H(40-45) * * * *", hash_name=name).minutes
    assert 5 in in_list
    assert len(in_list) == 2


MINUTE = "allowed: 0-59, *, lists, ranges, steps, H"
DAY = "allowed: 1-31, *, lists, ranges, steps, H, L, L-n, LW, L-nW, nW"
MONTH = "allowed: 1-12, jan-dec, *, lists, ranges, steps, H"
WEEKDAY = "allowed: 0-7, sun-sat, *, lists, ranges, steps, H, d#n, dL"

INVALID = [
    # text, what the error says
    ("", ["expected five fields (minute hour day-of-month month weekday), got 0"]),
    ("   \t ", ["expected five fields", "got 0"]),
    ("*", ["expected five fields", "got 1"]),
    ("* * * *", ["expected five fields", "got 4"]),
    ("0 0 12 * * *", ["got 6", "seconds='first'", "no year field", "end="]),
    ("0 0 12 * * ? 2030", ["got 7", "no year field"]),
    ("0 0 0 0 0 0 0 0", ["got 8"]),
    ("60 * * * *", ["minute field: '60' is out of range 0-59", MINUTE]),
    ("-1 * * * *", ["minute field: '-1'", "negative", MINUTE]),
    ("5- * * * *", ["minute field: '5-' is a range without an end"]),
    ("-5-10 * * * *", ["minute field: '-5-10'"]),
    ("1-2-3 * * * *", ["minute field: '1-2-3' has more than one '-'"]),
    ("1--3 * * * *", ["minute field: '1--3'"]),
    ("99999999999999999999 * * * *", ["out of range 0-59"]),
    ("1.5 * * * *", ["minute field: '1.5'"]),
    ("+5 * * * *", ["minute field: '+5'"]),
    ("0x10 * * * *", ["minute field: '0x10'"]),
    ("1e1 * * * *", ["minute field: '1e1'"]),
    ("five * * * *", ["minute field: 'five' is no number"]),
    ("mon * * * *", ["minute field: 'mon' is a weekday, which belongs into the weekday field"]),
    ("*/0 * * * *", ["minute field: '*/0' needs a whole number of at least 1"]),
    ("*/ * * * *", ["minute field: '*/' needs a whole number"]),
    ("*/-5 * * * *", ["minute field: '*/-5' needs a whole number"]),
    ("*/a * * * *", ["minute field: '*/a' needs a whole number of at least 1 after the '/', got 'a'"]),
    ("*/5/5 * * * *", ["minute field: '*/5/5' has more than one '/'"]),
    ("*/61 * * * *", ["step of 61, more than the 60 values"]),
    ("*/1000000000000 * * * *", ["more than the 60 values"]),
    ("/5 * * * *", ["minute field: '/5'"]),
    ("** * * * *", ["minute field: '**'"]),
    ("*-5 * * * *", ["minute field: '*-5'"]),
    ("5-* * * * *", ["minute field: '5-*'"]),
    ("*5 * * * *", ["minute field: '*5'"]),
    ("?? * * * *", ["minute field: '??'"]),
    ("1,,2 * * * *", ["minute field: '1,,2' has an empty place in its list"]),
    (", * * * *", ["minute field: ',' has an empty place"]),
    ("1, * * * *", ["empty place"]),
    (",1 * * * *", ["empty place"]),
    ("1, 2 * * * *", ["got 6"]),
    ("L * * * *", ["minute field: 'L'"]),
    ("5W * * * *", ["minute field: '5W'"]),
    ("1#2 * * * *", ["minute field: '1#2'"]),
    ("* 24 * * *", ["hour field: '24' is out of range 0-23"]),
    ("* 9-25 * * *", ["hour field: '9-25' is out of range 0-23"]),
    ("* */25 * * *", ["hour field: '*/25' has a step of 25"]),
    ("* 9am * * *", ["hour field: '9am'"]),
    ("* * 0 * *", ["day-of-month field: '0' is out of range 1-31", DAY]),
    ("* * 32 * *", ["day-of-month field: '32' is out of range 1-31"]),
    ("* * 0W * *", ["day-of-month field: '0W' is out of range"]),
    ("* * 32W * *", ["day-of-month field: '32W' is out of range"]),
    ("* * W * *", ["day-of-month field: 'W' is no nearest weekday"]),
    ("* * W15 * *", ["'W15' is no nearest weekday: write 15W"]),
    ("* * 10-15W * *", ["'10-15W' is no nearest weekday"]),
    ("* * WL * *", ["'WL' is no nearest weekday"]),
    ("* * 15W/2 * *", ["'15W/2' names single days, which take no step"]),
    ("* * L/2 * *", ["'L/2' names single days"]),
    ("* * L-31 * *", ["goes back more than 30 days"]),
    ("* * L-x * *", ["'L-x' is no last day"]),
    ("* * L3 * *", ["'L3' is no last day"]),
    ("* * 3L * *", ["'3L' belongs into the weekday field, where 5L is the last Friday"]),
    ("* * 1-L * *", ["'1-L' is no last day"]),
    ("* * mon * *", ["day-of-month field: 'mon' is a weekday"]),
    ("* * 2#1 * *", ["day-of-month field: '2#1'"]),
    ("* * * 0 *", ["month field: '0' is out of range 1-12", MONTH]),
    ("* * * 13 *", ["month field: '13' is out of range 1-12"]),
    ("* * * foo *", ["month field: 'foo' is no month"]),
    ("* * * janu *", ["month field: 'janu' is no month: write jan or january"]),
    ("* * * jan-foo *", ["month field: 'jan-foo' holds 'foo'"]),
    ("* * * mon *", ["month field: 'mon'"]),
    ("* * * * 8", ["weekday field: '8' is out of range 0-7", WEEKDAY]),
    ("* * * * jan", ["weekday field: 'jan' is a month"]),
    ("* * * * mond", ["weekday field: 'mond'"]),
    ("* * * * L", ["weekday field: 'L' needs a weekday", "5L is the last Friday"]),
    (
        "* * * * 8L",
        ["weekday field: '8L' is out of range"],
    ),
    ("* * * * 1#0", ["'1#0' needs a number from 1 to 5"]),
    ("* * * * 1#6", ["'1#6' needs a number from 1 to 5"]),
    ("* * * * 1#", ["'1#' needs a number from 1 to 5"]),
    ("* * * * #1", ["weekday field: '#1'"]),
    ("* * * * 8#1", ["out of range 0-7"]),
    ("* * * * foo#1", ["weekday field: 'foo#1'"]),
    ("* * * * mon-fri#1", ["takes one weekday before the '#'"]),
    ("* * * * mon#L", ["the last one is written monL"]),
    ("* * * * mon#1/2", ["single days"]),
    ("* * * * 15W", ["belongs into the day-of-month field"]),
    ("* * * * LW", ["belongs into the day-of-month field"]),
    ("H * * * *", ["'H' hashes the schedule's name", "hash_name="]),
    ("H(5) * * * *", ["is no H, H(a-b), H/n or H(a-b)/n"]),
    ("H(9-5) * * * *", ["has a range that runs backwards"]),
    ("H(0-60) * * * *", ["out of range 0-59"]),
    ("H5 * * * *", ["is no H, H(a-b)"]),
    ("R * * * *", ["minute field: 'R'", "another time in each process; use H"]),
    ("R(0-9)/2 * * * *", ["use H"]),
    ("@reboot", ["'@reboot' is not supported", "when the program starts"]),
    ("@every 5m", ["'@every' is not supported", "RecurringSchedule(interval_minutes="]),
    ("@dayly", ["'@dayly' is unknown", "@daily"]),
    ("@", ["'@' is unknown"]),
    ("@daily *", ["'@daily' stands alone"]),
    ("TZ=Europe/Berlin 0 3 * * *", ["timezone='Europe/Berlin'"]),
    ("CRON_TZ=UTC 0 3 * * *", ["timezone="]),
    ("0 3 * *\n*", [r"'\n' at position 7", "spaces or tabs"]),
    ("0 3 * * *\n", [r"'\n' at position 9"]),
    ("0\u00a03 * * *", [r"'\xa0' at position 1"]),
    ("0\u30003 * * *", [r"'\u3000' at position 1"]),
    ("\u0661 * * * *", ["position 0", "ASCII"]),
    ("5\0 * * * *", [r"'\x00' at position 1"]),
    ("\uff0a * * * *", ["position 0"]),
    ("0 3 * * \U0001f984", ["position 8"]),
    ("0," * 5_000 + "0 * * * *", ["at most 2000 characters"]),
    # never
    ("0 0 30 2 *", ["can never fire", "February", "at most 29 days"]),
    ("0 0 31 4,6,9,11 *", ["can never fire", "April, June, September, November", "at most 30 days"]),
    ("0 0 L-30 2 *", ["can never fire", "February"]),
    ("0 0 L-29 2 *", ["can never fire"]),
    ("0 0 30W 2 *", ["can never fire"]),
    ("0 0 31 2 */2", ["can never fire"]),
    ("0 0 */31 * 1#2", ["can never fire", "day-of-month", "weekday field", "days='or'"]),
]


@pytest.mark.parametrize(("text", "said"), INVALID)
def test_an_invalid_expression_is_an_error_that_says_what_and_where(text: str, said: list[str]) -> None:
    with pytest.raises(CronError) as caught:
        check(CronSpec(text))
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, LogisticsError)
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert len(message) < 500
    assert caught.value.__cause__ is None


def test_both_days_that_can_never_meet_are_an_error_only_when_both_are_asked_for() -> None:
    with pytest.raises(CronError, match="no day of any year matches both"):
        check(CronSpec("0 0 31 * 1#1", days="and"))
    assert check(CronSpec("0 0 31 * 1#1", days="or")) == ()


def test_a_day_that_no_month_has_is_a_warning_where_the_weekday_still_counts() -> None:
    (warning,) = check(CronSpec("0 0 31 2 0"))
    assert "only its weekday field can match" in warning
    assert "February" in warning
    assert check(CronSpec("0 0 29 2 0")) == ()


@pytest.mark.parametrize("text", [None, 5, b"* * * * *", ["*"] * 5])
def test_an_expression_is_text(text: object) -> None:
    with pytest.raises(CronError, match="is text such as"):
        parsed(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"days": "both"}, "days must be one of vixie, or, and, got 'both'"),
        ({"seconds": "last"}, "seconds must be 'first'"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(CronError, match=said):
        parsed("* * * * *", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [("* * * * *", "takes six fields"), ("* * * * * * *", "got 7; there is no year field")],
)
def test_with_seconds_there_are_six_fields(text: str, said: str) -> None:
    with pytest.raises(CronError, match=said):
        parsed(text, seconds="first")
