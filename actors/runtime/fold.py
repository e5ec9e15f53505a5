"""Rebuilding states from the log: one pass over the events, each to the state that owns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.runtime.messages import Event
    from actors.runtime.rules import Rules
    from eventstore.codec import EventCodec
    from eventstore.log import Log

FORGET_EVERY = 4_096
"""Events between two sweeps of what has become final: everything read from the log is durable."""


def fold(
    log: Log, codec: EventCodec, all_rules: Iterable[Rules], *, upto: int | None = None
) -> dict[str, Any]:
    """Return each actor's state at position `upto` (None: the head), by the actor's name.

    Raises what the log and the codec raise: a damaged frame (`CorruptStoreError`), an event that
    nothing here understands (`UnknownEventError`).
    """
    states = {rules.name: rules.initial() for rules in all_rules}
    evolvers: dict[type[Event], Callable[[Any], None]] = {}
    for state in states.values():
        evolvers.update(state.handlers)
    since_forget = 0
    for frame in log.frames(upto=upto):
        events = codec.decode_frame(frame)
        for event in events:
            evolve = evolvers.get(type(event))
            if evolve is not None:
                evolve(event)
        since_forget += len(events)
        if since_forget >= FORGET_EVERY:
            since_forget = 0
            _forget(states)
    _forget(states)
    return states


def _forget(states: dict[str, Any]) -> None:
    for state in states.values():
        retired = state.take_retired()
        if retired:
            state.forget(retired)
