"""The one table: medians side by side, ours divided by each, goals and whether they are reached."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence

from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.model import BEST_PEER, DBOS, HUEY, LIMIT, OURS, Goal, Metric
from tests.benchmarks.running import Outcome

HEADER = ("", "workload", "figure", "ours", "huey", "DBOS", "limit", "÷ peer", "÷ limit", "goal", "")
SHOWN = (HUEY, DBOS)
"""Peers with a column; who else is best is told by the ratio."""
PEERS = tuple(each.key for each in CONTESTANTS if each.key not in (OURS, LIMIT))
NOTHING = "–"


def rows(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, ...]]:
    """The cells of the table, one row for each metric."""
    for outcome in outcomes:
        for number, metric in enumerate(outcome.workload.metrics):
            title = (outcome.workload.key, outcome.workload.title) if number == 0 else ("", "")
            yield (
                *title,
                f"{metric.title}, {metric.unit}",
                *_figures(outcome, metric),
                *_goals(outcome, metric),
            )


def _figures(outcome: Outcome, metric: Metric) -> tuple[str, ...]:
    shown = [_shown(value(outcome, metric, who)) for who in (OURS, *SHOWN, LIMIT)]
    return (*shown, _ratio(outcome, metric, BEST_PEER), _ratio(outcome, metric, LIMIT))


def value(outcome: Outcome, metric: Metric, who: str) -> float | None:
    """The median of a contestant, or of the best peer."""
    if who == BEST_PEER:
        found = [each for each in (value(outcome, metric, peer) for peer in PEERS) if each is not None]
        return (max if metric.higher_is_better else min)(found, default=None)
    figures = outcome.figures.get(who)
    return figures.median(metric.key) if figures else None


def ratio(outcome: Outcome, metric: Metric, against: str) -> float | None:
    """Ours divided by another's."""
    ours, other = value(outcome, metric, OURS), value(outcome, metric, against)
    return None if ours is None or not other else ours / other


def _ratio(outcome: Outcome, metric: Metric, against: str) -> str:
    found = ratio(outcome, metric, against)
    return NOTHING if found is None else f"{found:.2f}"


def _goals(outcome: Outcome, metric: Metric) -> tuple[str, str]:
    goals = [goal for goal in outcome.workload.goals if goal.metric == metric.key]
    return "; ".join(str(goal) for goal in goals), " ".join(_verdict(outcome, metric, goal) for goal in goals)


def _verdict(outcome: Outcome, metric: Metric, goal: Goal) -> str:
    found = value(outcome, metric, OURS) if goal.against is None else ratio(outcome, metric, goal.against)
    if found is None:
        return "?"
    return "yes" if goal.is_reached(found) else "NO"


def _shown(number: float | None) -> str:
    if number is None:
        return NOTHING
    return f"{number:,.0f}" if number >= 100 else f"{number:.2f}"


def notes(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What each contestant promises, how many items were measured, and what went wrong."""
    yield "÷ peer, ÷ limit: ours divided by the best peer's and by the limit's figure. Medians."
    for contestant in CONTESTANTS:
        yield f"{contestant.title}: {contestant.promise}."
    for outcome in outcomes:
        sizes = ", ".join(f"{key} {each.size:,}" for key, each in outcome.figures.items())
        yield f"{outcome.workload.key} items: {sizes}."
    for outcome in outcomes:
        for each in outcome.figures.values():
            if each.problem:
                yield f"{outcome.workload.key}: {each.contestant.title}: {each.problem}"


def plain(outcomes: Sequence[Outcome]) -> str:
    """The table in plain text."""
    cells = [HEADER, *rows(outcomes)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADER))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column < 3 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table and its notes, drawn with rich on a terminal where that is installed."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        importlib.import_module("tests.benchmarks.fancy").show(HEADER, rows(outcomes), notes(outcomes))
        return
    print(plain(outcomes), end="\n\n")
    for note in notes(outcomes):
        print(note)
