"""Forgetting by the log on disk: at once by the index, then little by little in the engine's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from eventstore.entity_index import Change, put_rows
from eventstore.frame_cache import FrameCache
from eventstore.lmdb_reading import LmdbReading
from eventstore.retention import Compaction, Ledger, check_plan
from eventstore.shedding import Shedder, put_base, put_ledger


class LmdbForgetting(LmdbReading):
    """How a log is compacted, and made tidy while it is in use."""

    _shedder: Shedder | None = None

    def compact(self, plan: Compaction) -> None:
        self._check_process()
        with self._tidying, self._writing:
            self._check_writable()
            check_plan(plan, self._head, self._ledger.horizon)
            position = plan.horizon.head.position
            if self._whole_frame(position).head != plan.horizon.head:
                raise ValueError(f"the horizon at {position} is not a head that this log had")
            self._check_files()
            change = self._index().forgetting(plan.kept, position)
            shed = self._ledger.shed
            self._replace(change, Ledger(plan.horizon, tuple(plan.bases), shed), plan.bases)
            self._cache = FrameCache()

    def tidy(self) -> bool:
        self._check_process()
        self._check_writable()
        with self._tidying:
            return (not self._index().is_merging and self._shed()) or self._merge()

    def _replace(self, change: Change, ledger: Ledger, bases: Mapping[str, bytes]) -> None:
        """Put other segments into the place of some, and the ledger that says so."""
        retired = dict.fromkeys((*self._ledger.retired, *change.replaced))
        for segment in change.segments:
            retired.pop(segment.number, None)
        ledger = msgspec.structs.replace(ledger, retired=tuple(retired))
        about = self._databases.about

        def write(transaction: Any) -> None:
            put_rows(transaction, self._databases.index, change.rows)
            put_ledger(transaction, about, ledger)
            for name, state in bases.items():
                put_base(transaction, about, name, state)

        self._write(write)
        self._ledger = ledger
        self._entities.take(change)

    def _merge(self) -> bool:
        """Go on making one of several segments of the index, if there are many; whether that was so."""
        change = self._index().merge()
        if change is not None:
            with self._writing:
                self._check_writable()
                self._replace(change, self._ledger, {})
        return change is not None

    def _shed(self) -> bool:
        """Take out a little of what was forgotten; whether there was something."""
        ledger = self._ledger
        horizon = ledger.horizon.head.position
        if ledger.shed == horizon and not ledger.retired:
            return False
        if self._shedder is None or self._shedder.ledger is not ledger:
            self._shedder = Shedder(ledger, self._index().positions(upto=horizon))
        shedder = self._shedder
        found = self._view(shedder.look, "frames", index=self._databases.index)
        with self._writing:
            self._check_writable()
            if self._ledger is ledger:
                self._write_shed(shedder if found else None)
        return True

    def _write_shed(self, shedder: Shedder | None) -> None:
        """Take out what was found; None: all is out, and the ledger says so from now on."""
        frames, index, about = self._databases.frames, self._databases.index, self._databases.about
        ledger = msgspec.structs.replace(self._ledger, shed=self._ledger.horizon.head.position, retired=())
        done = 0

        def write(transaction: Any) -> None:
            nonlocal done
            if shedder is None:
                put_ledger(transaction, about, ledger)
            else:
                done = shedder.write(transaction, frames, index)

        self._write(write)
        if shedder is None:
            self._ledger = ledger
        else:
            shedder.taken(done)
