"""Running the contestants in turn, each case in its own process and folder, and taking medians."""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.child import RESULT
from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.model import Contestant, Workload

ROOT = Path(__file__).parents[2]
LIMIT_S = 600


@dataclass
class Figures:
    """What one contestant did for one workload: every round's metrics, or why there are none."""

    contestant: Contestant
    size: int
    rounds: list[Mapping[str, float]] = field(default_factory=list)
    problem: str = ""

    def median(self, metric: str) -> float | None:
        values = [each[metric] for each in self.rounds if metric in each]
        return statistics.median(values) if values else None


@dataclass(frozen=True)
class Outcome:
    """One workload and the figures of all who took part."""

    workload: Workload
    figures: Mapping[str, Figures]


def is_installed(contestant: Contestant) -> bool:
    return importlib.util.find_spec(contestant.needs) is not None


def run(
    workloads: Iterable[Workload],
    *,
    quick: bool,
    rounds: int,
    folder: Path,
    contestants: Sequence[Contestant] = CONTESTANTS,
    report: Callable[[str], object] = lambda _: None,
) -> list[Outcome]:
    """Measure each workload: contestants in turn, several rounds, so that a slow minute hits all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for workload in workloads:
        sizes = workload.quick if quick else workload.full
        figures = {each.key: Figures(each, sizes[each.key]) for each in contestants if each.key in sizes}
        for number in range(rounds):
            for each in figures.values():
                report(f"{workload.key} {each.contestant.title}, round {number + 1} of {rounds}")
                _add_round(workload, each, folder)
        outcomes.append(Outcome(workload, figures))
    return outcomes


def _add_round(workload: Workload, figures: Figures, folder: Path) -> None:
    if figures.problem:
        return
    if not is_installed(figures.contestant):
        figures.problem = "not installed"
        return
    own = Path(tempfile.mkdtemp(prefix=f"{workload.key}-{figures.contestant.key}-", dir=folder))
    try:
        figures.rounds.append(measure_once(figures.contestant, workload.key, figures.size, own))
    except RuntimeError as error:
        figures.problem = str(error)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def measure_once(contestant: Contestant, workload: str, size: int, folder: Path) -> Mapping[str, float]:
    """Run one case in a child process and read the metrics that it prints."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.child",
        contestant.module,
        workload,
        str(size),
        str(folder),
    ]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {LIMIT_S} s") from None
    for line in done.stdout.splitlines():
        if line.startswith(RESULT):
            metrics: dict[str, float] = json.loads(line.removeprefix(RESULT))
            return metrics
    raise RuntimeError(f"ended with {done.returncode}: {_last(done.stderr)}")


def _last(errors: str, lines: int = 4) -> str:
    return " | ".join(line.strip() for line in errors.strip().splitlines()[-lines:])
