"""Every circle of a graph is found, once, by an oracle that tries all paths."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.orchestration.graph import MOST, cycles, graph_problems

Edges = list[list[int]]


def edges_of(size: int) -> st.SearchStrategy[Edges]:
    others = st.lists(st.integers(0, size - 1), unique=True, max_size=size)
    return st.lists(others, min_size=size, max_size=size)


def circles_by_trying(edges: Edges) -> Iterator[tuple[int, ...]]:
    def extend(path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        for other in edges[path[-1]]:
            if other == path[0]:
                yield path
            elif other > path[0] and other not in path:
                yield from extend((*path, other))

    for start in range(len(edges)):
        yield from extend((start,))


@given(st.integers(1, 6).flatmap(edges_of))
def test_all_circles_are_found_once_each(edges: Edges) -> None:
    without_loops = [[other for other in others if other != node] for node, others in enumerate(edges)]
    found = [tuple(circle) for circle in cycles(without_loops)]
    assert sorted(found) == sorted(circles_by_trying(without_loops))


def test_a_graph_without_circles_has_no_problems() -> None:
    assert graph_problems({"a": [], "b": ["a"], "c": ["a", "b"], "d": []}) == ()
    assert graph_problems({}) == ()


def test_each_circle_is_a_path_from_the_step_declared_first() -> None:
    problems = graph_problems({"a": ["b"], "b": ["c", "a"], "c": ["a"], "x": ["y"], "y": ["x"], "z": ["x"]})
    circle = "these steps depend on each other in a circle: "
    assert problems == (
        f"{circle}a -> b -> c -> a",
        f"{circle}a -> b -> a",
        f"{circle}x -> y -> x",
    )


def test_everything_is_named_at_once() -> None:
    problems = graph_problems({"a": ["a", "b"], "b": ["a", "nobody"]})
    assert problems == (
        "step 'a' depends on itself",
        "step 'b' depends on 'nobody', which is no step of this workflow",
        "these steps depend on each other in a circle: a -> b -> a",
    )


@pytest.mark.no_cover
def test_chains_and_circles_of_ten_thousand_steps_are_no_trouble() -> None:
    size = 10_000
    chain = {str(number): [str(number - 1)] if number else [] for number in range(size)}
    begin = time.perf_counter()
    assert graph_problems(chain) == ()
    (problem,) = graph_problems({**chain, "0": [str(size - 1)]})
    assert problem.count(" -> ") == size
    there_and_back = {
        str(n): [str(n + step) for step in (-1, 1) if 0 <= n + step < size] for n in range(size)
    }
    assert graph_problems(there_and_back)[-1] == "and there are more circles"
    assert time.perf_counter() - begin < 60, "a graph was looked at for ever"


def test_a_knot_with_more_circles_than_anybody_reads_is_cut_short() -> None:
    names = [str(number) for number in range(12)]
    problems = graph_problems({name: [other for other in names if other != name] for name in names})
    assert len(problems) == MOST + 1
    assert problems[-1] == "and there are more circles"
