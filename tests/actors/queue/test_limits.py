"""What a queue lets through: at one time, in a span of time, in whose turn, with which resources."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.queue import hall
from actors.queue.events import JobCompleted, JobEnqueued, JobLeased, JobStarted, QueueConfigured
from actors.queue.gates import Gate
from actors.queue.hall import Hall
from actors.queue.lines import Line
from actors.queue.messages import (
    AddResource,
    Allocate,
    CancelJob,
    ConfigureQueue,
    EnqueueJobs,
    GetQueueSettings,
    GetResources,
    LeaseJob,
    PauseQueue,
    Release,
    RetryJob,
)
from actors.queue.specs import JobSpec, QueueSettings, Rate, Terms
from actors.queue.state import QueueState
from actors.runtime.errors import InputError, UnknownIdError
from actors.runtime.messages import Event
from tests.actors.queue.bench import RULES, SECOND, START, Bench, folded, spec, through_image
from tests.support.work import lines_run


def limited(settings: QueueSettings, *, capacity: int = 9, **more: Any) -> Bench:
    bench = Bench(capacity=capacity, **more)
    bench.when(ConfigureQueue("q", settings))
    return bench


def keyed(job_id: str, key: str = "k", **more: Any) -> JobSpec:
    return spec(job_id, terms=Terms(key=key), **more)


def needing(job_id: str, gpu: float, **more: Any) -> JobSpec:
    return spec(job_id, terms=Terms(resources=(("gpu", float(gpu)),)), **more)


def with_gpus(capacity: float = 2.0, **more: Any) -> Bench:
    bench = Bench(**{"capacity": 9, **more})
    bench.when(AddResource("gpu", "hardware", float(capacity)))
    return bench


# -- at one time -------------------------------------------------------------------------------------------


def test_settings_are_recorded_once_and_told() -> None:
    bench = Bench()
    settings = QueueSettings(concurrency=2, rate=Rate(3, SECOND))
    assert bench.when(GetQueueSettings("q")).reply == QueueSettings()
    assert bench.when(ConfigureQueue("q", settings)).events == [QueueConfigured("q", settings, START)]
    assert bench.when(ConfigureQueue("q", settings)).events == []
    bench.restart()
    assert bench.when(GetQueueSettings("q")).reply == settings
    bench.check()


def test_no_more_of_a_queue_run_than_it_lets_through_and_other_queues_go_on() -> None:
    bench = limited(QueueSettings(concurrency=2))
    bench.enqueue(*(spec(f"j{n}") for n in range(4)), spec("other", queue="p"))
    assert bench.running == ["j0", "j1", "other"]
    bench.finish("j1")
    assert bench.running == ["j0", "other", "j2"]
    bench.check()


def test_no_more_of_a_key_run_and_who_stands_behind_them_does_not_wait() -> None:
    bench = limited(QueueSettings(key_concurrency=1))
    bench.enqueue(keyed("a1"), keyed("a2"), keyed("b", "other"), spec("plain"))
    assert bench.running == ["a1", "b", "plain"]
    bench.finish("a1")
    assert bench.running == ["b", "plain", "a2"]


def test_no_more_of_a_function_run() -> None:
    bench = limited(QueueSettings(function_concurrency=(("app:work", 1),)))
    bench.enqueue(spec("a"), spec("b"), spec("c", function="app:other"))
    assert bench.running == ["a", "c"]


def test_a_limit_that_comes_later_counts_what_runs_and_holds_for_what_waits() -> None:
    bench = Bench(capacity=2)
    bench.enqueue(keyed("a"), keyed("b"), keyed("c"), keyed("d", "other"))
    bench.when(ConfigureQueue("q", QueueSettings(key_concurrency=1)))
    bench.finish("a")
    assert bench.running == ["b", "d"]
    bench.when(ConfigureQueue("q", QueueSettings()))
    bench.finish("b")
    assert bench.running == ["d", "c"]


def test_a_job_taken_by_hand_counts_until_it_is_settled_or_its_lease_ends() -> None:
    bench = limited(QueueSettings(concurrency=1), served=frozenset())
    bench.enqueue(spec("a"), spec("b"))
    assert bench.when(LeaseJob("q", SECOND)).of(JobLeased)
    assert bench.when(LeaseJob("q", SECOND)).reply is None
    bench.pass_time(SECOND)
    assert bench.when(LeaseJob("q", SECOND)).reply.job_id == "b"


def test_a_cancelled_job_keeps_its_place_as_long_as_its_function_runs() -> None:
    bench = limited(QueueSettings(key_concurrency=1))
    bench.enqueue(keyed("a"), keyed("b"))
    key = bench.state.jobs["a"].key
    bench.when(CancelJob("a"))
    assert bench.running == []
    bench.check()
    bench.when(bench.ended("a", key=key))
    assert bench.running == ["b"]


def test_what_a_dead_process_held_is_free_after_a_restart() -> None:
    bench = with_gpus()
    bench.when(ConfigureQueue("q", QueueSettings(key_concurrency=1)))
    both = Terms(key="k", resources=(("gpu", 2.0),))
    bench.enqueue(spec("a", terms=both), spec("b", terms=both))
    bench.when(CancelJob("a"))
    bench.restart()
    assert bench.running == ["b"]
    assert bench.when(GetResources()).reply[0].used == 2
    bench.check()


# -- in a span of time ---------------------------------------------------------------------------------------


STEPS = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=60)


@given(STEPS, st.integers(1, 5), st.integers(1, 20))
def test_no_window_sees_more_starts_than_the_rate_allows(
    steps: list[tuple[int, bool]], count: int, per_us: int
) -> None:
    gate = Gate(0, Rate(count, per_us))
    starts: list[int] = []
    now_us = START
    for later_us, restart in steps:
        now_us += later_us
        if not gate.opens_us(now_us):
            gate.take(now_us)
            starts.append(now_us)
        else:
            assert gate.opens_us(gate.opens_us(now_us)) == 0, "it opens when it says it will"
        if restart and (image := gate.dump(now_us)) is not None:
            gate = Gate(0, Rate(count, per_us))
            gate.restore(image)
        assert sum(start > now_us - per_us for start in starts) <= count


@given(STEPS, st.integers(1, 5), st.integers(1, 20), st.integers(1, 4))
def test_a_bucket_lets_through_its_burst_and_then_its_rate(
    steps: list[tuple[int, bool]], count: int, per_us: int, burst: int
) -> None:
    gate = Gate(0, Rate(count, per_us, burst))
    starts: list[int] = []
    now_us = START
    for later_us, restart in steps:
        now_us += later_us
        while not gate.opens_us(now_us):
            gate.take(now_us)
            starts.append(now_us)
        assert gate.opens_us(gate.opens_us(now_us)) == 0
        if restart and (image := gate.dump(now_us)) is not None:
            gate = Gate(0, Rate(count, per_us, burst))
            gate.restore(image)
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            assert (last - first + 1 - burst) * per_us <= (starts[last] - starts[first]) * count


@pytest.mark.parametrize("burst", [0, 1])
def test_a_clock_that_is_set_back_makes_nobody_wait_for_it_to_come_again(burst: int) -> None:
    gate = Gate(0, Rate(1, SECOND, burst))
    gate.take(START + 3_600 * SECOND)
    assert gate.opens_us(START) == 0
    gate.set_back(START + 3_600 * SECOND, START)
    gate.take(START)
    assert gate.opens_us(START) == START + SECOND


@pytest.mark.parametrize("burst", [0, 1])
@pytest.mark.parametrize("each", [False, True])
def test_who_was_held_back_by_a_rate_starts_at_once_when_the_clock_is_set_back(
    burst: int, each: bool
) -> None:
    rate = Rate(1, 60 * SECOND, burst)
    bench = limited(QueueSettings(key_rate=rate) if each else QueueSettings(rate=rate))
    bench.enqueue(keyed("a"), keyed("b"), keyed("c"))
    bench.finish("a")
    assert bench.running == []
    bench.pass_time(-3_600 * SECOND)
    assert bench.running == ["b"]
    bench.check()
    bench.finish("b")
    assert bench.pass_time(60 * SECOND).of(JobStarted)


def test_a_snapshot_remembers_what_a_rate_let_through_since_the_clock_was_set_back() -> None:
    bench = limited(QueueSettings(rate=Rate(1, 60 * SECOND)))
    bench.enqueue(spec("before"))
    bench.pass_time(-3_600 * SECOND)
    bench.enqueue(spec("since"), spec("next"))
    assert bench.running == ["before", "since"]
    restored = through_image(bench.state)
    assert restored.hall.first(bench.context()) is None


@pytest.mark.parametrize("burst", [0, 1])
@pytest.mark.parametrize("each", [False, True])
def test_with_a_snapshot_and_a_clock_that_is_set_back_the_same_is_remembered_as_without(
    burst: int, each: bool
) -> None:
    rate = Rate(1, 60 * SECOND, burst)
    bench = limited(QueueSettings(key_rate=rate) if each else QueueSettings(rate=rate))
    bench.enqueue(keyed("a"))
    bench.pass_time(61 * SECOND)
    bench.enqueue(spec("of another queue", queue="p"))
    restored = through_image(bench.state)
    bench.pass_time(-50 * SECOND)
    for event in bench.enqueue(spec("of another queue, before that", queue="p")).events:
        restored.evolve(event)
    assert restored.dump() == bench.state.dump()
    bench.check()


def test_a_rate_wakes_the_queue_when_it_opens_and_is_remembered_over_restarts() -> None:
    bench = limited(QueueSettings(rate=Rate(2, SECOND)))
    bench.enqueue(*(spec(f"j{n}") for n in range(3)))
    assert bench.running == ["j0", "j1"]
    assert bench.state.next_wake_us() == START + SECOND
    bench.finish("j0")
    bench.finish("j1")
    bench.restart()
    assert bench.running == []
    assert bench.pass_time(SECOND).of(JobStarted)
    bench.check()


def test_who_goes_along_in_a_batch_is_not_before_who_waits_for_a_resource() -> None:
    def of(group: str, gpus: float) -> Terms:
        return Terms(group=group, resources=(("gpu", gpus),), batch=2)

    bench = with_gpus(4)
    bench.when(Allocate("by hand", "somebody", (("gpu", 2.0),), False))
    bench.enqueue(spec("served", terms=Terms(group="h")), spec("waits", terms=of("h", 3.0)))
    bench.enqueue(spec("its turn", terms=of("g", 1.0)), spec("behind", terms=of("g", 1.0)))
    assert bench.running == ["served", "its turn"], "then it is the turn of who waits"
    bench.when(Release("by hand"))
    assert bench.running == ["served", "its turn", "waits"]
    bench.check()


def test_a_rate_that_holds_nobody_back_any_more_wakes_nobody() -> None:
    bench = limited(QueueSettings(key_rate=Rate(1, SECOND)))
    bench.enqueue(keyed("a"), keyed("b"))
    assert bench.state.next_wake_us() == START + SECOND
    bench.when(CancelJob("b"))
    assert bench.state.next_wake_us() is None
    bench.check()


@pytest.mark.parametrize("each", [True, False])
def test_a_rate_that_lets_the_next_one_through_wakes_once_though_nobody_may_start(each: bool) -> None:
    """Without workers jobs are taken by hand: a queue that is due again at once would never rest."""
    rate = Rate(1, SECOND)
    bench = limited(QueueSettings(key_rate=rate) if each else QueueSettings(rate=rate), capacity=0)
    bench.enqueue(keyed("a"), keyed("b"))
    assert bench.when(LeaseJob("q", 60 * SECOND)).reply is not None
    assert bench.when(LeaseJob("q", 60 * SECOND)).reply is None
    assert RULES.next_wake_us(bench.state, bench.context()) == START + SECOND
    bench.pass_time(SECOND)
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 60 * SECOND
    assert bench.when(LeaseJob("q", 60 * SECOND)).reply is not None


def test_each_key_has_a_rate_of_its_own() -> None:
    bench = limited(QueueSettings(key_rate=Rate(1, SECOND)))
    bench.enqueue(keyed("a1"), keyed("a2"), keyed("b1", "b"))
    assert bench.running == ["a1", "b1"]
    bench.pass_time(SECOND)
    assert bench.running == ["a1", "b1", "a2"]


# -- resources -------------------------------------------------------------------------------------------------


def test_resources_are_waited_for_and_given_back_at_the_end_of_the_attempt() -> None:
    bench = with_gpus()
    bench.enqueue(needing("a", 1), needing("b", 1), needing("c", 1), spec("plain"))
    assert bench.running == ["a", "b", "plain"]
    [view] = bench.when(GetResources()).reply
    assert (view.used, view.holders) == (2.0, (("job:a", "job:a", 1.0), ("job:b", "job:b", 1.0)))
    bench.finish("a", "error", error="E")
    assert bench.running == ["b", "plain", "c"]
    bench.check()


def test_who_waits_for_much_is_not_overtaken_by_those_who_want_little() -> None:
    bench = with_gpus()
    bench.enqueue(needing("a", 1), needing("large", 2), needing("b", 1))
    assert bench.running == ["a"], "b would fit, and so would the next one, for ever"
    bench.enqueue(needing("urgent", 1, priority=1))
    assert bench.running == ["a", "urgent"]
    bench.finish("a")
    bench.finish("urgent")
    assert bench.running == ["large"]
    bench.finish("large")
    assert bench.running == ["b"]


@pytest.mark.parametrize("number", range(8))
def test_who_waits_for_much_in_one_queue_is_not_overtaken_from_another_whatever_their_names(
    number: int,
) -> None:
    first, second = f"first {number}", f"second {number}"
    bench = with_gpus(2, served=frozenset({first, second}))
    bench.enqueue(needing("one", 1, queue=first))
    bench.enqueue(needing("both", 2, queue=first), needing("little", 1, queue=second))
    assert bench.running == ["one"]
    bench.finish("one")
    assert bench.running == ["both"]


@pytest.mark.parametrize("how", ["is cancelled", "its queue is paused", "nobody serves it"])
def test_who_cannot_start_keeps_nothing_from_others(how: str) -> None:
    bench = with_gpus()
    bench.enqueue(needing("a", 1), needing("large", 2, queue="p"), needing("b", 1))
    assert bench.running == ["a"]
    if how == "is cancelled":
        bench.when(CancelJob("large"))
    elif how == "its queue is paused":
        bench.when(PauseQueue("p"))
    else:
        bench.served = frozenset({"q"})
        bench.settle()
    assert bench.running == ["a", "b"]
    bench.check()


@pytest.mark.parametrize(
    ("settings", "key"), [(QueueSettings(concurrency=1), ""), (QueueSettings(key_concurrency=1), "k")]
)
@pytest.mark.parametrize("waits_before", [True, False])
def test_who_is_held_back_by_a_limit_that_is_reached_later_keeps_nothing_from_others(
    settings: QueueSettings, key: str, waits_before: bool
) -> None:
    bench = with_gpus()
    bench.when(ConfigureQueue("p", settings))
    bench.when(Allocate("mine", "me", (("gpu", 1.0),)))
    bench.enqueue(spec("large", queue="p", terms=Terms(key=key, resources=(("gpu", 2.0),))))
    if waits_before:
        bench.enqueue(needing("small", 1))
    bench.enqueue(keyed("other", key, queue="p", function="app:other"))
    if not waits_before:
        bench.enqueue(needing("small", 1))
    assert set(bench.running) == {"other", "small"}, "the large one could not start if there were two"
    bench.finish("other")
    bench.finish("small")
    bench.when(Release("mine"))
    assert bench.running == ["large"]
    bench.check()


def ran_in_order(bench: Bench) -> list[str]:
    """Finish one after the other, and return in which order they ran."""
    order = []
    while bench.running:
        order.append(bench.running[0])
        bench.finish(order[-1])
    return order


def test_groups_take_turns_at_a_resource_too() -> None:
    bench = with_gpus(1)
    terms = {group: Terms(group=group, resources=(("gpu", 1.0),)) for group in "ab"}
    bench.enqueue(*(spec(f"{group}{n}", terms=terms[group]) for group in "ab" for n in range(3)))
    assert ran_in_order(bench) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_who_has_waited_long_goes_before_who_is_urgent_at_a_resource_too() -> None:
    bench = with_gpus(1)
    bench.when(ConfigureQueue("q", QueueSettings(ageing_us=SECOND)))
    bench.enqueue(needing("first", 1), needing("old", 1))
    bench.now_us += 10 * SECOND
    bench.enqueue(needing("urgent", 1, priority=5))
    assert ran_in_order(bench) == ["first", "old", "urgent"]


def test_groups_that_wait_at_a_limit_take_turns_by_what_they_have_had_meanwhile() -> None:
    bench = limited(QueueSettings(function_concurrency=(("f", 1),)))
    one, other = (Terms(group=group) for group in "ab")
    bench.enqueue(spec("a0", function="f", terms=one), spec("b0", function="f", terms=other))
    bench.enqueue(spec("a1", function="f", terms=one), spec("b1", function="f", terms=other))
    bench.enqueue(*(spec(f"more {n}", terms=other) for n in range(2)))
    bench.finish("a0")
    assert bench.running == ["more 0", "more 1", "a1"], "b has had two others meanwhile"
    bench.finish("a1")
    assert bench.running == ["more 0", "more 1", "b0"]


def test_who_comes_first_in_its_queue_now_holds_up_no_earlier_one_of_another() -> None:
    bench = with_gpus(3)
    bench.enqueue(needing("r", 1, queue="p"), spec("a0", terms=Terms(group="a", resources=(("gpu", 1.0),))))
    bench.enqueue(spec("a1", terms=Terms(group="a", resources=(("gpu", 3.0),))))
    bench.now_us += SECOND
    bench.enqueue(needing("small", 1, queue="p"))
    assert bench.running == ["r", "a0"], "it came behind one who waits for more"
    bench.now_us += SECOND
    bench.enqueue(spec("b0", terms=Terms(group="b", resources=(("gpu", 3.0),))))
    assert bench.running == ["r", "a0", "small"], "whom that queue would now have first came later"
    bench.check()


def test_those_who_wait_for_several_resources_do_not_wait_for_each_other() -> None:
    bench = with_gpus(1)
    bench.when(AddResource("tpu", "hardware", 1.0))
    bench.when(Allocate("mine", "me", (("gpu", 1.0), ("tpu", 1.0))))
    both = (("gpu", 1.0), ("tpu", 1.0))
    bench.enqueue(spec("a", terms=Terms(group="g")))
    bench.finish("a")
    bench.enqueue(spec("running", terms=Terms(group="g")))
    for each in (
        spec("oldest", terms=Terms(group="g", resources=both)),
        spec("elsewhere", queue="p", terms=Terms(resources=both)),
        needing("first in its queue", 1),
    ):
        bench.now_us += SECOND
        bench.enqueue(each)
    assert bench.running == ["running"]
    bench.when(Release("mine"))
    assert bench.running == ["running", "oldest"]
    bench.finish("running")
    assert ran_in_order(bench) == ["oldest", "elsewhere", "first in its queue"]


def test_who_is_held_back_by_new_settings_keeps_nothing_from_others() -> None:
    bench = with_gpus()
    bench.enqueue(needing("a", 1), spec("b", queue="p"))
    bench.enqueue(needing("large", 2, queue="p"), needing("small", 1))
    assert bench.running == ["a", "b"]
    bench.when(ConfigureQueue("p", QueueSettings(concurrency=1)))
    assert bench.running == ["a", "b", "small"]
    bench.check()


def test_who_waits_by_hand_goes_first() -> None:
    bench = with_gpus()
    bench.enqueue(needing("a", 2))
    assert bench.when(Allocate("mine", "me", (("gpu", 1.0),), wait=True)).reply is False
    bench.enqueue(needing("b", 1))
    bench.finish("a")
    assert set(bench.state.resources.held) == {"mine"}
    assert bench.running == ["b"]
    bench.when(Release("mine"))
    bench.check()


@pytest.mark.parametrize(
    ("needs", "error", "text"),
    [
        ((("tpu", 1.0),), UnknownIdError, "no resource 'tpu'; there is 'gpu'"),
        ((("gpu", 3.0),), InputError, "3.0 of 'gpu' can never be granted: its capacity is 2.0"),
        ((("gpu", 1.0), ("gpu", 1.0)), InputError, "each once"),
        ((("gpu", -1.0),), InputError, "expected a number above 0"),
    ],
)
def test_what_can_never_be_granted_is_refused_at_once(needs: Any, error: type[Exception], text: str) -> None:
    refusal = with_gpus().refusal(EnqueueJobs(jobs=(spec("a", terms=Terms(resources=needs)),)))
    assert isinstance(refusal, error)
    assert text in str(refusal)


def test_a_capacity_does_not_shrink_below_what_a_waiting_job_needs() -> None:
    bench = with_gpus(served=frozenset())
    bench.enqueue(needing("a", 2))
    assert "somebody waits for 2.0" in str(bench.refusal(AddResource("gpu", "hardware", 1.0)))


def test_a_job_that_needs_more_than_there_is_by_now_is_not_taken_up_again() -> None:
    bench = with_gpus(served=frozenset())
    bench.enqueue(needing("a", 2))
    bench.when(CancelJob("a"))
    bench.when(AddResource("gpu", "hardware", 1.0))
    assert "2.0 of 'gpu' can never be granted" in str(bench.refusal(RetryJob("a")))


# -- turns and ageing ------------------------------------------------------------------------------------------


def grouped(job_id: str, group: str, **more: Any) -> JobSpec:
    return spec(job_id, terms=Terms(group=group), **more)


LONG = SECOND
"""Too long to be started ahead of a free worker."""


def order_of_starts(bench: Bench) -> list[str]:
    while bench.running:
        bench.finish(bench.running[0], run_us=LONG)
    return bench.started()


def test_groups_are_served_in_turn_and_by_weight() -> None:
    bench = limited(QueueSettings(weights=(("a", 2),)), capacity=1)
    bench.enqueue(*(grouped(f"a{n}", "a") for n in range(6)), *(grouped(f"b{n}", "b") for n in range(3)))
    assert order_of_starts(bench) == ["a0", "b0", "a1", "a2", "b1", "a3", "a4", "b2", "a5"]


def test_a_group_that_comes_anew_catches_up_on_nothing() -> None:
    bench = Bench(capacity=1)
    bench.enqueue(*(grouped(f"a{n}", "a") for n in range(9)))
    for n in range(5):
        bench.finish(f"a{n}", run_us=LONG)
    bench.enqueue(*(grouped(f"b{n}", "b") for n in range(3)))
    bench.check()
    assert order_of_starts(bench)[5:] == ["a5", "b0", "a6", "b1", "a7", "b2", "a8"]


def _overtaken_group() -> Bench:
    """A queue whose group b came when a had had two turns, and waits while a, of higher priority, has more."""
    bench = Bench(capacity=1)
    bench.enqueue(*(grouped(f"a{n}", "a", priority=1) for n in range(9)))
    bench.finish("a0", run_us=LONG)
    bench.enqueue(grouped("b0", "b"))
    for n in range(1, 5):
        bench.finish(f"a{n}", run_us=LONG)
    return bench


def test_a_group_that_waits_keeps_the_turn_at_which_it_came() -> None:
    bench = _overtaken_group()
    bench.check()
    line = bench.state.lines["q"]
    assert line.turns["b"] < line.turn < line.turns["a"]


def test_a_fold_that_does_not_see_groups_come_is_found_out() -> None:
    class Unseen(Hall):
        def _take_turns(self, line: Line) -> None:
            pass

    class Planted(QueueState):
        hall_type = Unseen

    bench = _overtaken_group()
    assert folded(bench.log).dump() == bench.state.dump() != folded(bench.log, Planted()).dump()


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), min_size=1, max_size=30))
def test_groups_that_wait_have_had_as_much_as_each_other(jobs: list[tuple[int, str]]) -> None:
    bench = Bench(capacity=1, served=frozenset())
    bench.enqueue(*(grouped(f"{n}{group}", group) for n, (_, group) in enumerate(jobs)))
    bench.served = None
    bench.settle()
    left = Counter(group for _, group in jobs)
    had: Counter[str] = Counter()
    for job_id in order_of_starts(bench):
        had[job_id[-1]] += 1
        waiting = [had[group] for group in left if had[group] < left[group]]
        assert not waiting or max(had.values()) - min(waiting) <= 1


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 5)), min_size=1, max_size=25), st.integers(1, 4))
def test_nobody_is_overtaken_by_one_who_came_too_much_later(jobs: list[tuple[int, int]], ageing: int) -> None:
    """The stated bound: a job of higher priority that came `difference + 1` times `ageing` later goes behind."""
    bench = limited(QueueSettings(ageing_us=ageing * SECOND), capacity=1, served=frozenset())
    came: dict[str, tuple[int, int]] = {}
    for n, (priority, later) in enumerate(jobs):
        bench.pass_time(later * SECOND)
        bench.enqueue(spec(f"j{n}", priority=priority))
        came[f"j{n}"] = (priority, bench.now_us)
    bench.served = None
    bench.settle()
    order = order_of_starts(bench)
    for at, first in enumerate(order):
        for second in order[at + 1 :]:
            (high, came_us), (low, before_us) = came[first], came[second]
            assert came_us - before_us <= (max(0, high - low) + 1) * ageing * SECOND


# -- what it costs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [50, 500])
def test_what_is_held_back_is_not_looked_at_again_and_again(
    keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in tries, not in seconds: a few for each start, however many wait."""
    tried = 0
    try_one = Hall._try

    def count(*args: Any) -> Any:
        nonlocal tried
        tried += 1
        return try_one(*args)

    monkeypatch.setattr(Hall, "_try", count)
    bench = Bench(capacity=8)
    bench.when(AddResource("gpu", "hardware", 2.0))
    settings = QueueSettings(
        concurrency=6, key_concurrency=1, function_concurrency=(("app:work", 4),), key_rate=Rate(1, SECOND)
    )
    bench.given(QueueConfigured("q", settings, START))
    terms = [Terms(key=f"k{n}", resources=(("gpu", 1.0),) if n % 2 else ()) for n in range(keys)]
    bench.enqueued(*(spec(f"j{n}", terms=terms[n % keys]) for n in range(2 * keys)))
    bench.settle()
    while bench.state.jobs:
        if not bench.running:
            bench.pass_time(SECOND)
            continue
        for event, _ in RULES.decide(bench.state, bench.ended(bench.running[0]), bench.context()).events:
            bench.state.evolve(event)
        bench.settle()
    assert tried < 12 * 2 * keys


