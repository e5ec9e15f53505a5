"""The errors and warnings of schedules and of cron expressions."""

from __future__ import annotations

from eventstore.errors import LogisticsError


class CronError(LogisticsError, ValueError):
    """A cron expression that cannot be understood, or can never fire; the text names the field and token."""


class ScheduleError(LogisticsError, ValueError):
    """A recurring schedule, or an option of a schedule, that makes no sense."""


class CronWarning(UserWarning):
    """A part of a cron expression can never match, so that it means less than it seems to."""
