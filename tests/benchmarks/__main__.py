"""`python -m tests.benchmarks`: our side, the peers and the bare limit, one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.model import Contestant, Workload
from tests.benchmarks.running import ROOT, Outcome, run
from tests.benchmarks.table import show
from tests.benchmarks.workloads import WORKLOADS

ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the figures; 1 if a contestant failed."""
    options = _parser().parse_args(arguments)
    base = options.folder or ROOT / "build" / "bench"
    base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=base))
    try:
        outcomes = run(
            options.only,
            quick=options.quick,
            rounds=options.rounds or (1 if options.quick else ROUNDS),
            folder=folder,
            contestants=options.who,
            report=lambda text: print(text, file=sys.stderr),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(outcomes)
    if options.json:
        options.json.write_text(json.dumps(_document(outcomes, quick=options.quick), indent=2) + "\n")
    problems = [each.problem for outcome in outcomes for each in outcome.figures.values()]
    return int(any(problem and problem != "not installed" for problem in problems))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: shows that it works")
    parser.add_argument("--only", type=_workloads, default=WORKLOADS, help="workloads, such as W1,W2")
    parser.add_argument(
        "--who", type=_contestants, default=CONTESTANTS, help="contestants, such as ours,limit"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds, of which medians are taken (default {ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    parser.add_argument(
        "--folder", type=Path, help="where stores are made (default build/bench); a real disk"
    )
    return parser


def _workloads(text: str) -> tuple[Workload, ...]:
    by_key = {workload.key: workload for workload in WORKLOADS}
    return tuple(by_key[key] for key in _keys(text, by_key))


def _contestants(text: str) -> tuple[Contestant, ...]:
    by_key = {contestant.key: contestant for contestant in CONTESTANTS}
    return tuple(by_key[key] for key in _keys(text, by_key))


def _keys(text: str, known: dict[str, Any]) -> list[str]:
    keys = text.split(",")
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
    return keys


def _document(outcomes: Sequence[Outcome], *, quick: bool) -> dict[str, Any]:
    """Every figure, and enough about the machine to read them."""
    workloads = {
        outcome.workload.key: {
            key: {
                "size": each.size,
                "rounds": [dict(figures) for figures in each.rounds],
                "median": {metric.key: each.median(metric.key) for metric in outcome.workload.metrics},
                "problem": each.problem,
            }
            for key, each in outcome.figures.items()
        }
        for outcome in outcomes
    }
    machine = {"system": platform.system(), "python": platform.python_version(), "cores": os.cpu_count()}
    return {"quick": quick, "machine": machine, "workloads": workloads}


if __name__ == "__main__":
    sys.exit(main())
