"""Any text, and any arguments, make a schedule that runs or an error of ours: nothing else is raised, ever.

`LOGISTICS_TEST_CRON_FUZZ=1000000` tries a million expressions.
"""

from __future__ import annotations

import random
import warnings
from datetime import UTC, date, datetime
from typing import Any

import pytest

from logistics import CronError, CronExpression, LogisticsError, RecurringSchedule
from tests.support.scale import scaled

AFTER = datetime(2027, 1, 1, tzinfo=UTC)
SIGNS = [*"0123456789*/-,?#LWHRlwhr@~+.:=()", "00", "15", "31", "59", "60", "7", "L-", "LW", "#5", "*/"]
NAMES = ["jan", "DEC", "february", "mon", "SUN", "friday", "@daily", "@reboot", "TZ=UTC", "every", "H(1-5)"]
NO_TEXT = "\ud800"
"""Half of a character, which no encoding has."""
STRANGE = ["\t", "\n", "\0", "\u0661", "\u00a0", "\u2028", "\U0001f984", "%s", "{}", "\\", "'", '"', NO_TEXT]
FIELDS = (
    ["*", "0", "30", "*/7", "22-3/2", "H", "1,2,3", "5/10"],
    ["*", "2", "22-3", "9-17/2", "H(0-5)", "?"],
    ["*", "?", "L", "LW", "15W", "31", "1-7", "L-3", "*/2"],
    ["*", "jan-mar", "2", "*/5", "DEC"],
    ["*", "?", "mon#2", "friL", "1-5", "sat-tue", "7", "MON,wed"],
)


def good_text(rng: random.Random) -> str:
    return " ".join(rng.choice(field) for field in FIELDS)


def a_text(rng: random.Random) -> str:
    """A text of a kind that people write, or one that nobody does."""
    kind = rng.random()
    if kind < 0.3:
        return good_text(rng)
    if kind < 0.6:
        return " ".join(
            "".join(rng.choices(SIGNS, k=rng.randint(1, 4))) for _ in range(rng.choice((5, 5, 6, 4, 7)))
        )
    if kind < 0.9:
        text = good_text(rng)
        for _ in range(rng.randint(1, 3)):
            place = rng.randint(0, len(text))
            piece = rng.choice(rng.choice((SIGNS, NAMES, STRANGE, [""])))
            text = text[:place] + piece + text[place + rng.randint(0, 2) :]
        return text
    return "".join(rng.choices([*SIGNS, *NAMES, *STRANGE, " ", " "], k=rng.randint(0, 40)))


def options(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.7:
        return {"hash_name": "fuzz"}
    return {
        "timezone": rng.choice([None, "Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu"]),
        "gap": rng.choice(["shift_forward", "preserve_offset", "skip"]),
        "fold": rng.choice(["first", "second", "both"]),
        "days": rng.choice(["vixie", "or", "and"]),
        "seconds": rng.choice([None, None, "first"]),
        "hash_name": rng.choice([None, "fuzz", "\u00e9", NO_TEXT]),
        "apply_to_intervals": rng.random() < 0.5,
    }


@pytest.mark.no_cover
def test_any_text_is_an_expression_that_runs_or_a_cron_error() -> None:
    rng = random.Random(86)
    number = scaled("cron_fuzz", 20_000)
    runs = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(number):
            text, given = a_text(rng), options(rng)
            try:
                expression = CronExpression(text, **given)
            except LogisticsError as error:
                assert isinstance(error, CronError) or given["hash_name"] == NO_TEXT, text  # noqa: PT017
                assert str(error).isprintable(), repr(text)  # noqa: PT017 - either outcome is right
                continue
            run = expression.next_run(AFTER)
            assert run is not None, text
            assert run > AFTER, text
            assert CronExpression(str(expression), **given) == expression, text
            runs += 1
    assert number // 10 < runs < number, "both happen often"


WORDS = ["FREQ", "DAILY", "WEEKLY", "MONTHLY", "HOURLY", "INTERVAL", "BYDAY", "BYHOUR", "BYMONTHDAY", "COUNT"]


def test_any_rule_text_is_a_schedule_or_an_error_of_ours() -> None:
    rng = random.Random(5545)
    pieces = [
        *WORDS,
        *"=;;:,-+0123456789",
        "MO",
        "-1FR",
        "UNTIL",
        "BYSETPOS",
        "DTSTART",
        "TZID",
        "20270101T090000Z",
        "\n",
    ]
    good = [
        "FREQ=DAILY",
        "FREQ=WEEKLY;BYDAY=MO,FR",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "INTERVAL=2",
        "BYHOUR=9,17",
    ]
    read = 0
    for _ in range(scaled("rule_fuzz", 5_000)):
        if rng.random() < 0.5:
            text = ";".join(rng.sample(good, rng.randint(1, 3)))
        else:
            text = "RRULE:" * rng.randint(0, 1) + "".join(rng.choices(pieces, k=rng.randint(0, 12)))
        try:
            RecurringSchedule.from_rrule(text)
        except LogisticsError as error:
            assert isinstance(error, ValueError), text  # noqa: PT017 - either outcome is right
        else:
            read += 1
    assert read > 100


THINGS: list[Any] = [
    *(None, True, 0, 1, -1, 5, 7, 31, 32, 90, 1440, 1e9, 0.5, float("nan"), float("inf"), "", "mon", "09:00"),
    *(
        "24:00",
        "last",
        "2027-01-01",
        "jan",
        "skip",
        "first",
        [],
        [1, "x"],
        ["09:00", "10:00"],
        {},
        b"x",
        object(),
    ),
    *(
        date(2027, 1, 1),
        datetime(2027, 1, 1, tzinfo=UTC),
        "Europe/Berlin",
        "no/zone",
        "both",
        10**30,
        ["mon", 4],
    ),
]
ARGUMENTS = {
    "every": ("minutes", "start_time", "end_time", "every_n", "starting"),
    "daily": ("at", "every_n", "starting", "timezone", "gap", "fold"),
    "weekly": ("on", "at", "every_n", "starting", "timezone"),
    "monthly": ("day", "nth", "weekday", "at", "month_end", "every_n", "starting"),
    "yearly": ("month", "day", "nth", "weekday", "at", "month_end", "every_n", "starting"),
}


@pytest.mark.parametrize("way", ARGUMENTS)
def test_any_arguments_make_a_recurring_schedule_or_an_error_of_ours(way: str) -> None:
    rng = random.Random(way)
    made = 0
    for _ in range(scaled("definition_fuzz", 3_000)):
        names = rng.sample(ARGUMENTS[way], rng.randint(1, 3))
        given = {name: rng.choice(THINGS) for name in names}
        if way == "yearly":
            given = {"month": "jan", "day": 1} | given
        try:
            schedule = getattr(RecurringSchedule, way)(**given)
        except (LogisticsError, TypeError) as error:
            missing = isinstance(error, TypeError) and "missing" in str(error)
            assert missing or isinstance(error, ValueError), given  # noqa: PT017
            continue
        schedule.next_run(AFTER)
        made += 1
    assert made > 10
