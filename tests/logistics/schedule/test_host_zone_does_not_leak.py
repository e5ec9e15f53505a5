"""The host's own zone changes nothing: the same answers under any value of TZ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

CHILD = """
import time
from datetime import UTC, datetime, timedelta
from logistics.schedule.expression import CronExpression
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.timezone import TimezoneManager

time.tzset()
start = datetime(2026, 3, 1, tzinfo=UTC)
for zone in (None, "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Apia"):
    schedules = [
        CronExpression("30 2 * * *", timezone=zone),
        CronExpression("*/20 1-3 * * mon-fri", timezone=zone, fold="both"),
        CronExpression("0 3 1,15W,L * 5", timezone=zone, gap="preserve_offset"),
        RecurringSchedule(45, "01:00", "04:00", zone),
        RecurringSchedule.weekly(on=["sun"], at="02:30", timezone=zone),
    ]
    for schedule in schedules:
        for after in (start, start + timedelta(days=230)):
            for run in schedule.next_runs(40, after):
                print(repr(schedule), run.isoformat(), run.fold)
            print(schedule.previous_run(after), schedule.matches(after))
    manager = TimezoneManager(zone)
    print(manager.localize(datetime(2026, 7, 1, 12)), manager.to_utc(start))
"""


def answers(host_zone: str) -> str:
    environment = {**os.environ, "TZ": host_zone, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.no_cover
def test_the_answers_are_the_same_whatever_the_zone_of_the_host() -> None:
    kiritimati = answers("Pacific/Kiritimati")
    for host_zone in ("Pacific/Chatham", "America/New_York", "EST5EDT,M3.2.0,M11.1.0", "no such zone", ""):
        assert answers(host_zone) == kiritimati, host_zone
    assert len(kiritimati.splitlines()) > 1000
