"""Events to bytes and back: one union decoder for the present, upcasters for the past."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Union

import msgspec

from eventstore.decoding import msgpack_decoder
from eventstore.errors import CodecError, UnknownEventError
from eventstore.records import DECODE_ERRORS, Frame, Record

Event = Any
"""An instance of one of a codec's types: the log does not know them."""

Upcaster = Callable[[list[Any]], list[Any]]
"""Takes a payload of one schema version, tag first, and returns that of the next version."""

_ENCODE_ERRORS = (TypeError, ValueError, OverflowError, RecursionError)
_FIELDS: Final = msgpack_decoder(list[Any])


class EventCodec:
    """Encodes and decodes the events of a closed set of types.

    A type is a frozen, array-like msgspec struct with a text tag of its own, and says its
    `schema_version` if that is not 1. A released type may get a new last field with a default;
    any other change is a new version, with an upcaster from the one before.
    """

    def __init__(
        self,
        types: Iterable[type[msgspec.Struct]],
        *,
        upcasters: Mapping[tuple[str, int], Upcaster] | None = None,
    ) -> None:
        """Compile the decoder.

        `ValueError` for a type that is not as it should be, a tag that is used twice, or an
        older version that no upcaster leads away from.
        """
        self._upcasters = dict(upcasters or {})
        self._types = {_tag(type_): type_ for type_ in _distinct(types)}
        self._versions = {type_: _version(type_) for type_ in self._types.values()}
        self._check_upcasters()
        union: Any = Union[tuple(self._types.values())]  # noqa: UP007 - made of a runtime tuple
        self._decode = msgpack_decoder(union)
        self._encode = msgspec.msgpack.Encoder().encode

    @property
    def types(self) -> tuple[type[msgspec.Struct], ...]:
        """The types of events that it knows."""
        return tuple(self._types.values())

    def encode(self, event: Event) -> bytes:
        """Return an event's payload. `CodecError` if it has none, `TypeError` for other types."""
        if type(event) not in self._versions:
            raise TypeError(f"{type(event).__name__} is not an event of this codec")
        try:
            return self._encode(event)
        except _ENCODE_ERRORS as error:
            raise CodecError(f"{type(event).__name__} cannot be encoded: {error}") from error

    def records(self, events: Iterable[tuple[Event, str]], *, cause: str) -> list[Record]:
        """Return events, each with its correlation, as `record` would."""
        encode, versions = self._encode, self._versions
        records = []
        try:
            for event, correlation in events:  # most often one: a comprehension takes longer
                records.append(Record(event.entity, versions[type(event)], cause, correlation, encode(event)))
            return records
        except (KeyError, *_ENCODE_ERRORS):
            return [
                self.record(event, entity=event.entity, cause=cause, correlation=correlation)
                for event, correlation in events
            ]

    def record(self, event: Event, *, entity: str, cause: str = "", correlation: str = "") -> Record:
        """Return an event as a record of the present schema version."""
        payload = self.encode(event)
        return Record(entity, self._versions[type(event)], cause, correlation, payload)

    def decode(self, record: Record) -> Event:
        """Return the event of a record, in its present shape.

        `UnknownEventError` for a tag or version that this code does not know, `CodecError` for
        bytes that are no event.
        """
        try:
            event = self._decode(record.payload)
        except DECODE_ERRORS as error:
            return self._decode_slowly(record, error)
        if self._versions[type(event)] == record.version:
            return event
        return self._decode_slowly(record, None)

    def decode_frame(self, frame: Frame) -> list[Event]:
        """Return the events of a frame; the same as `decode` for each, but faster."""
        decode, versions, records = self._decode, self._versions, frame.records
        try:
            events = [decode(record.payload) for record in records]
        except DECODE_ERRORS:
            return [self.decode(record) for record in records]
        if [versions[type(event)] for event in events] == [record.version for record in records]:
            return events
        return [self.decode(record) for record in records]

    def _decode_slowly(self, record: Record, error: Exception | None) -> Event:
        """Decode what is not of the present version, or say why it cannot be."""
        tag, version = record.tag, record.version
        type_ = self._types.get(tag)
        if (tag, version) in self._upcasters:
            return self._upcast(record, tag)
        if type_ is None or version > self._versions[type_]:
            raise UnknownEventError(tag, version) from error
        raise CodecError(
            f"{tag!r}, version {version}, of {record.entity!r} cannot be decoded: {error}"
        ) from error

    def _upcast(self, record: Record, tag: str) -> Event:
        version = record.version
        try:
            fields: list[Any] = _FIELDS(record.payload)
            while upcaster := self._upcasters.get((tag, version)):
                fields = upcaster(fields)
                tag, version = fields[0], version + 1
            event = self._decode(self._encode(fields))
        except Exception as error:
            raise CodecError(
                f"{tag!r}, version {version}, of {record.entity!r} cannot be upcast: {error}"
            ) from error
        if self._versions[type(event)] != version:
            raise UnknownEventError(tag, version)
        return event

    def _check_upcasters(self) -> None:
        for tag, type_ in self._types.items():
            for version in range(1, self._versions[type_]):
                if (tag, version) not in self._upcasters:
                    raise ValueError(f"no upcaster leads from version {version} of {tag!r} to the next")
            if (tag, self._versions[type_]) in self._upcasters:
                raise ValueError(f"an upcaster leads away from the present version of {tag!r}")


def _distinct(types: Iterable[type[msgspec.Struct]]) -> list[type[msgspec.Struct]]:
    """Return the types. `ValueError` if there are none or two share a tag."""
    owners: dict[str, type[msgspec.Struct]] = {}
    for type_ in types:
        owner = owners.setdefault(_tag(type_), type_)
        if owner is not type_:
            raise ValueError(f"{owner.__name__} and {type_.__name__} share the tag {_tag(type_)!r}")
    if not owners:
        raise ValueError("a codec needs at least one type")
    return list(owners.values())


def _tag(type_: type[msgspec.Struct]) -> str:
    config = type_.__struct_config__
    if not (config.frozen and config.array_like and isinstance(config.tag, str)):
        raise ValueError(f"{type_.__name__} is not a frozen, array-like struct with a text tag")
    return config.tag


def _version(type_: type[msgspec.Struct]) -> int:
    version = getattr(type_, "schema_version", 1)
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"{type_.__name__}.schema_version is {version!r}; versions begin with 1")
    return version
