"""A store read from outside, while another process may be working in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Self

from actors.folding import event_codec
from actors.retention import ENDING
from eventstore.archive import FOLDER_NAME
from eventstore.checking import Check, check_log
from eventstore.errors import NotAStoreError, ReplayError
from eventstore.joined_log import JoinedLog
from eventstore.last_commit import may_wait
from eventstore.lmdb_log import LmdbLog
from eventstore.opening import DATA_NAME, read_marker
from logistics.audit.history import History
from logistics.whereabouts import MEMORY, resolve

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    from eventstore.records import Frame, Head
    from logistics.audit.store_view import StoreView


logger = logging.getLogger("logistics.reader")


class StoreReader(History):
    """Reads a store, in use or not, without owning or disturbing it. A context manager.

    Not in the process that has the store open: use `OrchestrationEngine.as_of` and `history` there.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Open the store at `path` to read; None: `$LOGISTICS_HOME`, else `.logistics/` here.

        `StoreError` if there is none, or it cannot be read. A warning is logged if the machine went down under its
        owner and nobody has opened it since: its last commit may be missing then.
        """
        where = resolve(path)
        if where == MEMORY:
            msg = "a store in memory can be read only by its own engine"
            raise NotAStoreError(msg)
        self._store = LmdbLog.open(Path(where), read_only=True)
        if may_wait(Path(self._store.path) / DATA_NAME):
            text = (
                "%s was in use when the machine went down: its last commit may be missing here until a program opens "
                "the store; `logistics doctor` says whether it is"
            )
            logger.warning(text, self._store.path)
        self._whole = JoinedLog(self._store, Path(self._store.path) / FOLDER_NAME, whole=ENDING)
        super().__init__(self._whole, event_codec(), lambda: self._store.head.position)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The store's folder."""
        return self._store.path

    @property
    def store_id(self) -> str:
        """The store's own id, given once when it was created."""
        return self._store.store_id

    @property
    def part(self) -> str:
        """Of which log the store holds only a part, as an export of it says; empty for a whole one."""
        marker = read_marker(Path(self.path))
        return "" if marker is None else marker.part

    @property
    def head(self) -> Head:
        """The end of the log: its position, and the link that stands for everything before it."""
        return self._store.head

    def as_of(self, moment: int | datetime | None = None, *, snapshots: bool = True) -> StoreView:
        """Return the store as it was, as `History.as_of` does; `NotAStoreError` for a part that has no state."""
        try:
            return super().as_of(moment, snapshots=snapshots)
        except ReplayError as error:
            if not self.part:
                raise
            text = f"{self.path} holds a part of a log only, and no state follows from it: {self.part}"
            remedy = "Look at its events; an export of a run has all that the run needs."
            raise NotAStoreError(text, remedy=remedy) from error

    def check(self, *, seen: Callable[[Frame], object] = lambda _: None) -> Check:
        """Walk all of the log: every checksum, the chain, the index; `seen` gets each frame."""
        return check_log(self._whole, seen=seen)

    def close(self) -> None:
        """Give the files back; a second call does nothing."""
        self._store.close()
