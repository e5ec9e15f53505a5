"""Resources: all or nothing, first come first served, never over-committed."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.queue.events import (
    ResourceAdded,
    ResourceGranted,
    ResourceReleased,
    ResourceRemoved,
    ResourceRequested,
)
from actors.queue.messages import (
    AddResource,
    Allocate,
    EndShare,
    GetResources,
    Release,
    ReleaseAll,
    ResourceView,
)
from actors.queue.specs import SHARE
from actors.runtime.errors import ConflictingIdError, InputError, UnknownIdError
from actors.runtime.messages import Message
from tests.actors.queue.bench import START, Bench, spec


def stocked(**capacities: float) -> Bench:
    bench = Bench()
    for name, capacity in (capacities or {"gpu": 2.0}).items():
        bench.when(AddResource(name, "kind", float(capacity)))
    return bench


def take(allocation_id: str, *, wait: bool = True, by: str = "me", **amounts: float) -> Allocate:
    return Allocate(allocation_id, by, tuple((name, float(amount)) for name, amount in amounts.items()), wait)


def view(bench: Bench, name: str = "gpu") -> ResourceView:
    views = {each.name: each for each in bench.when(GetResources()).reply}
    found = views[name]
    assert isinstance(found, ResourceView)
    return found


def granted(events: list[Any]) -> list[str]:
    return [event.allocation_id for event in events if isinstance(event, ResourceGranted)]


def test_a_resource_is_defined_once_and_changed_when_it_differs() -> None:
    bench = Bench()
    assert bench.when(AddResource("gpu", "card", 2.0)).events == [ResourceAdded("gpu", "card", 2.0, START)]
    assert bench.when(AddResource("gpu", "card", 2.0)).events == []
    assert bench.when(AddResource("gpu", "card", 3.0)).events == [ResourceAdded("gpu", "card", 3.0, START)]
    assert view(bench) == ResourceView("gpu", "card", 3.0, 0, (), 0)


def test_what_is_free_is_granted_at_once() -> None:
    bench = stocked()
    said = bench.when(take("a", gpu=1.5))
    assert said.reply is True
    assert said.events == [ResourceGranted("a", "me", (("gpu", 1.5),), 1, START)]
    assert view(bench) == ResourceView("gpu", "kind", 2.0, 1.5, (("a", "me", 1.5),), 0)
    bench.check()


def test_who_does_not_wait_gets_no_and_leaves_no_trace() -> None:
    bench = stocked()
    bench.when(take("a", gpu=2))
    said = bench.when(take("b", wait=False, gpu=1))
    assert (said.reply, said.events) == (False, [])


def test_who_waits_is_granted_in_turn_and_is_not_overtaken() -> None:
    bench = stocked()
    bench.when(take("a", gpu=1))
    said = bench.when(take("big", gpu=2))
    assert said.reply is False
    assert said.events == [ResourceRequested("big", "me", (("gpu", 2.0),), 1, START)]
    assert bench.when(take("small", gpu=1)).reply is False, "one is free, but somebody waits"
    assert bench.when(take("hasty", wait=False, gpu=1)).reply is False
    assert view(bench).waiting == 2
    bench.check()
    said = bench.when(Release("a"))
    assert said.reply is True
    assert granted(said.events) == ["big"]
    assert granted(bench.when(Release("big")).events) == ["small"]
    bench.check()


def test_one_release_lets_in_as_many_as_fit() -> None:
    bench = stocked(gpu=3)
    bench.when(take("all", gpu=3))
    for name in "abcd":
        bench.when(take(name, gpu=1))
    assert granted(bench.when(Release("all")).events) == ["a", "b", "c"]


def test_who_waits_for_something_else_is_not_held_up() -> None:
    bench = stocked(gpu=1, cpu=1)
    bench.when(take("a", gpu=1))
    bench.when(take("b", gpu=1))
    assert bench.when(take("c", cpu=1)).reply is True
    bench.when(take("d", gpu=1, cpu=1))
    assert granted(bench.when(Release("c")).events) == [], "d needs the other one, too"
    assert granted(bench.when(Release("a")).events) == ["b"]
    assert granted(bench.when(Release("b")).events) == ["d"]
    bench.check()


def test_several_are_granted_all_or_none() -> None:
    bench = stocked(gpu=1, cpu=4)
    bench.when(take("a", gpu=1))
    assert bench.when(take("b", wait=False, cpu=2, gpu=1)).reply is False
    assert view(bench, "cpu").used == 0


def test_two_who_need_what_the_other_has_cannot_deadlock() -> None:
    bench = stocked(one=1, two=1)
    assert bench.when(take("x", one=1, two=1)).reply is True
    assert bench.when(take("y", two=1, one=1)).reply is False
    assert granted(bench.when(Release("x")).events) == ["y"]


def test_whoever_gives_up_waiting_lets_the_next_one_pass() -> None:
    bench = stocked()
    bench.when(take("a", gpu=1))
    bench.when(take("big", gpu=2))
    bench.when(take("small", gpu=1))
    said = bench.when(Release("big"))
    assert said.reply is True
    assert granted(said.events) == ["small"]
    bench.check()


def test_releasing_what_is_not_held_is_false() -> None:
    bench = stocked()
    assert bench.when(Release("never")).reply is False
    bench.when(take("a", gpu=1))
    bench.when(Release("a"))
    assert bench.when(Release("a")).reply is False


def test_saying_it_again_is_answered_as_it_stands() -> None:
    bench = stocked()
    bench.when(take("a", gpu=2))
    bench.when(take("b", gpu=1))
    for allocation, answer in (("a", True), ("b", False)):
        said = bench.when(take(allocation, gpu=2 if allocation == "a" else 1))
        assert (said.reply, said.events) == (answer, [])
    refusal = bench.refusal(take("a", gpu=1))
    assert isinstance(refusal, ConflictingIdError)
    assert str(refusal) == "allocation id 'a' is in use for something else"


def test_all_that_one_requester_holds_and_waits_for_is_given_back_at_once() -> None:
    bench = stocked(gpu=2, cpu=1)
    bench.when(take("a", by="s", gpu=1))
    bench.when(take("b", by="s", cpu=1))
    bench.when(take("mine", gpu=1))
    bench.when(take("c", by="s", gpu=2))
    bench.when(take("next", gpu=1))
    said = bench.when(ReleaseAll("s"))
    assert said.reply == 3
    assert [event.allocation_id for event in said.of(ResourceReleased)] == ["a", "b", "c"]
    assert granted(said.events) == ["next"]
    assert bench.when(ReleaseAll("s")).reply == 0
    assert bench.when(ReleaseAll("nobody")).events == []
    bench.check()


def test_what_a_dead_process_held_or_waited_for_is_free_at_the_next_opening_and_not_after_a_rebuild() -> None:
    bench = stocked()
    bench.when(take("a", gpu=2))
    bench.when(take("b", gpu=1))
    assert bench.rebuild().events == []
    assert bench.restart().events == [
        ResourceReleased("a", START, "holder ended"),
        ResourceReleased("b", START, "holder ended"),
    ]
    assert view(bench).used == 0
    bench.check()


def test_tenths_add_up() -> None:
    bench = stocked(gpu=1)
    for n in range(10):
        assert bench.when(take(f"{n}", gpu=0.1)).reply is True
    assert bench.when(take("more", wait=False, gpu=0.1)).reply is False


# -- refusals ------------------------------------------------------------------------------------------

BAD_AMOUNTS = [0.0, -1.0, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
def test_amounts_and_capacities_are_finite_and_above_zero(amount: float) -> None:
    bench = stocked()
    for message in (AddResource("cpu", "kind", amount), take("a", gpu=amount)):
        refusal = bench.refusal(message)
        assert isinstance(refusal, InputError)
        assert str(refusal).endswith(f"expected a number above 0, got {amount}")


def test_an_allocation_names_each_resource_once_and_at_least_one() -> None:
    bench = stocked()
    for amounts in ((), (("gpu", 1.0), ("gpu", 1.0))):
        refusal = bench.refusal(Allocate("a", "me", amounts))
        assert isinstance(refusal, InputError)
        assert "at least one resource, each once" in str(refusal)


def test_what_can_never_be_granted_is_refused() -> None:
    bench = stocked()
    unknown = bench.refusal(take("a", cpu=1))
    assert isinstance(unknown, UnknownIdError)
    assert str(unknown) == "no resource 'cpu'; there is 'gpu'"
    too_much = bench.refusal(take("a", gpu=2.5))
    assert isinstance(too_much, InputError)
    assert str(too_much) == "2.5 of 'gpu' can never be granted: its capacity is 2.0"


def test_a_capacity_below_what_is_used_or_waited_for_is_refused() -> None:
    bench = stocked(gpu=4)
    bench.when(take("a", gpu=2))
    used = bench.refusal(AddResource("gpu", "kind", 1.0))
    assert isinstance(used, InputError)
    assert str(used) == "resource 'gpu': 2.0 are in use, more than the new capacity of 1.0"
    bench.when(take("b", gpu=3))
    waited = bench.refusal(AddResource("gpu", "kind", 2.0))
    assert str(waited) == "resource 'gpu': somebody waits for 3.0, more than the new capacity of 2.0"


def test_a_larger_capacity_lets_in_who_waits() -> None:
    bench = stocked(gpu=2)
    bench.when(take("a", gpu=2))
    bench.when(take("b", gpu=1))
    assert granted(bench.when(AddResource("gpu", "kind", 3.0)).events) == ["b"]
    bench.check()


# -- property ------------------------------------------------------------------------------------------

NAMES = ("cpu", "gpu", "memory")
AMOUNT = st.sampled_from([0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("take"), st.dictionaries(st.sampled_from(NAMES), AMOUNT, min_size=1), st.booleans()
        ),
        st.tuples(st.just("release"), st.integers(0, 40), st.booleans()),
        st.tuples(st.just("add"), st.sampled_from(NAMES), AMOUNT),
        st.tuples(st.just("restart"), st.booleans(), st.booleans()),
    ),
    max_size=40,
)


@given(STEPS)
def test_never_is_more_held_than_there_is_and_whoever_could_be_served_is(
    steps: list[tuple[str, Any, Any]],
) -> None:
    bench = stocked(**dict.fromkeys(NAMES, 2.0))
    for number, step in enumerate(steps):
        happen(bench, number, step)
        bench.check()
        resources = bench.state.resources
        for name in NAMES:
            assert resources.used(name) <= resources.capacity[name][1] + 1e-6
        blocked: set[str] = set()
        for waiting in resources.waiting.values():
            names = {name for name, _ in waiting.amounts}
            if not names & blocked:
                assert not resources.fits(waiting.amounts), "it could be served and nobody is before it"
            blocked |= names


def happen(bench: Bench, number: int, step: tuple[str, Any, Any]) -> None:
    what, first, second = step
    if what == "restart":
        bench.restart(epoch=bench.epoch + first)
        return
    message: Message = AddResource(str(first), "kind", second)
    if what == "take":
        message = take(f"{number}", wait=second, by=f"r{number % 3}", **first)
    elif what == "release":
        message = ReleaseAll(f"r{first % 3}") if second else Release(f"{first}")
    with contextlib.suppress(InputError, UnknownIdError):
        bench.decide(message)
        bench.when(message)


def test_resources_and_jobs_live_side_by_side() -> None:
    bench = stocked()
    bench.enqueue(spec("a"))
    bench.when(take("x", gpu=1))
    bench.check()


def test_what_a_session_shares_is_not_forgotten_while_somebody_waits_for_some_of_it() -> None:
    """Who waits for that and for something else besides would never have been looked at without a `KeyError`."""
    share = f"{SHARE}s"
    bench = stocked(gpu=1, **{share: 1})
    bench.when(take("a", gpu=1))
    bench.when(Allocate("b", "me", (("gpu", 1.0), (share, 1.0)), wait=True))
    assert not bench.when(EndShare(share, running=False, last=True)).of(ResourceRemoved)
    assert granted(bench.when(Release("a")).events) == ["b"]
    assert bench.when(Release("b")).of(ResourceRemoved)
    bench.check()
