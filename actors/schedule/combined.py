"""Schedules made of others: when one of them fires, when all do, when one does and others do not.

A search takes candidates of the first part and leaps over what the others rule out. What never meets is found
out after `MOST_CANDIDATES` of them, in a bounded time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from actors.schedule.days import edge, holds, is_over
from actors.schedule.errors import ScheduleError
from actors.schedule.spec import CombinedSpec, DaysSpec, Firing, InstantsSpec, PatternSpec, ScheduleSpec

MOST_CANDIDATES = 10_000
NEVER_US = 1 << 62

Ask: TypeAlias = Callable[[ScheduleSpec, int], Firing | None]
"""The nearest firing of a schedule strictly beyond an instant, in the direction of the search."""
Skip: TypeAlias = Callable[[PatternSpec, PatternSpec, int, int], int]
"""Whence to search on from an instant at which both fire: over whatever fires of the first only with the other."""


def instant_beyond(spec: InstantsSpec, at_us: int, sign: int) -> Firing | None:
    """The nearest of listed instants strictly after (`sign` 1) or before (-1) an instant."""
    listed = spec.at_us
    place = bisect_right(listed, at_us) if sign > 0 else bisect_left(listed, at_us) - 1
    return Firing(listed[place], "") if 0 <= place < len(listed) else None


class Search(NamedTuple):
    """What a combination asks of its parts, in one direction."""

    sign: int
    """1: after an instant, -1: before it."""
    ask: Ask
    skip: Skip


def fire_beyond(spec: CombinedSpec, at_us: int, search: Search) -> Firing | None:
    """The nearest firing strictly after (`sign` 1) or before (-1) an instant; `None` if there is none."""
    sign, ask = search.sign, search.ask
    if spec.how == "any":
        found = [firing for part in spec.parts if (firing := _ask(part, at_us, ask)) is not None]
        return min(found, key=lambda firing: sign * firing.at_us, default=None)
    first, *others = spec.parts
    for _ in range(MOST_CANDIDATES):
        candidate = _ask(first, at_us, ask)
        if candidate is None:
            return None
        leaps = [_leap(spec, other, candidate.at_us, search) for other in others]
        blocking = [leap for leap in leaps if leap is not None]
        if not blocking:
            return candidate
        at_us = max(blocking, key=lambda leap: sign * leap)
        if abs(at_us) >= NEVER_US:
            return None
    raise ScheduleError(
        f"its parts leave nothing of {MOST_CANDIDATES} times in a row: it fires never, or far too rarely to be told"
    )


def _ask(part: ScheduleSpec | DaysSpec, at_us: int, ask: Ask) -> Firing | None:
    if isinstance(part, DaysSpec):
        raise ScheduleError(
            "days by themselves are no schedule: combine them with one, as in schedule - days"
        )
    return ask(part, at_us)


def _leap(spec: CombinedSpec, other: ScheduleSpec | DaysSpec, at_us: int, search: Search) -> int | None:
    """Whence to search on because of another part; `None` if it lets the candidate be."""
    sign, ask = search.sign, search.ask
    wanted = spec.how == "all"
    if isinstance(other, DaysSpec):
        if holds(other, spec.timezone, at_us) is wanted:
            return None
        over = wanted and is_over(other, spec.timezone, at_us, sign)
        return sign * NEVER_US if over else edge(spec.timezone, at_us, sign)
    found = ask(other, at_us - sign)
    if (found is not None and found.at_us == at_us) is wanted:
        return None
    if not wanted:
        return _skipped(spec, other, at_us, search)
    return sign * NEVER_US if found is None else found.at_us - sign


def _skipped(spec: ScheduleSpec, other: ScheduleSpec, at_us: int, search: Search) -> int:
    """Whence to search on, as far as can be told, from an instant that a part rules out."""
    if isinstance(spec, CombinedSpec):
        parts = (
            spec.parts if spec.how == "any" else spec.parts[:1]
        )  # it fires when its first part does, at most
        whence = [_skipped(part, other, at_us, search) for part in parts if not isinstance(part, DaysSpec)]
        return min(whence, key=lambda each: search.sign * each)
    if isinstance(other, CombinedSpec) and other.how == "any":
        for part in other.parts:
            found = _ask(part, at_us - search.sign, search.ask)
            if found is not None and found.at_us == at_us and not isinstance(part, DaysSpec):
                return _skipped(spec, part, at_us, search)
    if isinstance(spec, PatternSpec) and isinstance(other, PatternSpec):
        return search.skip(spec, other, at_us, search.sign)
    return at_us
