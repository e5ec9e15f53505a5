"""What other cron libraries make of expressions, and what we do: the same, or another thing that docs explain.

Each row of `elsewhere.json`: who, the expression as we write it, zone, after when, our options, what they find
(instants, or `refused`), and ours (`same`, instants or `refused`). The rows on croniter, cronsim and APScheduler
are what these releases answer to what their own tests ask about; those on cron-utils (its tests), Quartz and
Debian's cron (their manuals) were worked out by hand.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from croniter import CroniterError, croniter

from actors.clock.zones import zone as zone_named
from logistics import CronError, CronExpression
from tests.docs.pages import ROOT

SAME, REFUSED = "same", "refused"
PAGE = ROOT / "docs/guide/cron_elsewhere.md"


class Row(NamedTuple):
    """A case; `theirs` and `ours` are instants, or a word."""

    who: str
    text: str
    zone: str
    after: str
    options: dict[str, Any]
    theirs: Any
    ours: Any

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.after).replace(tzinfo=zone_named(self.zone))


ROWS = [
    Row(*row) for row in json.loads(Path(__file__).with_name("elsewhere.json").read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_an_expression_means_what_the_table_says(row: Row) -> None:
    expected = row.theirs if row.ours == SAME else row.ours
    if expected == REFUSED:
        with pytest.raises(CronError):
            CronExpression(row.text, timezone=row.zone, **row.options)
        return
    expression = CronExpression(row.text, timezone=row.zone, **row.options)
    runs = expression.next_runs(len(expected), row.moment)
    assert [run.isoformat() for run in runs] == expected


ASKED_AGAIN = [row for row in ROWS if row.who == "croniter" and row.theirs != "at random"]


@pytest.mark.parametrize("row", ASKED_AGAIN, ids=range(len(ASKED_AGAIN)))
def test_croniter_means_what_the_table_says(row: Row) -> None:
    """The one that is installed with us is asked again: the table must not grow old."""
    found: Any
    try:
        walk = croniter(row.text, row.moment, ret_type=datetime, day_or="days" not in row.options)
        found = [walk.get_next().isoformat() for _ in range(len(row.theirs) if row.theirs != REFUSED else 1)]
    except CroniterError:
        found = REFUSED
    assert found == row.theirs


def test_most_is_the_same_and_every_difference_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")
    different = [row for row in ROWS if row.ours != SAME]
    assert f"A table of {len(ROWS)} cases" in page
    assert f"{len(ROWS) - len(different)} of them have the same answer" in page
    for row in different:
        assert f"`{row.text}`" in page, row
        assert row.who in page
