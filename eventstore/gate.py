"""Many readers at once, or one who needs the engine for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class Gate:
    """Lets short reads through, `with gate:`, and holds them back while somebody is `alone`.

    The engine's map must not be moved, nor closed, under a transaction of this process.
    """

    def __init__(self) -> None:
        """Begin with nobody inside."""
        self._lock = Lock()
        self._emptied = Condition(self._lock)
        self._inside = 0
        self._awaited = False

    def __enter__(self) -> None:
        """Go in, when nobody is alone there."""
        with self._lock:
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """Go out."""
        with self._lock:
            self._inside -= 1
            if self._awaited and not self._inside:
                self._emptied.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until all are out, and let nobody in meanwhile."""
        with self._lock:
            self._awaited = True
            while self._inside:
                self._emptied.wait()
            self._awaited = False
            yield
