"""Quantiles from counts, beside those of the numbers themselves; throughput by the minute."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from actors.queue.messages import GetMetrics
from actors.queue.tallies import MINUTE_US, MINUTES, Spread, Tallies
from tests.actors.queue.bench import NEVER_AGAIN, SECOND, START, Bench, spec


@given(st.lists(st.integers(0, 10**13), min_size=1), st.sampled_from((0.01, 0.5, 0.9, 0.99, 1.0)))
def test_a_quantile_is_right_within_a_fifth(spans: list[int], part: float) -> None:
    spread = Spread()
    for span_us in spans:
        spread.add(span_us)
    exact = sorted(spans)[max(0, math.ceil(part * len(spans)) - 1)]
    assert abs(spread.quantile_us(part) - exact) <= 0.2 * exact + 0.5


def test_nothing_has_no_quantiles() -> None:
    assert Spread().quantile_us(0.5) == 0


def test_minutes_are_forgotten_in_the_end() -> None:
    tallies = Tallies()
    for minute in range(2 * MINUTES):
        tallies.completed("f", 1, minute * MINUTE_US)
    assert sorted(tallies.minutes) == list(range(MINUTES, 2 * MINUTES))


def test_a_queue_tells_how_long_its_jobs_waited_and_ran_and_how_they_ended() -> None:
    bench = Bench(capacity=1)
    bench.enqueue(spec("a"), spec("b", retry=NEVER_AGAIN), spec("c"))
    bench.now_us += 10 * SECOND
    bench.finish("a", run_us=2 * SECOND)
    bench.finish("b", "error", error="E")
    metrics = bench.when(GetMetrics("q")).reply
    [function] = metrics.functions
    assert (function.function, function.completed, function.failed) == ("app:work", 1, 1)
    assert abs(function.runs[0] - 2 * SECOND) < SECOND // 2
    assert abs(metrics.waits[0] - 10 * SECOND) < 2 * SECOND
    assert metrics.per_minute == ((START // MINUTE_US, 1),)
    bench.check()
    bench.restart()
    assert bench.when(GetMetrics("q")).reply.functions == metrics.functions


def test_a_queue_without_jobs_has_empty_metrics() -> None:
    assert Bench().when(GetMetrics("none")).reply.functions == ()
