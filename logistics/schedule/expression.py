"""CronExpression: a cron expression, checked when it is made, that can be asked when it runs."""

from __future__ import annotations

import warnings

from actors.schedule.cron_syntax import normal_text
from actors.schedule.errors import CronError, CronWarning
from actors.schedule.firing import check
from actors.schedule.spec import FOLD_RULES, GAP_RULES, CronSpec, DaysRule, FoldRule, GapRule
from logistics.inputs import check_name
from logistics.schedule.describing import cron_in_words
from logistics.schedule.occurrences import Occurrences, zone_name


class CronExpression(Occurrences[CronSpec]):
    """`minute hour day-of-month month weekday` in a zone; with `seconds="first"`, six fields.

    Weekdays are cron's own: 0 and 7 are Sunday. Without `timezone` it is UTC when used alone, and the
    engine's zone when it is scheduled. An invalid expression, or one that can never fire, is a `CronError` (a
    `ValueError`); one of which only a part can match gives a `CronWarning`.

    `gap` says what happens to a wall time that does not exist: `shift_forward` (once, right after the gap),
    `preserve_offset` (02:30 becomes 03:30) or `skip`. `fold` says which of two equal wall times counts:
    `first`, `second` or `both`. An expression whose minute or hour begins with `*` follows the wall clock
    instead, unless `apply_to_intervals` is true. `days` says whether a day of the month and a weekday must
    both match: `vixie` (either, unless one begins with `*`), `or`, `and`. `H` needs a `hash_name`.
    """

    __slots__ = ()

    def __init__(
        self,
        text: str,
        *,
        timezone: str | None = None,
        gap: GapRule = "shift_forward",
        fold: FoldRule = "first",
        apply_to_intervals: bool = False,
        days: DaysRule = "vixie",
        seconds: str | None = None,
        hash_name: str | None = None,
    ) -> None:
        if gap not in GAP_RULES:
            raise CronError(f"gap must be one of {', '.join(GAP_RULES)}, got {gap!r}")
        if fold not in FOLD_RULES:
            raise CronError(f"fold must be one of {', '.join(FOLD_RULES)}, got {fold!r}")
        if seconds not in (None, "first"):
            raise CronError(f"seconds must be 'first' (six fields, seconds first) or None, got {seconds!r}")
        if hash_name is not None:
            check_name("hash_name", hash_name)
        spec = CronSpec(
            text=normal_text(text),
            timezone=zone_name(timezone),
            gap=gap,
            fold=fold,
            apply_to_intervals=bool(apply_to_intervals),
            days=days,
            seconds="first" if seconds else "",
            hash_name=hash_name or "",
        )
        super().__init__(spec)
        for message in check(spec):
            warnings.warn(message, CronWarning, stacklevel=2)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        timezone: str | None = None,
        gap: GapRule = "shift_forward",
        fold: FoldRule = "first",
        apply_to_intervals: bool = False,
        days: DaysRule = "vixie",
        seconds: str | None = None,
        hash_name: str | None = None,
    ) -> CronExpression:
        """The same as the constructor."""
        return cls(
            text,
            timezone=timezone,
            gap=gap,
            fold=fold,
            apply_to_intervals=apply_to_intervals,
            days=days,
            seconds=seconds,
            hash_name=hash_name,
        )

    def describe(self) -> str:
        """The expression as an English sentence, without its zone: "At 02:30, Monday through Friday".

        Needs the package cron-descriptor (`pip install 'logistics[describe]'`); `CronError` without it, and for
        what it cannot say (`H`).
        """
        return cron_in_words(self._spec)

    def __str__(self) -> str:
        """The expression, with one space between its fields."""
        return self._spec.text

    def __repr__(self) -> str:
        defaults = CronSpec("")
        shown = [repr(self._spec.text)]
        for name in self._spec.__struct_fields__[1:]:
            value = getattr(self._spec, name)
            if value != getattr(defaults, name):
                shown.append(f"{name}={value!r}")
        return f"CronExpression({', '.join(shown)})"
