"""The fields of a cron expression: their names, their numbers and the names of these."""

from __future__ import annotations

from typing import NamedTuple

MONTH_NAMES: tuple[str, ...] = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAY_NAMES: tuple[str, ...] = (
    *("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
)


class Field(NamedTuple):
    """One field: its name, the numbers it takes, how many values it has, and its names' numbers."""

    name: str
    low: int
    high: int
    cycle: int
    names: tuple[str, ...] = ()
    extra: str = ""

    @property
    def last(self) -> int:
        """Where `*` and `n/step` end: a week ends with Saturday, although 7 is Sunday too."""
        return self.low + self.cycle - 1

    @property
    def allowed(self) -> str:
        """What may be written, for the text of an error."""
        names = f", {self.names[0][:3]}-{self.names[-1][:3]}" if self.names else ""
        return f"{self.low}-{self.high}{names}, *, lists, ranges, steps, H{self.extra}"


SECOND = Field("second", 0, 59, 60)
MINUTE = Field("minute", 0, 59, 60)
HOUR = Field("hour", 0, 23, 24)
MONTH_DAY = Field("day-of-month", 1, 31, 31, extra=", L, L-n, LW, L-nW, nW")
MONTH = Field("month", 1, 12, 12, MONTH_NAMES)
WEEKDAY = Field("weekday", 0, 7, 7, WEEKDAY_NAMES, extra=", d#n, dL")
FIELD_ORDER = (SECOND, MINUTE, HOUR, MONTH_DAY, MONTH, WEEKDAY)
