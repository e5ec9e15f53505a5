"""Segments of the index: many entries pass through a little memory, and none is missed by the filter."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from eventstore.segments import BLOCK_ENTITIES, Entry, decode_block, digest_of, encode_segment

MANY = 40_000


def entries(count: int) -> Iterator[Entry]:
    for number in range(count):
        yield f"job:{number:024}", [number + 1, number + 2]


@pytest.mark.no_cover
def test_the_entries_of_a_large_segment_are_never_all_in_memory() -> None:
    tracemalloc.start()
    _, rows = encode_segment(0, entries(MANY), most=MANY, first=1, last=MANY + 1)
    now, peak = tracemalloc.get_traced_memory()
    held = list(entries(MANY))
    assert tracemalloc.get_traced_memory()[0] - now > 5_000_000
    tracemalloc.stop()
    assert peak - now < 1_000_000
    assert len(rows) == 1 + MANY // BLOCK_ENTITIES
    assert [entry for row in rows[1:] for entry in decode_block(*row)] == held


@pytest.mark.parametrize("most", [200, 1000], ids=["as many as said", "fewer than said"])
def test_a_filter_of_more_room_than_is_needed_holds_all_the_same(most: int) -> None:
    header, _ = encode_segment(0, entries(200), most=most, first=1, last=201)
    assert all(header.may_hold(digest_of(entity)) for entity, _ in entries(200))
    astray = sum(header.may_hold(digest_of(f"run:{number}")) for number in range(2_000))
    assert astray < 100
