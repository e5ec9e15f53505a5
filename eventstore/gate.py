"""Many readers at once, or one who needs the engine for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Condition, Lock, RLock, local
from typing import Any
from weakref import ref


class Gate:
    """Lets short reads through, `with gate:`, and holds them back for whoever wants to be `alone`.

    The engine's map must not be moved, nor closed, under a transaction of this process. Who is
    inside must not go in again: it would wait for somebody who waits for it.
    """

    def __init__(self) -> None:
        """Begin with nobody inside."""
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._inside = 0
        self._waiting = 0

    def __enter__(self) -> None:
        """Go in, unless somebody is alone there or waits to be."""
        with self._lock:
            while self._waiting:
                self._changed.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """Go out."""
        with self._lock:
            self._inside -= 1
            if self._waiting and not self._inside:
                self._changed.notify_all()

    @property
    def occupied(self) -> bool:
        """Whether somebody is inside."""
        return bool(self._inside)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else in, wait until all are out, and be alone."""
        with self._lock:
            self._waiting += 1
            try:
                while self._inside:
                    self._changed.wait()
                yield
            finally:
                self._waiting -= 1
                self._changed.notify_all()


class Doors:
    """The same for whoever may be interrupted, as the main thread by Ctrl-C: `with doors.own():` is to be inside.

    Each thread has a door of its own, a lock made in C: no interrupt comes between its being taken and its being given
    back for certain. Who is alone holds all of them. Who is inside may go in again.
    """

    def __init__(self) -> None:
        """Begin with nobody inside."""
        self._mine = local()
        self._lock = RLock()
        self._doors: list[ref[Any]] = []
        """Of threads that are gone, too, until another one comes."""

    def own(self) -> AbstractContextManager[Any]:
        """Return the door of the calling thread."""
        try:
            door: AbstractContextManager[Any] = self._mine.door
        except AttributeError:
            door = RLock()
            with self._lock:
                self._doors = [*(each for each in self._doors if each() is not None), ref(door)]
                self._mine.door = door
        return door

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else in, wait until all others are out, and be alone."""
        with self._lock, ExitStack() as held:
            for door in [each() for each in self._doors]:
                if door is not None:
                    held.enter_context(door)
            yield
