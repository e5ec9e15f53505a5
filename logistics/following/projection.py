"""Read models of users: a pure fold of events into a table, kept together with how far it has come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from actors.runtime.errors import InputError
from eventstore.errors import LogisticsError
from logistics.following.cursors import (
    Cursor,
    check_reader_name,
    forget,
    key_of,
    read_cursor,
    write_cursor,
)
from logistics.following.follower import Follower
from logistics.inputs import check_int

if TYPE_CHECKING:
    from actors.runtime.engine import Runtime
    from eventstore.notebook import Notebook, Notes
    from logistics.audit.past import RecordedEvent

MOST_KEY_BYTES = 300
_ENCODE = msgspec.msgpack.Encoder().encode


class ProjectionError(LogisticsError):
    """A projection cannot go on: its fold raised at an event. Mend it and start again: nothing was taken in of that."""


ProjectionError.__module__ = "logistics"  # so that a traceback names what can be imported


class Table:
    """What a projection makes: values of plain data by text keys. Valid as long as `apply` runs."""

    def __init__(self, notes: Notes, name: str) -> None:
        self._notes = notes
        self._name = name

    def __getitem__(self, key: str) -> Any:
        found = self._notes.get(_key(self._name, key))
        if found is None:
            raise KeyError(key)
        return msgspec.msgpack.decode(found)

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is under a key, or else `default`."""
        found = self._notes.get(_key(self._name, key))
        return default if found is None else msgspec.msgpack.decode(found)

    def __setitem__(self, key: str, value: Any) -> None:
        self._notes.put(_key(self._name, key), _ENCODE(value))

    def __delitem__(self, key: str) -> None:
        self._notes.delete(_key(self._name, key))

    def items(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield keys that begin with `prefix`, in the order of their code points, and what is under them."""
        begin = len(key_of("t", self._name))
        for key, value in list(self._notes.items(_key(self._name, prefix, may_be_empty=True))):
            yield key[begin:].decode(), msgspec.msgpack.decode(value)


def _key(name: str, key: str, *, may_be_empty: bool = False) -> bytes:
    encoded = key.encode() if isinstance(key, str) else b""
    if len(encoded) > MOST_KEY_BYTES or not (encoded or may_be_empty):
        msg = f"key: expected a text of 1 to {MOST_KEY_BYTES} bytes in UTF-8, got {key!r}"
        raise InputError(msg)
    return key_of("t", name, encoded)


class Projection:
    """A read model of your own: subclass it, name it, and say what an event changes.

    `apply` is a pure fold: it depends on the event and the table alone, and does nothing but change the table.
    Its changes and how far it has come are written in one transaction, so that each event counts exactly once,
    whatever is killed when. It is built from events of the past as well as from those to come.
    """

    name: ClassVar[str] = ""
    """By which its table is found again."""
    version: ClassVar[int] = 1
    """Raise it when `apply` changes: the table is then made anew, from the first event on."""
    events: ClassVar[str] = "*"
    """Which tags it takes, in the manner of `fnmatch`: `job.*`."""

    def apply(self, event: RecordedEvent, table: Table) -> None:
        """Change the table as an event says."""
        raise NotImplementedError


def check_projection(projection: object) -> None:
    """Refuse what is no `Projection`."""
    if not isinstance(projection, Projection):
        made = isinstance(projection, type) and issubclass(projection, Projection)
        hint = f"; make one of it: {getattr(projection, '__name__', '')}()" if made else ""
        msg = f"projection: expected a Projection, got {projection!r}{hint}"
        raise InputError(msg)


class RunningProjection(Follower, Mapping[str, Any]):
    """A projection that is kept up to date, and its table to be read; a mapping. Made by `engine.project`."""

    def __init__(self, runtime: Runtime, notebook: Notebook, projection: Projection) -> None:
        name = check_reader_name(projection.name)
        check_int("version", projection.version, least=1, most=2**31)
        super().__init__(runtime, f"projection {name}", projection.events)
        self._key = name
        self._projection = projection
        self._notebook = notebook

    def begin(self, after: int) -> None:
        """Go on where it was; one that is new, or has another version, begins behind `after`."""
        store_id, head = self._runtime.log.store_id, self._runtime.journal.watermark

        def found(notes: Notes) -> int:
            cursor = read_cursor(notes, self._key, store_id=store_id, head=head)
            if cursor is not None and cursor.version == self._projection.version:
                return cursor.position
            forget(notes, self._key, "t")
            self._note(notes, after)
            return after

        self._start(self._notebook.write(found))

    def _note(self, notes: Notes, position: int) -> None:
        store_id = self._runtime.log.store_id
        write_cursor(notes, self._key, Cursor(position, store_id, self._projection.version))

    def _take(self, events: list[RecordedEvent], upto: int) -> int:
        """Fold a batch in one transaction; if an event cannot be taken, all before it, and stop there."""
        try:
            return self._fold(events, upto)
        except _FailedAtError as failed:
            cause = failed.__cause__
            position = failed.event.position
            before = [event for event in events if event.position < position]
            done = self._fold(before, position - 1)
            error = ProjectionError(
                f"projection {self._key!r} cannot take in {failed.event.tag!r} of {failed.event.entity!r} at "
                f"position {position}: {type(cause).__name__}: {cause}"
            )
            error.__cause__ = cause
            self._fail(error)
            return done

    def _fold(self, events: list[RecordedEvent], upto: int) -> int:
        def fold(notes: Notes) -> int:
            table = Table(notes, self._key)
            for event in events:
                try:
                    self._projection.apply(event, table)
                except Exception as error:
                    raise _FailedAtError(event) from error
            self._note(notes, upto)
            return upto

        return self._notebook.write(fold)

    # -- reading -------------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> Any:
        return self._notebook.read(lambda notes: Table(notes, self._key)[key])

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self.rows())

    def __len__(self) -> int:
        return sum(1 for _ in self.rows())

    def rows(self, prefix: str = "") -> list[tuple[str, Any]]:
        """Return keys that begin with `prefix` and what is under them, all of one moment."""
        return self._notebook.read(lambda notes: list(Table(notes, self._key).items(prefix)))


class _FailedAtError(Exception):
    def __init__(self, event: RecordedEvent) -> None:
        super().__init__()
        self.event = event
