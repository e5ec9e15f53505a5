"""The scheduler: cron and recurring schedules and what they fire."""
