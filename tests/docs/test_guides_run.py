"""Guides whose commands are said to run as they stand do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, blocks
from tests.docs.scripts import environment


def test_the_audit_in_ten_minutes_can_be_done_as_it_stands(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guide" / "audit_in_ten_minutes.md").read_text(encoding="utf-8")
    (script,) = blocks(page, "python")
    (tmp_path / "payments.py").write_text(script.text, encoding="utf-8")
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, module in (("python", ""), ("logistics", "-m logistics.cli.main")):
        shim = commands / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    lines = "set -e\n" + "".join(block.text for block in blocks(page, "sh"))
    done = subprocess.run(
        ["/bin/sh", "-c", lines],
        cwd=tmp_path,
        env=environment() | {"PATH": f"{commands}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("caught") == 1
    assert "was changed since it was signed" in done.stdout
    assert "the store is sound" in done.stdout
    assert "job.completed" in done.stdout
