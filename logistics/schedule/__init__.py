"""Schedules for users: cron and recurring ones, zones, and what keeps them firing."""
