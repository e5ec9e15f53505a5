"""Rebuilding states from the log: one pass over the events, each to the state that owns it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.fingerprint import fingerprint
from eventstore.errors import CodecError, ReplayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.runtime.messages import Event
    from actors.runtime.rules import Rules
    from eventstore.codec import EventCodec
    from eventstore.log import Log
    from eventstore.records import Frame

    Evolvers = Mapping[type[Event], Callable[[Any], None]]

logger = logging.getLogger("logistics.recovery")

_encode = msgspec.msgpack.Encoder().encode


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
    fold of its owner's events only, so every actor may begin somewhere else (R18, R19). Raises what the log
    raises (`CorruptStoreError` for a damaged frame), and `ReplayError` for an event that cannot be taken in.
    """
    states, begun = first_states(log, all_rules, upto=upto, snapshots=snapshots)
    replay(log, codec, states, begun, upto=upto)
    return states


def first_states(
    log: Log, all_rules: Iterable[Rules], *, upto: int | None = None, snapshots: bool = True
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the states to begin with, each the newest snapshot that fits or empty, and their positions.

    Without `snapshots`, those as of the horizon, or empty.
    """
    states: dict[str, Any] = {}
    begun: dict[str, int] = {}
    for rules in all_rules:
        states[rules.name], begun[rules.name] = _first_state(log, rules, upto, snapshots=snapshots)
    return states, begun


def replay(
    log: Log, codec: EventCodec, states: Mapping[str, Any], begun: Mapping[str, int], *, upto: int | None
) -> None:
    """Take into each state what was recorded after its position, up to `upto`."""
    for state in states.values():
        state.begin_past()
    evolvers: dict[str, Evolvers] = {name: state.handlers for name, state in states.items()}
    everyone = _merged(evolvers.values())
    all_begun = max(begun.values(), default=0)
    for frame in log.frames(after=min(begun.values(), default=0), upto=upto):
        if frame.first > all_begun:
            _take(frame, codec, everyone)
        else:
            for name, handlers in evolvers.items():
                _take(frame.clipped(after=begun[name], upto=frame.last), codec, handlers)
    for state in states.values():
        state.end_past()


def whole_enough(log: Log, begun: Mapping[str, int], whole_log: Callable[[], Log]) -> Log:
    """Return the log to replay from these positions: with its archive, if a state as of the horizon did not fit."""
    return log if min(begun.values(), default=0) >= log.horizon.head.position else whole_log()


def snapshot_of(state: Any) -> bytes:
    """Return a state as `fold` can begin with it."""
    return fingerprint() + _encode(state.dump())


def _first_state(log: Log, rules: Rules, upto: int | None, *, snapshots: bool) -> tuple[Any, int]:
    """Return the newest snapshot that fits; of a log that was compacted, at least its state as of the horizon.

    That one, the last of all, is no cache: it is taken as it is, whatever code has made it. It may be newer than the
    horizon of a log that is joined with its archive, if that does not begin with the first event.
    """
    mark, base = fingerprint(), None
    for position, data in log.load_snapshots(rules.name, upto=upto):
        base = position, data
        if snapshots and data.startswith(mark):
            base = None  # it is not looked at again
            state = _restored(rules, data[len(mark) :])
            if state is not None:
                return state, position
    if base is not None and log.horizon.head.position:
        position, data = base
        state = _restored(rules, data[len(mark) :])
        if state is not None:
            return state, position
    return rules.initial(), 0


def _restored(rules: Rules, image: bytes) -> Any:
    """Return the state whose image this is; None if it does not fit."""
    try:
        return rules.restore(msgspec.msgpack.decode(image))
    except Exception:
        logger.warning("the snapshot of %r does not fit and is ignored", rules.name, exc_info=True)
        return None


def _merged(handlers: Iterable[Evolvers]) -> Evolvers:
    return {type_: evolve for each in handlers for type_, evolve in each.items()}


def _take(frame: Frame, codec: EventCodec, evolvers: Evolvers) -> None:
    """Take in the events of a frame that somebody in `evolvers` owns."""
    find, position = evolvers.get, frame.first
    try:
        events = codec.decode_frame(frame)
    except CodecError as error:
        raise _undecodable(frame, codec) from error
    try:
        for event in events:
            evolve = find(type(event))
            if evolve is not None:
                evolve(event)
            position += 1
    except Exception as error:
        raise _replay_error(frame, position, error) from error


def _undecodable(frame: Frame, codec: EventCodec) -> ReplayError:
    """Return which record it was."""
    for position, record in enumerate(frame.records, frame.first):
        try:
            codec.decode(record)
        except CodecError as error:
            return _replay_error(frame, position, error)
    return _replay_error(
        frame, frame.first, RuntimeError("the frame cannot be decoded, though its records can")
    )


def _replay_error(frame: Frame, position: int, error: Exception) -> ReplayError:
    record = frame.stored(position).record
    try:
        tag = record.tag
    except CodecError:
        tag = "?"
    return ReplayError(position, record.entity, tag, error)
