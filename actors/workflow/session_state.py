"""Sessions as the supervisor knows them: their limits, the runs that they have, and when their time is over."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import msgspec

from actors.workflow.messages import SessionView
from actors.workflow.specs import SessionStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from actors.workflow.events import SessionClosed, SessionCreated, SessionReleased


FEW = 256
"""Deadlines that are kept unasked."""
GIVEN_UP, GONE = 1, 2
"""How far the share of a closed session's calls is given up."""


class Sessions:
    """The fold of the sessions' events, and of the beginnings and ends of their runs."""

    def __init__(self) -> None:
        self.views: dict[str, SessionView] = {}
        self._begun: dict[str, dict[str, None]] = {}
        """By session: live runs that have a place. Runs that are steps of others need none."""
        self._held: dict[str, dict[str, None]] = {}
        """By session: runs that wait for a place, oldest first."""
        self._steps: dict[str, dict[str, None]] = {}
        """By session: live runs that are steps of others."""
        self.done: dict[str, None] = {}
        """Closed sessions of which nothing goes on any more, and whose share has not been given up."""
        self.vacant: dict[str, None] = {}
        """Sessions with a run that need not wait any longer: there is a place, or never will be."""
        self.deadlines: list[tuple[int, str]] = []
        """A heap of when which sessions are over; those in front are open."""
        self._most_deadlines = FEW
        """So many of them are kept without looking whether their sessions are open."""

    def is_open(self, session_id: str) -> bool:
        """Whether there is such a session, and it was not closed."""
        view = self.views.get(session_id)
        return view is not None and view.status == SessionStatus.ACTIVE

    def is_full(self, session_id: str) -> bool:
        """Whether one more run of a session has to wait."""
        return bool(self._held.get(session_id)) or not self._has_place(session_id)

    def has_task_limit(self, session_id: str) -> bool:
        """Whether the calls of its runs are to hold a share of it while they run."""
        view = self.views.get(session_id)
        return view is not None and view.tasks > 0

    def first_held(self, session_id: str) -> str:
        """Return the run that has waited longest for a place."""
        return next(iter(self._held[session_id]))

    def begun(self, session_id: str) -> Collection[str]:
        """Return the runs that have a place, in the order in which they got it."""
        return self._begun.get(session_id, {})

    def live(self, session_id: str) -> Iterator[str]:
        """Yield the runs of a session, those that wait for a place last."""
        yield from self._begun.get(session_id, ())
        yield from self._held.get(session_id, ())

    def limited(self) -> Iterator[SessionView]:
        """Return the sessions whose calls have a limit that is not gone."""
        return (view for view in self.views.values() if view.tasks and view.released < GONE)

    def closed_under(self, epoch: int) -> Iterator[str]:
        """Yield the sessions that were closed by this incarnation of the engine."""
        return (view.session_id for view in self.views.values() if view.epoch == epoch)

    # -- taking in --------------------------------------------------------------------------------------------

    def created(self, event: SessionCreated) -> None:
        """Open a session."""
        ends_us = event.at_us + event.timeout_us if event.timeout_us else 0
        view = SessionView(
            event.session_id,
            event.data,
            SessionStatus.ACTIVE,
            event.at_us,
            0,
            event.places,
            event.tasks,
            ends_us,
        )
        self._add(view)

    def _add(self, view: SessionView) -> None:
        self.views[view.session_id] = view
        if view.ends_us and view.status == SessionStatus.ACTIVE:
            heapq.heappush(self.deadlines, (view.ends_us, view.session_id))
            if len(self.deadlines) > self._most_deadlines:
                self._forget_deadlines()

    def _forget_deadlines(self) -> None:
        """Drop the deadlines of closed sessions, which may be far from the first."""
        self.deadlines = [each for each in self.deadlines if self.is_open(each[1])]
        heapq.heapify(self.deadlines)
        self._most_deadlines = max(FEW, 2 * len(self.deadlines))

    def closed(self, event: SessionClosed) -> None:
        """Close a session."""
        self.views[event.session_id] = msgspec.structs.replace(
            self.views[event.session_id],
            status=SessionStatus.COMPLETED.value,
            closed_us=event.at_us,
            reason=event.reason,
            epoch=event.epoch,
        )
        while self.deadlines and not self.is_open(self.deadlines[0][1]):
            heapq.heappop(self.deadlines)
        self._look(event.session_id)

    def released(self, event: SessionReleased) -> None:
        """Give up what the calls of a session share."""
        released = GONE if event.confirmed else GIVEN_UP
        self.views[event.session_id] = msgspec.structs.replace(
            self.views[event.session_id], released=released
        )
        self._look(event.session_id)

    def enter(self, session_id: str, run_id: str) -> None:
        """Give a run a place."""
        self._take_out(self._held, session_id, run_id)
        self._begun.setdefault(session_id, {})[run_id] = None
        self._look(session_id)

    def hold(self, session_id: str, run_id: str) -> None:
        """Have a run wait for a place."""
        self._take_out(self._begun, session_id, run_id)
        self._held.setdefault(session_id, {})[run_id] = None
        self._look(session_id)

    def accompany(self, session_id: str, run_id: str) -> None:
        """Take in a run that is a step of another one: it needs no place."""
        self._steps.setdefault(session_id, {})[run_id] = None
        self._look(session_id)

    def leave(self, session_id: str, run_id: str) -> None:
        """Forget a run."""
        for runs in (self._begun, self._held, self._steps):
            self._take_out(runs, session_id, run_id)
        self._look(session_id)

    @staticmethod
    def _take_out(runs: dict[str, dict[str, None]], session_id: str, run_id: str) -> None:
        here = runs.get(session_id)
        if here is not None:
            here.pop(run_id, None)
            if not here:
                del runs[session_id]

    def _has_place(self, session_id: str) -> bool:
        most = self.views[session_id].places
        return not most or len(self._begun.get(session_id, ())) < most

    def _look(self, session_id: str) -> None:
        if session_id in self._held and (self._has_place(session_id) or not self.is_open(session_id)):
            self.vacant[session_id] = None
        else:
            self.vacant.pop(session_id, None)
        view = self.views[session_id]
        if (
            view.tasks
            and not view.released
            and view.status != SessionStatus.ACTIVE
            and not any(session_id in runs for runs in (self._begun, self._held, self._steps))
        ):
            self.done[session_id] = None
        else:
            self.done.pop(session_id, None)

    # -- snapshots --------------------------------------------------------------------------------------------

    def dump(self) -> Any:
        """Give the sessions as plain data; the runs are with the runs."""
        return [msgspec.structs.astuple(view) for view in self.views.values()]

    def restore(self, image: Any) -> None:
        """Become the sessions whose `dump` was `image`, without runs."""
        for row in image:
            view = SessionView(*row)
            self._add(view)
            self._look(view.session_id)
