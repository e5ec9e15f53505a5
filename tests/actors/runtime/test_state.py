"""What has ended is remembered until its end is durable, and no longer."""

from __future__ import annotations

from actors.runtime.state import FoldedState


def test_what_ended_is_forgotten_when_it_is_said_to_be_durable() -> None:
    state: FoldedState[object] = FoldedState()
    state.retire("a", object())
    ended = state.take_retired()
    assert state.take_retired() == []
    assert list(state.retired) == ["a"]
    state.forget(ended)
    assert not state.retired


def test_what_was_taken_up_again_and_ended_anew_outlives_its_first_end() -> None:
    state: FoldedState[object] = FoldedState()
    state.retire("a", first := object())
    first_ended = state.take_retired()
    del state.retired["a"]
    state.retire("a", second := object())
    second_ended = state.take_retired()
    assert (first_ended, second_ended) == ([("a", first)], [("a", second)])
    state.forget(first_ended)
    assert state.retired == {"a": second}
    state.forget(second_ended)
    assert not state.retired
