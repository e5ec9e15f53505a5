"""The example of the package's README runs as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks((ROOT / "eventstore" / "README.md").read_text(encoding="utf-8"), "python")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        exec(compile(example.text, "README.md", "exec", dont_inherit=True), {"__name__": "example"})
