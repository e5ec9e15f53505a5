"""Things in the order of their keys, as a sorted dictionary would have them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.queue.heads import Heads

CHANGES = st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 5)), max_size=80)


@given(CHANGES)
def test_heads_are_what_a_sorted_dictionary_is(changes: list[tuple[int, int | None]]) -> None:
    heads: Heads[int] = Heads()
    model: dict[int, int] = {}
    for thing, key in changes:
        if key is None:
            heads.remove(thing)
            model.pop(thing, None)
        else:
            heads.put(thing, (key, thing))
            model[thing] = key
        expected = sorted(model, key=lambda thing: (model[thing], thing))
        assert list(heads) == expected
        assert len(heads) == len(expected)
        assert heads.first() == (expected[0] if expected else None)
        assert heads.first_key() == ((model[expected[0]], expected[0]) if expected else None)


def test_what_was_moved_often_takes_no_place_for_ever() -> None:
    heads: Heads[str] = Heads()
    heads.put("a", (0,))
    for n in range(1_000):
        heads.put("b", (1_000 - n,))
    assert len(heads.heap) < 40
