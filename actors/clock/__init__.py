"""The timezone clock: now, wake-ups, zones, clock jumps."""
