"""What becomes of the instants that are due: which of them fire, and how many are passed over."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from actors.clock.zones import SECOND_US
from actors.schedule.errors import ScheduleError
from actors.schedule.firing import next_fire, previous_fire
from actors.schedule.jitter import jitter_us
from actors.schedule.missed import count_fires
from actors.schedule.spec import PatternSpec

if TYPE_CHECKING:
    from actors.schedule.spec import Firing, ScheduleSpec
    from actors.schedule.state import Schedule

ON_TIME_US = 60_000_000
"""How late an instant may be served that `catch_up="none"` still takes for one that was not missed."""


@lru_cache(maxsize=16_384)
def _following(spec: ScheduleSpec, after_us: int) -> Firing | None:
    """The first instant after another: what a firing says in its event is what the agenda asks for next."""
    return next_fire(spec, after_us)


class Due(NamedTuple):
    """The due instants of a schedule: `missed` are passed over, then `served` are served, oldest first."""

    served: tuple[Firing, ...]
    missed: int
    upto_us: int
    """The newest of all due instants."""
    held: bool = False
    """They are as punctual as the jitter of the first of them lets them be."""


def due_us(schedule: Schedule, firing: Firing) -> int:
    """Return when an instant is to be served: later than it says by the schedule's jitter."""
    return firing.at_us + jitter_us(schedule.name, firing.at_us, schedule.policies.jitter_us)


def due_upto_us(schedule: Schedule, now_us: int) -> int:
    """Return up to when a schedule's instants are served or due by now: what jitter puts off is still to come."""
    if not schedule.policies.jitter_us:
        return max(schedule.cursor_us, now_us)
    upto_us = max(schedule.cursor_us, now_us - schedule.policies.jitter_us)
    while (following := _told_next(schedule, upto_us)) is not None and due_us(schedule, following) <= now_us:
        upto_us = following.at_us
    return upto_us


def expected_us(spec: ScheduleSpec, after_us: int) -> int:
    """Return the next instant for an event to keep; 0 if there is none."""
    firing = _following(spec, after_us)
    return 0 if firing is None else firing.at_us


def told_us(spec: ScheduleSpec, after_us: int) -> int:
    """Return the next instant as `expected_us` does; 0 also if it cannot be told: the schedule's view says why."""
    try:
        return expected_us(spec, after_us)
    except ScheduleError:
        return 0


def next_instant(schedule: Schedule, after_us: int) -> Firing | None:
    """Return the first instant of a schedule after another, within its bounds; None: there is no more."""
    policies = schedule.policies
    if policies.max_runs is not None and schedule.runs + len(schedule.waiting) >= policies.max_runs:
        return None
    firing = _following(schedule.spec, after_us)
    if firing is None or (policies.end_us is not None and firing.at_us > policies.end_us):
        return None
    return firing


def choose(schedule: Schedule, first: Firing, now_us: int) -> Due:
    """Decide what becomes of the due instants of a schedule, of which `first` is the oldest.

    It costs as much after ten years of downtime as after a minute: nothing is walked but what is served.
    """
    if schedule.policies.jitter_us and (held := _held(schedule, first, now_us)):
        return Due(held, 0, held[-1].at_us, held=True)
    newest = _newest(schedule, first, now_us)
    served = _served(schedule, first, newest, now_us)
    if not served:
        return Due((), _count(schedule, first, newest) + 1, newest.at_us)
    return Due(served, _count(schedule, first, served[0]), newest.at_us)


def overdue(schedule: Schedule, now_us: int) -> tuple[int, int]:
    """Return the newest of the instants that are due and were not served, and how many they are: 0 if none is."""
    first = None if schedule.paused or schedule.completed else next_instant(schedule, schedule.cursor_us)
    if first is None or due_us(schedule, first) > now_us:
        return 0, 0
    newest = _newest(schedule, first, now_us)
    return newest.at_us, _count(schedule, first, newest) + 1


def _held(schedule: Schedule, first: Firing, now_us: int) -> tuple[Firing, ...]:
    """Return an instant that is on time, and those that were due before it, whose turn was after it; none if none were.

    They were not missed: the scheduler was there.
    """
    until_us = due_us(schedule, first)
    if now_us - until_us > ON_TIME_US:
        return ()
    held = [first]
    following = _told_next(schedule, first.at_us)
    while following is not None and following.at_us <= until_us and due_us(schedule, following) <= until_us:
        held.append(following)
        following = _told_next(schedule, following.at_us)
    if len(held) == 1:
        return ()
    most = schedule.policies.max_runs
    return tuple(held if most is None else held[: most - schedule.runs - len(schedule.waiting)])


def _told_next(schedule: Schedule, after_us: int) -> Firing | None:
    """Return what comes after an instant; None if that cannot be told: the instant is due nevertheless."""
    try:
        return next_instant(schedule, after_us)
    except ScheduleError:
        return None


def _newest(schedule: Schedule, first: Firing, now_us: int) -> Firing:
    spec, policies = schedule.spec, schedule.policies
    if now_us - first.at_us < SECOND_US and isinstance(spec, PatternSpec):
        return first  # the common case: instants are whole seconds
    bound_us = now_us - policies.jitter_us
    if policies.end_us is not None:
        bound_us = min(bound_us, policies.end_us)
    try:
        following = _following(spec, first.at_us)
    except ScheduleError:  # what comes later cannot be told: this one is due nevertheless
        following = None
    if following is None or following.at_us > bound_us:
        newest: Firing | None = first
    else:
        newest = previous_fire(spec, bound_us + 1)
    if newest is None or newest.at_us < first.at_us:
        newest = first
    return _newest_within_jitter(schedule, newest, now_us) if policies.jitter_us else newest


def _newest_within_jitter(schedule: Schedule, newest: Firing, now_us: int) -> Firing:
    """Go on from an instant that is due for sure: one that is due serves all before it."""
    following = _told_next(schedule, newest.at_us)
    while following is not None and following.at_us <= now_us:
        if due_us(schedule, following) > now_us:
            break
        newest = following
        following = _told_next(schedule, newest.at_us)
    return newest


def _count(schedule: Schedule, first: Firing, last: Firing) -> int:
    """Count the instants from `first` on and before `last`."""
    if first.at_us == last.at_us:
        return 0
    return count_fires(schedule.spec, first.at_us - 1, last.at_us - 1)


def _served(schedule: Schedule, first: Firing, newest: Firing, now_us: int) -> tuple[Firing, ...]:
    policies = schedule.policies
    if policies.catch_up == "none":
        return (newest,) if now_us - due_us(schedule, newest) <= ON_TIME_US else ()
    if _is_too_late(schedule, newest, now_us):
        return ()
    if policies.catch_up == "latest":
        return (newest,)
    limit = policies.limit
    if policies.max_runs is not None:
        limit = min(limit, policies.max_runs - schedule.runs - len(schedule.waiting))
    served = [newest]
    while len(served) < limit:
        firing = previous_fire(schedule.spec, served[-1].at_us)
        if firing is None or firing.at_us < first.at_us or _is_too_late(schedule, firing, now_us):
            break
        served.append(firing)
    return tuple(reversed(served))


def _is_too_late(schedule: Schedule, firing: Firing, now_us: int) -> bool:
    """Whether an instant was due before the window of what is caught up."""
    window_us = schedule.policies.window_us
    return window_us is not None and now_us - due_us(schedule, firing) > window_us
