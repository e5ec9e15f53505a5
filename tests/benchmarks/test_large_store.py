"""The command about large stores runs, with a small one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.large_store import main


def test_a_large_store_is_built_opened_and_looked_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--events", "9000", "--without", "--folder", str(tmp_path)])
    said = capsys.readouterr().out
    for figure in ("open without a snapshot", "open with a snapshot", "history of one job"):
        assert figure in said
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_kept_is_used_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for built in (True, False):
        main(["--events", "3000", "--keep", str(tmp_path / "store")])
        assert ("build" in capsys.readouterr().out) is built
