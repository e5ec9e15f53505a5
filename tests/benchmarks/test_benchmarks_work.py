"""The benchmarks run, each workload small, for our side and the limit; the table says what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.benchmarks import contestants, running, table
from tests.benchmarks.__main__ import main
from tests.benchmarks.model import BEST_PEER, DBOS, HUEY, LIMIT, OURS, Contestant, Goal, Metric, Workload
from tests.benchmarks.workloads import WORKLOADS

BY_KEY = {contestant.key: contestant for contestant in contestants.CONTESTANTS}
CASES = [(workload, key) for workload in WORKLOADS for key in (OURS, LIMIT) if key in workload.quick]


@pytest.mark.usefixtures("plain_children")
@pytest.mark.parametrize(("workload", "key"), CASES, ids=lambda value: getattr(value, "key", value))
def test_a_workload_can_be_measured(tmp_path: Path, workload: Workload, key: str) -> None:
    metrics = running.measure_once(BY_KEY[key], workload.key, workload.quick[key], tmp_path)
    known = {metric.key for metric in workload.metrics}
    assert metrics
    assert set(metrics) <= known
    assert key != OURS or set(metrics) == known, "our side has every figure"
    # Memory may come out below what it was: a small store, freed pages.
    assert all(value > 0 for name, value in metrics.items() if "bytes" not in name)


def test_sizes_and_goals_name_what_there_is() -> None:
    for workload in WORKLOADS:
        known = {metric.key for metric in workload.metrics}
        assert set(workload.full) == set(workload.quick) <= set(BY_KEY)
        assert {goal.metric for goal in workload.goals} <= known
        assert {goal.against for goal in workload.goals} <= {None, BEST_PEER, *BY_KEY}


def test_the_command_prints_a_table_and_writes_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures.json"
    options = ["--quick", "--only", "W1", "--who", "limit", "--folder", str(tmp_path), "--json", str(figures)]
    assert main(options) == 0
    assert "enqueue, one caller" in capsys.readouterr().out
    document = json.loads(figures.read_text())
    assert document["workloads"]["W1"]["limit"]["median"]["per_s"] > 0
    assert list(tmp_path.iterdir()) == [figures], "the stores are removed"


def test_a_wrong_name_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "W99"])
    assert "no W99; there are W1, W1b" in capsys.readouterr().err


WORKLOAD = Workload(
    key="W0",
    title="a test",
    metrics=(Metric("per_s", "rate", "jobs/s"), Metric("ms", "latency", "ms", higher_is_better=False)),
    goals=(
        Goal("per_s", 0.5, against=LIMIT),
        Goal("per_s", 1_000.0),
        Goal("ms", 1.0, against=BEST_PEER, at_least=False),
    ),
    full={OURS: 1, HUEY: 1, DBOS: 1, LIMIT: 1},
    quick={OURS: 1},
)


def outcome(figures: Mapping[str, list[dict[str, float]]]) -> running.Outcome:
    return running.Outcome(
        WORKLOAD, {key: running.Figures(BY_KEY[key], 1, list(rounds)) for key, rounds in figures.items()}
    )


def test_the_table_has_medians_ratios_and_verdicts() -> None:
    measured = outcome(
        {
            OURS: [{"per_s": 600.0, "ms": 5.0}, {"per_s": 1.0, "ms": 9.0}, {"per_s": 700.0, "ms": 4.0}],
            HUEY: [{"per_s": 300.0, "ms": 10.0}],
            DBOS: [{"per_s": 100.0, "ms": 4.0}],
            LIMIT: [{"per_s": 1_200.0}],
        }
    )
    rate, latency = table.rows([measured])
    assert rate[3:] == ("600", "300", "100", "1,200", "2.00", "0.50", "≥ 0.5 × limit; ≥ 1,000", "yes NO")
    assert latency[3:] == ("5.00", "10.00", "4.00", "–", "1.25", "–", "≤ 1 × best peer", "NO")


def test_a_figure_that_is_missing_decides_nothing() -> None:
    rate, _ = table.rows([outcome({LIMIT: [{"per_s": 1.0}]})])
    assert rate[3] == "–"
    assert rate[-1] == "? ?"


def test_who_is_not_installed_is_listed_as_such(tmp_path: Path) -> None:
    missing = Contestant(key=HUEY, title="huey", module="x", needs="no_such_package", promise="none")
    found = running.run([WORKLOAD], quick=False, rounds=2, folder=tmp_path, contestants=[missing])
    assert "W0: huey: not installed" in list(table.notes(found))


def test_a_case_that_fails_is_reported_with_its_error(tmp_path: Path) -> None:
    broken = Contestant(key=HUEY, title="huey", module="tests.benchmarks.limit", needs="lmdb", promise="none")
    found = running.run([WORKLOAD], quick=False, rounds=2, folder=tmp_path, contestants=[broken])
    assert any("KeyError: 'W0'" in note for note in table.notes(found))
