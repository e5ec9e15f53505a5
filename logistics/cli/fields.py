"""What an event says, for people: names where the log has places, values where it has bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.seals import key_in, shown
from logistics.cli.output import cell

if TYPE_CHECKING:
    from logistics.audit.past import RecordedEvent


def readable(event: RecordedEvent) -> Any:
    """Return the fields of an event by name, without those that have nothing to say."""
    return event.data() if event.event is None else _named(event.event)


def gist(event: RecordedEvent) -> str:
    """Return in a few words what an event is about: an error or reason, else a name that people gave."""
    spec = getattr(event.event, "spec", None)
    said = (getattr(event.event, "error", ""), getattr(event.event, "reason", ""))
    names = (getattr(spec, "name", ""), getattr(event.event, "workflow", ""))
    return cell(shown(next(filter(None, (*said, *names)), "")))


def _named(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        defaults = dict(
            zip(reversed(value.__struct_fields__), reversed(value.__struct_defaults__), strict=False)
        )
        return {
            name: _named(each)
            for name, each in fields.items()
            if name not in defaults or each != defaults[name]
        }
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, list | tuple):
        return [_named(each) for each in value]
    if isinstance(value, dict):
        return {key: _named(each) for key, each in value.items()}
    return shown(value)


def _decoded(value: bytes) -> Any:
    """Return what bytes hold: arguments, a result, or what is sealed; what is neither stays as it is."""
    if key_in(value):
        return shown(value)
    try:
        return msgspec.to_builtins(msgspec.msgpack.decode(value))
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError, TypeError):
        return value
