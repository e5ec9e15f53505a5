"""What gaps and folds make of wall time: the life of a zone in pieces, each with one rule.

A piece says which wall times its instants stand for. In most pieces that is what the wall shows. After a gap
there may be one that also serves the wall time that the gap swallowed (`preserve_offset`), or an instant that
stands for all of it (`shift_forward`); around a fold one of the two equal hours may serve nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from actors.clock.zones import MARGIN_S, YEAR_S, Change, changes_around, utc_offset_s
from actors.schedule.spec import FoldRule, GapRule


class Piece(NamedTuple):
    """Instants from `start_s` on and before `end_s`, in seconds.

    An instant `t` stands for the wall time `t + offset` of each of `offsets`, each with the rule to report.
    `lost` is a span of wall time: if it holds any that is wanted, `start_s` fires for it by `lost_rule`.
    """

    start_s: int
    end_s: int
    offsets: tuple[tuple[int, str], ...]
    lost: tuple[int, int] | None = None
    lost_rule: str = ""
    plain: int | None = None
    """The offset of a piece that no gap or fold touched. From such a piece a search may leap: until the next
    touched piece ends, the wall shows nothing that it has shown before."""


class Timeline(NamedTuple):
    """The pieces of one span of `YEAR_S` seconds, in order, without holes."""

    starts: tuple[int, ...]
    pieces: tuple[Piece, ...]

    def at(self, at_s: int) -> Piece:
        """The piece that holds the instant."""
        return self.pieces[bisect_right(self.starts, at_s) - 1]


@lru_cache(maxsize=4096)
def timeline(zone: str, gap: GapRule, fold: FoldRule, year: int) -> Timeline:
    """The pieces of the `year`-th span of `YEAR_S` seconds since 1970, under these rules."""
    start, end = year * YEAR_S, (year + 1) * YEAR_S
    pieces = []
    cursor, offset = start - MARGIN_S - 1, utc_offset_s(zone, start - MARGIN_S - 1)
    for change in changes_around(zone, year):
        around = _around(change, gap, fold)
        pieces.append(_plain(cursor, around[0].start_s, offset))
        pieces.extend(around)
        cursor, offset = around[-1].end_s, change.after_s
    pieces.append(_plain(cursor, end + MARGIN_S, offset))
    kept = tuple(
        piece._replace(start_s=max(piece.start_s, start), end_s=min(piece.end_s, end))
        for piece in pieces
        if piece.start_s < end and piece.end_s > start
    )
    return Timeline(tuple(piece.start_s for piece in kept), kept)


def _around(change: Change, gap: GapRule, fold: FoldRule) -> tuple[Piece, ...]:
    if change.after_s < change.before_s:
        return _around_fold(change, fold)
    return (_after_gap(change, gap),)


def _around_fold(change: Change, fold: FoldRule) -> tuple[Piece, Piece]:
    at, before, after = change
    rule = f"fold.{fold}"
    width = before - after
    return (
        Piece(at - width, at, () if fold == "second" else ((before, rule),)),
        Piece(at, at + width, () if fold == "first" else ((after, rule),)),
    )


def _after_gap(change: Change, gap: GapRule) -> Piece:
    at, before, after = change
    usual = (after, "")
    if gap == "preserve_offset":
        return Piece(at, at + after - before, ((before, "gap.preserve_offset"), usual))
    if gap == "shift_forward":
        return Piece(at, at + 1, (usual,), (at + before, at + after), "gap.shift_forward")
    return _plain(at, at + 1, after)


def _plain(start_s: int, end_s: int, offset: int) -> Piece:
    return Piece(start_s, end_s, ((offset, ""),), plain=offset)
