"""Rebuilding states from the log: one pass over the events, each to the state that owns it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.runtime.messages import Event
    from actors.runtime.rules import Rules
    from eventstore.codec import EventCodec
    from eventstore.log import Log

logger = logging.getLogger("logistics.recovery")

FORGET_EVERY = 4_096
"""Events between two sweeps of what has become final: everything read from the log is durable."""


def fold(
    log: Log,
    codec: EventCodec,
    all_rules: Iterable[Rules],
    *,
    upto: int | None = None,
    snapshots: bool = False,
) -> dict[str, Any]:
    """Return each actor's state at position `upto` (None: the head), by the actor's name.

    With `snapshots`, each actor begins with its own newest snapshot, if there is one that fits: a state is the
    fold of its owner's events only, so every actor may begin somewhere else (R18, R19). Raises what the log and
    the codec raise: a damaged frame (`CorruptStoreError`), an event that nothing here understands
    (`UnknownEventError`).
    """
    states: dict[str, Any] = {}
    begin: dict[str, int] = {}
    for rules in all_rules:
        states[rules.name], begin[rules.name] = (
            _first_state(log, rules, upto) if snapshots else (rules.initial(), 0)
        )
    owners: dict[type[Event], str] = {
        type_: name for name, state in states.items() for type_ in state.handlers
    }
    evolvers: dict[type[Event], Callable[[Any], None]] = {
        type_: evolve for state in states.values() for type_, evolve in state.handlers.items()
    }
    since_forget = 0
    all_begun = max(begin.values(), default=0)
    for frame in log.frames(after=min(begin.values(), default=0), upto=upto):
        events = codec.decode_frame(frame)
        for position, event in enumerate(events, frame.first):
            evolve = evolvers.get(type(event))
            if evolve is not None and (position > all_begun or position > begin[owners[type(event)]]):
                evolve(event)
        since_forget += len(events)
        if since_forget >= FORGET_EVERY:
            since_forget = 0
            _forget(states)
    _forget(states)
    return states


def _first_state(log: Log, rules: Rules, upto: int | None) -> tuple[Any, int]:
    snapshot = log.load_snapshot(rules.name)
    if snapshot is None or (upto is not None and snapshot[0] > upto):
        return rules.initial(), 0
    position, data = snapshot
    try:
        return rules.restore(msgspec.msgpack.decode(data)), position
    except Exception:
        logger.warning("the snapshot of %r does not fit and is ignored", rules.name, exc_info=True)
        return rules.initial(), 0


def _forget(states: dict[str, Any]) -> None:
    for state in states.values():
        retired = state.take_retired()
        if retired:
            state.forget(retired)
