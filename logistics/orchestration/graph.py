"""What keeps steps from being a graph: unknown steps, steps that wait for themselves, circles."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from logistics.inputs import hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

WORK = 500_000
"""Steps and dependencies looked at in search of circles, roughly: a dense knot has more than one reads."""
FEWEST, MOST = 20, 1_000
"""Bounds of how many circles are named."""

Edges = list[list[int]]


def graph_problems(depends_on: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a sentence for each problem; `depends_on` has what each step waits for, by the step's name.

    A circle is shown as a path, `a -> b -> a`: a waits for b, b for a.
    """
    names = list(depends_on)
    numbers = {name: number for number, name in enumerate(names)}
    found: list[str] = []
    edges: Edges = []
    for name, others in depends_on.items():
        found += [_unknown(name, other, names) for other in others if other not in numbers]
        if name in others:
            found.append(f"step {name!r} depends on itself")
        edges.append([numbers[other] for other in others if other in numbers and other != name])
    limit = max(FEWEST, min(MOST, WORK // (1 + len(edges) + sum(map(len, edges)))))
    circles = list(islice(cycles(edges), limit + 1))
    for circle in circles[:limit]:
        path = " -> ".join(names[number] for number in (*circle, circle[0]))
        found.append(f"these steps depend on each other in a circle: {path}")
    if len(circles) > limit:
        found.append("and there are more circles")
    return tuple(found)


def _unknown(name: str, other: str, names: list[str]) -> str:
    return f"step {name!r} depends on {other!r}, which is no step of this workflow{hint(other, names)}"


def cycles(edges: Edges) -> Iterator[list[int]]:
    """Yield every circle that passes no node twice, once each, beginning with its lowest node.

    D. B. Johnson, "Finding all the elementary circuits of a directed graph", SIAM J. Comput. 4 (1975).
    """
    knots = sorted(_knots(range(len(edges)), edges), key=min, reverse=True)
    while knots:
        knot = knots.pop()
        lowest = min(knot)
        yield from _through(lowest, knot, edges)
        knot.remove(lowest)
        knots += _knots(sorted(knot), edges)


def _through(start: int, knot: set[int], edges: Edges) -> Iterator[list[int]]:
    """Yield the circles through `start` inside a knot, without recursion."""
    path = [start]
    ahead = [_inside(start, knot, edges)]
    blocked = {start}
    closing: set[int] = set()
    """Nodes on a path that came back to the start."""
    waiting: defaultdict[int, set[int]] = defaultdict(set)
    """Nodes that are of no use before the key is free."""
    while path:
        node = path[-1]
        following = next(ahead[-1], None)
        if following == start:
            yield list(path)
            closing.update(path)
        elif following is not None and following not in blocked:
            path.append(following)
            ahead.append(_inside(following, knot, edges))
            blocked.add(following)
            closing.discard(following)
        elif following is None:
            if node in closing:
                _unblock(node, blocked, waiting)
            else:
                for other in _inside(node, knot, edges):
                    waiting[other].add(node)
            path.pop()
            ahead.pop()


def _inside(node: int, knot: set[int], edges: Edges) -> Iterator[int]:
    return (other for other in edges[node] if other in knot)


def _unblock(node: int, blocked: set[int], waiting: defaultdict[int, set[int]]) -> None:
    free = [node]
    while free:
        each = free.pop()
        if each in blocked:
            blocked.discard(each)
            free += waiting.pop(each, ())


def _knots(nodes: Iterable[int], edges: Edges) -> Iterator[set[int]]:
    """Yield the sets of two and more nodes that all reach each other (Tarjan's algorithm, no recursion)."""
    members = set(nodes)
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    open_nodes: list[int] = []
    is_open: set[int] = set()
    for root in sorted(members):
        if root in order:
            continue
        trail = [(root, _inside(root, members, edges))]
        order[root] = low[root] = len(order)
        open_nodes.append(root)
        is_open.add(root)
        while trail:
            node, following = trail[-1]
            for other in following:
                if other not in order:
                    order[other] = low[other] = len(order)
                    open_nodes.append(other)
                    is_open.add(other)
                    trail.append((other, _inside(other, members, edges)))
                    break
                if other in is_open:
                    low[node] = min(low[node], order[other])
            else:
                trail.pop()
                if trail:
                    above = trail[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == order[node]:
                    yield from _closed(node, open_nodes, is_open)


def _closed(root: int, open_nodes: list[int], is_open: set[int]) -> Iterator[set[int]]:
    knot: set[int] = set()
    while root not in knot:
        node = open_nodes.pop()
        is_open.discard(node)
        knot.add(node)
    if len(knot) > 1:
        yield knot