# -- of very many ------------------------------------------------------------------------------------------


@pytest.mark.no_cover
def test_a_start_costs_the_same_however_many_keys_a_rate_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hall, "FEW", 8)

    def cost(keys: int) -> float:
        bench = Bench(capacity=1)
        settings = QueueSettings(key_rate=Rate(2, 3_600 * SECOND))
        bench.given(QueueConfigured("q", settings, START))
        for n in range(keys):
            one = keyed(f"j{n}", f"k{n}")
            bench.given(JobEnqueued(one, b"", START), JobStarted(one.job_id, 1, 1, START))
            bench.given(JobCompleted(one.job_id, 1, b"", START, 1))
        assert len(bench.state.lines["q"].gates) >= keys - 1
        return lines_run(lambda: folded_live(bench.log)) / keys

    assert cost(4_000) < 1.3 * cost(400)


@pytest.mark.no_cover
def test_a_queue_with_settings_or_groups_costs_the_same_to_read_however_many_there_are() -> None:
    def cost(queues: int) -> tuple[float, float]:
        bench = Bench(served=frozenset())
        for n in range(queues):
            one = spec(f"j{n}", queue=f"q{n}", terms=Terms(group="g"))
            bench.given(QueueConfigured(f"q{n}", QueueSettings(concurrency=2), START))
            bench.given(JobEnqueued(one, b"", START))
        image = bench.state.dump()
        of_image = lines_run(lambda: RULES.restore(image))
        return of_image / queues, lines_run(lambda: folded(bench.log)) / queues

    few, many = cost(200), cost(2_000)
    assert many[0] < 1.3 * few[0]
    assert many[1] < 1.3 * few[1]


def folded_live(events: list[Event]) -> QueueState:
    """The state that has lived through these events, not only read of them."""
    state = RULES.initial()
    for event in events:
        state.evolve(event)
    return state


def test_weights_and_limits_of_functions_are_those_of_the_newest_settings() -> None:
    bench = limited(QueueSettings(function_concurrency=(("app:work", 1),), weights=(("g", 2),)))
    line = bench.state.lines["q"]
    assert (line.function_limits, line.weights) == ({"app:work": 1}, {"g": 2})
    bench.when(ConfigureQueue("q", QueueSettings(weights=(("h", 3),))))
    assert (line.function_limits, line.weights) == ({}, {"h": 3})
    bench.check()
